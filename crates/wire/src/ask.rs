//! The gateway's own questions to brokers. What is composed here is ready to send, size included.

mod coordinator;
mod defaults;
mod quotas;
mod topics;

pub use coordinator::{COORDINATOR_VERSION, coordinator_request, read_coordinator};
pub use defaults::{DEFAULTS_VERSION, default_partitions_request, read_default_partitions};
pub use quotas::{QuotaEntry, Quotas, quotas_request, read_quotas};
pub use topics::{TOPICS_VERSION, Topic, read_topics, topics_by_id_request, topics_by_name_request};

use crate::address::{CorrelationId, NodeId, Upstream};
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};
use crate::writer::Writer;

/// Starts a request: room for the size, then its head (v1, or v2 where flexible). What follows is the body.
pub fn request_writer(api: Api, version: i16, correlation: CorrelationId, client_id: &str) -> Writer {
    let mut request = Writer::framed(Encoding::Classic);
    request.i16(api.key());
    request.i16(version);
    request.i32(correlation.0);
    request.string(client_id);
    request.set_encoding(Encoding::of(api.request_is_flexible(version)));
    request.no_tags();
    request
}

/// Asks for the brokers and for no topic, in version 1 to 12 (in 0 no topic means all of them).
pub fn metadata_request(version: i16, correlation: CorrelationId, client_id: &str) -> Vec<u8> {
    let mut request = request_writer(Api::Metadata, version, correlation, client_id);
    request.array_len(0);
    if version >= 4 {
        // Topics are not to be created by asking.
        request.bool(false);
    }
    if (8..=10).contains(&version) {
        // What may be done with the cluster.
        request.bool(false);
    }
    if version >= 8 {
        // What may be done with the topics.
        request.bool(false);
    }
    request.no_tags();
    request.into_frame()
}

/// The brokers of a cluster, as one of them knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// Version 2+.
    pub cluster_id: Option<String>,
    /// Version 1+; `None` while there is none.
    pub controller: Option<NodeId>,
    /// Those that are up and have an address on the listener that was asked.
    pub nodes: Vec<Node>,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where it says that it is.
    pub address: Upstream,
    /// Version 1+.
    pub rack: Option<String>,
}

/// Reads the brokers out of a `Metadata` answer; what follows them is not looked at.
pub fn read_nodes(version: i16, frame: &[u8]) -> Result<Nodes, Malformed> {
    if !Api::Metadata.speaks(version) {
        return Err(Malformed::Unspoken { api: Api::Metadata.name(), version });
    }
    let mut reader = Reader::new(frame, Encoding::of(Api::Metadata.request_is_flexible(version)));
    answer_head(&mut reader, Api::Metadata.answer_header_is_flexible(version))?;
    if version >= 3 {
        reader.i32("throttle time")?;
    }
    let mut nodes = Vec::new();
    for _ in 0..reader.array_len("brokers")? {
        nodes.push(read_node(version, &mut reader)?);
    }
    let cluster_id =
        if version >= 2 { reader.nullable_string("cluster id")?.map(str::to_owned) } else { None };
    let controller = if version >= 1 { reader.i32("controller id")? } else { -1 };
    Ok(Nodes { cluster_id, controller: (controller >= 0).then_some(NodeId(controller)), nodes })
}

fn read_node(version: i16, reader: &mut Reader<'_>) -> Result<Node, Malformed> {
    let id = NodeId(reader.i32("node id")?);
    let at = reader.position();
    let host = reader.string("host")?;
    if host.is_empty() {
        return Err(Malformed::Invalid { what: "empty host", at });
    }
    let at = reader.position();
    let port = reader.i32("port")?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0);
    let port = port.ok_or(Malformed::Invalid { what: "port", at })?;
    let rack = if version >= 1 { reader.nullable_string("rack")?.map(str::to_owned) } else { None };
    reader.skip_tags()?;
    Ok(Node { id, address: Upstream { host: host.into(), port }, rack })
}
