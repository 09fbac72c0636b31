//! What the two processes of a take-over say to each other: JSON behind four bytes of size, and the sockets that a
//! message speaks of beside its first byte.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// The language. Another one is spoken by processes that do not understand each other.
pub(super) const VERSION: u32 = 1;

/// Sockets beside one message; the kernel passes 253 at most.
pub(super) const SOCKETS_MAX: usize = 64;

/// The largest message: each socket's part has a cluster's name in it, of 100 bytes at most.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// The successor: it asks for the sockets.
    Hello { version: u32 },
    /// The process that serves: some of its sockets, in the order in which they are passed.
    Sockets(Vec<StandsFor>),
    /// That was all.
    AllPassed,
    /// The successor: it could accept now.
    Ready,
    /// The process that serves: it is no longer accepting, or will stop within this moment.
    Go,
    /// The process that serves goes on, and why.
    Refused { why: String },
}

/// What a socket is. Its address is its own business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StandsFor {
    /// This conversation.
    Takeover,
    /// The admin address.
    Admin,
    /// Any broker of a cluster.
    Bootstrap { cluster: String, topology: Topology },
    /// One node of a cluster.
    Node { cluster: String, node: i32 },
}

/// Whether a cluster was reached by the process that passes its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Topology {
    /// Its clients are served.
    Known,
    /// They wait, and would wait with a successor as well.
    Unknown,
}

/// Says something, with sockets beside it.
pub(super) fn send(stream: &UnixStream, message: &Message, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let size = u32::try_from(text.len()).map_err(io::Error::other)?;
    let bytes = [&size.to_be_bytes()[..], &text].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    // What is left, if anything, has no sockets beside it.
    let mut stream = stream;
    stream.write_all(bytes.get(sent..).unwrap_or_default())
}

/// Hears one message and takes the sockets beside it. Waits no longer than the stream's own timeout for any part of it.
pub(super) fn receive(stream: &UnixStream) -> io::Result<(Message, Vec<OwnedFd>)> {
    let mut size = [0; 4];
    let mut sockets = Vec::new();
    let first = receive_some(stream, &mut size, &mut sockets)?;
    let mut rest = stream;
    rest.read_exact(size.get_mut(first..).unwrap_or_default())?;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if size > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "no message of a take-over"));
    }
    let mut text = Vec::new();
    rest.take(size as u64).read_to_end(&mut text)?;
    if text.len() < size {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok((serde_json::from_slice(&text)?, sockets))
}

/// One read of at least a byte, with what was passed beside it.
fn receive_some(stream: &UnixStream, bytes: &mut [u8], sockets: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(stream.as_fd(), &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            sockets.extend(passed);
        }
    }
    if received.bytes == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn as_many_sockets_as_may_be_go_with_a_message_and_are_the_same_ones() {
        let (one, other) = UnixStream::pair().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let cluster = "c".repeat(100);
        let named: Vec<StandsFor> =
            (0..64).map(|n| StandsFor::Node { cluster: cluster.clone(), node: i32::MAX - n }).collect();
        send(&one, &Message::Sockets(named.clone()), &[socket.as_fd(); SOCKETS_MAX]).unwrap();
        send(&one, &Message::Ready, &[]).unwrap();
        let (message, passed) = receive(&other).unwrap();
        assert!(matches!(message, Message::Sockets(heard) if heard == named));
        assert_eq!(passed.len(), SOCKETS_MAX);
        let address = socket.local_addr().unwrap();
        assert!(passed.into_iter().all(|fd| TcpListener::from(fd).local_addr().unwrap() == address));
        assert!(matches!(receive(&other).unwrap(), (Message::Ready, passed) if passed.is_empty()));
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_read() {
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x00\x00\x00\x05\"no\"", b"\x00\x00\x00\x04\"no\"", b"\x00"]
        {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(garbage).unwrap();
            drop(one);
            receive(&other).unwrap_err();
        }
    }
}
