//! `host:port` as it is written in the file.

use std::fmt;

/// Where something can be dialled: a name or an IP address (without brackets), and a port that is not 0. Names are
/// resolved at every dial, never here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Host name, IPv4 address or IPv6 address without brackets.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port` or `[v6]:port`; the error says what is wrong with it.
    ///
    /// # Errors
    /// A sentence's second half, such as `has no port`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or("has an opening bracket that is never closed")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "has no IPv6 address between its brackets")?;
            (host, after.strip_prefix(':').ok_or("has no port")?)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
            if host.contains(':') {
                return Err("has more than one colon; an IPv6 address is written in brackets");
            }
            (host, port)
        };
        check_host(host)?;
        match port.parse::<u16>() {
            Ok(port) if port != 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err("has no port between 1 and 65535"),
        }
    }
}

/// Whether `host` can be the name of a host: an IP address without brackets, or letters, digits, `-`, `_` and dots.
pub(crate) fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("has no host");
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if host.len() > 253 {
        return Err("has a host longer than 253 characters");
    }
    if host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Ok(())
    } else {
        Err("has a host with characters that no host name has")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
