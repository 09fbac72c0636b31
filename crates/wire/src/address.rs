//! Addresses, kept apart by type: where a broker really is, and where clients are told that it is.
//!
//! Only [`Advertised`] can be written into an answer, so an answer that shows a broker's own address does not compile.

use std::fmt;
use std::sync::Arc;

/// A broker's id. Never changed on its way through the gateway: it occurs inside streamed answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What ties an answer to its question on one connection. Chosen by the client, passed on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId(pub i32);

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A broker's own address: dialled, logged, never written to a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    /// A DNS name or an IP literal without brackets.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
}

impl Upstream {
    /// Reads `host:port`, `1.2.3.4:port` or `[v6]:port`. `None` when there is no host or no port from 1 to 65535.
    pub fn parse(text: &str) -> Option<Upstream> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => text.rsplit_once(':')?,
        };
        let bracketed = text.starts_with('[');
        if host.is_empty() || host.contains(['[', ']', ' ']) || (host.contains(':') && !bracketed) {
            return None;
        }
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        Some(Upstream { host: host.into(), port })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// An address of the gateway, as clients are told it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Advertised {
    /// A DNS name or an IP literal without brackets. At most 32767 bytes, Kafka's limit of a string.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Which address of the gateway stands for which node, on one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    entries: Vec<(NodeId, Advertised)>,
    staying: Vec<Staying>,
}

/// A node that clients are to find among a cluster's brokers, also while the brokers leave it out: it is expected back, and
/// clients would close what they have open to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staying {
    /// Which it is.
    pub node: NodeId,
    /// Where it says that it stands.
    pub rack: Option<Arc<str>>,
}

impl Book {
    /// Where a node is named twice, the last address holds.
    pub fn new(entries: impl IntoIterator<Item = (NodeId, Advertised)>) -> Book {
        let by_node: std::collections::BTreeMap<NodeId, Advertised> = entries.into_iter().collect();
        Book { entries: by_node.into_iter().collect(), staying: Vec::new() }
    }

    /// With nodes that are always shown, as far as they have an address.
    #[must_use]
    pub fn with_staying(self, staying: impl IntoIterator<Item = Staying>) -> Book {
        let staying = staying.into_iter().filter(|staying| self.get(staying.node).is_some()).collect();
        Book { staying, ..self }
    }

    /// The nodes that are always shown.
    pub fn staying(&self) -> &[Staying] {
        &self.staying
    }

    /// The address that stands for `node`; `None` when the gateway has no port for it.
    pub fn get(&self, node: NodeId) -> Option<&Advertised> {
        let at = self.entries.binary_search_by_key(&node, |(id, _)| *id).ok()?;
        self.entries.get(at).map(|(_, address)| address)
    }

    /// Every node and its address, by ascending node id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Advertised)> {
        self.entries.iter().map(|(node, address)| (*node, address))
    }

    /// How many nodes have an address.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no node has an address.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_shown() {
        for text in ["kafka-1:9092", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(Upstream::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "kafka", ":9092", "kafka:0", "kafka:65536", "::1:9092", "[::1]9092", "[]:1", "a b:1"]
        {
            assert_eq!(Upstream::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_book_finds_its_nodes() {
        let at = |port| Advertised { host: "gw".into(), port };
        let book = Book::new([(NodeId(3), at(3)), (NodeId(1), at(9)), (NodeId(1), at(1))]);
        assert_eq!(book.len(), 2);
        assert_eq!(book.get(NodeId(1)), Some(&at(1)));
        assert_eq!(book.get(NodeId(2)), None);
        assert_eq!(book.iter().map(|(node, _)| node.0).collect::<Vec<_>>(), [1, 3]);
    }
}
