//! A byte stream to a client or a broker, plain or TLS, used by two directions of one task.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::pipe::Pipe;
use crate::pool::Intake;
use crate::timer;

/// How long a peer may take to close after us, and a broker to finish what a client that left had asked.
const LINGER: Duration = Duration::from_secs(1);

/// Nothing passes an encrypted stream unseen.
const NOT_PLAIN: io::ErrorKind = io::ErrorKind::Unsupported;

/// What lies under a [`Stream`]. Plain sockets can be relayed in ways that TLS ones can't.
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One peer's stream. Both directions of a connection live in one task and borrow it only inside a poll, so a
/// cell is enough where other designs need a lock.
pub struct Stream {
    transport: RefCell<Transport>,
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self { transport: RefCell::new(Transport::Plain(socket)) }
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(session: TlsStream<TcpStream>) -> Self {
        Self { transport: RefCell::new(Transport::Tls(Box::new(session))) }
    }
}

impl Stream {
    /// Reads what is there, at most `space.len()` bytes; `Ok(0)` is the peer's end of stream.
    pub fn poll_read(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(space);
        let polled = match &mut *self.transport.borrow_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, &mut read),
            Transport::Tls(session) => Pin::new(session.as_mut()).poll_read(cx, &mut read),
        };
        polled.map_ok(|()| read.filled().len())
    }

    /// Reads what is there into an intake that has room, which lends a buffer only if something is; `Ok(0)` is the peer's end of
    /// stream. `waits` says that this was pending since bytes came last: then a waker waits already, and to know that nothing
    /// has come costs less than to register it again.
    pub fn poll_take(
        &self,
        cx: &mut Context<'_>,
        intake: &mut Intake,
        waits: &mut bool,
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut *self.transport.borrow_mut() {
            Transport::Plain(socket) => loop {
                match take(socket, intake) {
                    Took::Bytes(n) => break Poll::Ready(Ok(n)),
                    Took::Error(error) => break Poll::Ready(Err(error)),
                    Took::NoNews if *waits => break Poll::Pending,
                    // An error is told by the read.
                    Took::NoNews | Took::Nothing if socket.poll_read_ready(cx).is_pending() => {
                        break Poll::Pending;
                    }
                    Took::NoNews | Took::Nothing => {}
                }
            },
            Transport::Tls(session) => {
                // What is decrypted already is not the socket's to tell, and was read before it waited.
                if *waits && !has_news(session.get_ref().0) {
                    return Poll::Pending;
                }
                let mut read = ReadBuf::new(intake.space());
                let polled = Pin::new(session.as_mut()).poll_read(cx, &mut read);
                let n = read.filled().len();
                polled.map_ok(|()| {
                    intake.filled(n);
                    n
                })
            }
        };
        *waits = polled.is_pending();
        polled
    }

    /// Writes all of `bytes` if the peer takes them at once; says how many it took. TLS takes none.
    pub fn write_at_once(&self, bytes: &[u8]) -> usize {
        match &*self.transport.borrow() {
            Transport::Plain(socket) => {
                let send = || Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?);
                // An error is told by the next write.
                socket.try_io(Interest::WRITABLE, send).unwrap_or(0)
            }
            Transport::Tls(_) => 0,
        }
    }

    /// Writes some of `bytes`; TLS may keep them until [`Stream::poll_flush`].
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self.transport.borrow_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(session) => Pin::new(session.as_mut()).poll_write(cx, bytes),
        }
    }

    /// Pushes out what TLS holds back; nothing to do on a plain socket.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.transport.borrow_mut() {
            Transport::Plain(_) => Poll::Ready(Ok(())),
            Transport::Tls(session) => Pin::new(session.as_mut()).poll_flush(cx),
        }
    }

    /// Whether what comes may go on without being seen: nothing is encrypted.
    pub fn is_plain(&self) -> bool {
        matches!(&*self.transport.borrow(), Transport::Plain(_))
    }

    /// Moves at most `max` bytes that have come into a pipe that is empty; `Ok(0)` is the peer's end of stream. Only of a
    /// plain stream.
    pub fn poll_fill(&self, cx: &mut Context<'_>, pipe: &mut Pipe, max: usize) -> Poll<io::Result<usize>> {
        let transport = self.transport.borrow();
        let Transport::Plain(socket) = &*transport else { return Poll::Ready(Err(NOT_PLAIN.into())) };
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match socket.try_io(Interest::READABLE, || pipe.fill(socket, max)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => return Poll::Ready(filled),
            }
        }
    }

    /// Writes bytes out of a pipe that holds some. Only to a plain stream.
    pub fn poll_empty(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        let transport = self.transport.borrow();
        let Transport::Plain(socket) = &*transport else { return Poll::Ready(Err(NOT_PLAIN.into())) };
        loop {
            ready!(socket.poll_write_ready(cx))?;
            match socket.try_io(Interest::WRITABLE, || pipe.empty(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                emptied => return Poll::Ready(emptied),
            }
        }
    }

    /// Reads what is there. Cancel-safe: nothing is read unless it is returned.
    pub async fn read(&self, space: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, space)).await
    }

    /// Writes all bytes and flushes. Not cancel-safe: a part may have been written.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::future::poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[n..];
        }
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Closes so that the peer gets to read what was written: says that nothing more comes, and reads on until the
    /// peer has closed as well, for at most [`LINGER`]. Closing a socket with unread bytes in it would reset the
    /// connection, and a reset destroys what is still on its way.
    pub async fn part(&self) {
        let _ = timer::timeout(LINGER, async {
            self.shutdown().await;
            let mut space = [0; 1024];
            while self.read(&mut space).await.is_ok_and(|n| n > 0) {}
        })
        .await;
    }

    /// Says to the peer that nothing more comes. Errors are of no interest: the stream is at its end either way.
    pub async fn shutdown(&self) {
        let _ = std::future::poll_fn(|cx| match &mut *self.transport.borrow_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(session) => Pin::new(session.as_mut()).poll_shutdown(cx),
        })
        .await;
    }
}

