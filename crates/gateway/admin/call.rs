//! What the command line asks of a gateway that runs, at its admin address.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For the connection, and for each read and write.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Why there is no answer, or none that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody is there.
    #[error("no gateway answers at {0}: {1}")]
    Io(String, std::io::Error),
    /// Somebody is, who speaks something else.
    #[error("what answers at {0} is no gateway")]
    Foreign(String),
    /// The gateway says no.
    #[error("{0}")]
    Refused(String),
}

/// Whether a drain begins or is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// It begins.
    Begin,
    /// It is taken back.
    Undo,
}

/// Drains a broker or takes that back; the gateway's word on it.
pub fn drain(admin: &str, cluster: &str, node: i32, drain: Drain) -> Result<String, CallError> {
    let method = match drain {
        Drain::Begin => "POST",
        Drain::Undo => "DELETE",
    };
    call(admin, method, &format!("/drain?cluster={}&node={node}", encoded(cluster)))
}

fn call(admin: &str, method: &str, path: &str) -> Result<String, CallError> {
    let answer = exchange(admin, method, path).map_err(|error| CallError::Io(admin.to_owned(), error))?;
    let answer = String::from_utf8_lossy(&answer);
    let foreign = || CallError::Foreign(admin.to_owned());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(foreign)?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or_else(foreign)?;
    if status == "200" { Ok(body.to_owned()) } else { Err(CallError::Refused(body.trim_end().to_owned())) }
}

fn exchange(admin: &str, method: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut failed = std::io::Error::other("the name has no address");
    for address in admin.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                write!(stream, "{method} {path} HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n")?;
                let mut answer = Vec::new();
                stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
                return Ok(answer);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Percent-encoded but for what may stand in any part of a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        })
        .collect()
}
