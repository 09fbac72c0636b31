//! Whole small frames off a stream, for the login of clients and for the gateway's own questions to brokers.

use std::io;

use crate::ended::Why;
use crate::stream::Stream;

/// Bytes read at a time. A frame's memory grows with what has arrived, never with what it announces.
const CHUNK_BYTES: usize = 2048;

/// Bytes of a frame's size, which stands before it and does not count itself.
pub const SIZE_BYTES: usize = 4;

/// A request that is too short for its own head.
pub const HEAD_CUT: wire::Malformed = wire::Malformed::Truncated { what: "the request's head", at: 0 };

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed between two frames.
    #[error("closed")]
    Closed,
    /// The peer closed inside a frame.
    #[error("closed inside a frame")]
    CutOff,
    /// The announced size is negative or above what is read whole here.
    #[error("a frame of {0} bytes")]
    Size(i32),
    /// The first bytes are another protocol's.
    #[error("no Kafka: {}", .0.label())]
    Foreign(Why),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What was read and not yet taken.
#[derive(Default)]
pub struct Frames {
    unread: Vec<u8>,
}

impl Frames {
    /// The next frame of at most `max` bytes, without its size. An empty frame is legal (raw SASL tokens).
    /// Cancel-safe: what was read stays here.
    pub async fn next(&mut self, stream: &Stream, max: usize) -> Result<Vec<u8>, FrameError> {
        loop {
            if let Some((size, rest)) = self.unread.split_first_chunk::<SIZE_BYTES>() {
                let announced = i32::from_be_bytes(*size);
                let size = match usize::try_from(announced) {
                    Ok(size) if size <= max => size,
                    _ => match foreign(*size) {
                        Some(why) => return Err(FrameError::Foreign(why)),
                        None => return Err(FrameError::Size(announced)),
                    },
                };
                if rest.len() >= size {
                    let frame = rest[..size].to_vec();
                    self.unread.drain(..SIZE_BYTES + size);
                    return Ok(frame);
                }
            }
            let mut chunk = [0; CHUNK_BYTES];
            match stream.read(&mut chunk).await? {
                0 if self.unread.is_empty() => return Err(FrameError::Closed),
                0 => return Err(FrameError::CutOff),
                n => self.unread.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// What was read beyond the last frame.
    pub fn into_unread(self) -> Vec<u8> {
        self.unread
    }
}

/// Tells other protocols by their first four bytes, where a Kafka client would announce a frame's size.
pub fn foreign(first: [u8; 4]) -> Option<Why> {
    const METHODS: [&[u8; 4]; 10] =
        [b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI "];
    match first {
        [0x16, 0x03, ..] => Some(Why::TlsOnPlain),
        [b'S', b'S', b'H', b'-'] => Some(Why::NotKafka),
        first if METHODS.contains(&&first) => Some(Why::Http),
        _ => None,
    }
}