/// What a look at a socket gave.
enum Took {
    /// So many bytes; none at the end of the stream.
    Bytes(usize),
    /// Nothing has been heard of it since it was dry: who waits for it waits on.
    NoNews,
    /// Something was heard of it, and its waker has gone, but there was nothing.
    Nothing,
    /// It is broken.
    Error(io::Error),
}

/// Reads what has come, by one system call at most.
fn take(socket: &TcpStream, intake: &mut Intake) -> Took {
    let mut took = Took::NoNews;
    let looked = socket.try_io(Interest::READABLE, || {
        took = Took::Nothing;
        let space = intake.space();
        let (n, _) = rustix::net::recv(socket, &mut *space, RecvFlags::empty())?;
        let is_dry = n > 0 && n < space.len();
        intake.filled(n);
        took = Took::Bytes(n);
        // What fills less than the space was all: so the socket is marked, and not asked again before something comes.
        if is_dry { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match looked {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Took::Error(error),
        Ok(()) | Err(_) => took,
    }
}

/// Whether anything has come to the socket.
fn has_news(socket: &TcpStream) -> bool {
    let mut has_news = false;
    let looked = socket.try_io(Interest::READABLE, || {
        has_news = true;
        Ok(())
    });
    has_news || looked.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A stream, its peer, and another hand on the stream's socket.
    fn streams() -> (Stream, std::net::TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let other_hand = ours.try_clone().unwrap();
        (Stream::from(TcpStream::from_std(ours).unwrap()), listener.accept().unwrap().0, other_hand)
    }

    async fn take_next(stream: &Stream, intake: &mut Intake, waits: &mut bool) -> usize {
        std::future::poll_fn(|cx| stream.poll_take(cx, intake, waits)).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_are_heard_of_after_a_waking_that_brought_none() {
        let (stream, mut peer, mut other_hand) = streams();
        let (mut intake, mut waits) = (Intake::default(), false);
        std::future::poll_fn(|cx| {
            assert!(stream.poll_take(cx, &mut intake, &mut waits).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(waits && intake.is_empty());
        peer.write_all(b"gone").unwrap();
        let has_news = || match &*stream.transport.borrow() {
            Transport::Plain(socket) => has_news(socket),
            Transport::Tls(_) => false,
        };
        while !has_news() {
            timer::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(other_hand.read(&mut [0; 10]).unwrap(), 4);
        let then_write = async {
            tokio::task::yield_now().await;
            peer.write_all(b"here").unwrap();
        };
        let taken = async { tokio::join!(take_next(&stream, &mut intake, &mut waits), then_write).0 };
        assert_eq!(timer::timeout(Duration::from_mins(1), taken).await.unwrap(), 4);
        assert_eq!(intake.rest(), b"here");
        assert!(!waits);
        drop(peer);
        assert_eq!(take_next(&stream, &mut intake, &mut waits).await, 0);
    }
}
