//! A minimal Kafka client: frames in, frames out, blocking. It understands nothing else, so that tests say byte by
//! byte what is sent and see byte by byte what comes back.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a read or write may take unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// An answer of a test that is larger than this is a mistake of the test.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
}

impl RawClient {
    /// Dials, with [`PATIENCE`] for each read and write.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<RawClient> {
        RawClient::over(TcpStream::connect(address)?)
    }

    /// Dials one address within a limit.
    pub fn connect_within(address: std::net::SocketAddr, limit: Duration) -> io::Result<RawClient> {
        let client = RawClient::over(TcpStream::connect_timeout(&address, limit)?)?;
        client.patience(limit)?;
        Ok(client)
    }

    fn over(stream: TcpStream) -> io::Result<RawClient> {
        stream.set_nodelay(true)?;
        let client = RawClient { stream };
        client.patience(PATIENCE)?;
        Ok(client)
    }

    /// Sets the time that each read and write may take.
    pub fn patience(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))?;
        self.stream.set_write_timeout(Some(limit))
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a frame; its size is put before it.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(&sized(frame))
    }

    /// The next frame, without its size.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = i32::from_be_bytes(size);
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= FRAME_BYTES_MAX)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {size} bytes")))?;
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    /// Sends a frame and waits for one.
    pub fn ask(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.send(frame)?;
        self.receive()
    }

    /// Reads to the end of the stream; what was left is returned. An error other than a reset is an error.
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => Ok(rest),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(rest),
            Err(error) => Err(error),
        }
    }
}

/// A frame with its size before it.
///
/// # Panics
/// When the frame is larger than an i32 can tell.
pub fn sized(frame: &[u8]) -> Vec<u8> {
    let size =
        i32::try_from(frame.len()).unwrap_or_else(|_| unreachable!("a frame of {} bytes", frame.len()));
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

/// How a request's head is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadStyle {
    /// Header v1: ends with the client id.
    Classic,
    /// Header v2: an empty tag section after the client id.
    Flexible,
}

/// A request without its size: head, then `body`.
pub fn request(
    key: i16,
    version: i16,
    correlation: i32,
    client_id: &str,
    style: HeadStyle,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + client_id.len() + 11);
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation.to_be_bytes());
    string(&mut frame, client_id);
    if style == HeadStyle::Flexible {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    frame
}

/// Appends a classic string (i16 length, bytes).
///
/// # Panics
/// When it is longer than an i16 can tell.
pub fn string(out: &mut Vec<u8>, text: &str) {
    let length =
        i16::try_from(text.len()).unwrap_or_else(|_| unreachable!("a string of {} bytes", text.len()));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
