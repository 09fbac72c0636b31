//! Pipes through which the records of large frames go from socket to socket, so that they are not copied into the process
//! and out of it again. They belong to a thread, and are lent while a large frame is under way.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Bytes that a pipe takes at once, where the system lets it.
const PIPE_BYTES: usize = 256 * 1024;

/// Pipes of the process. All together take what an unprivileged user may have in large pipes before each of his others shrinks
/// (`fs.pipe-user-pages-soft`), by half.
const PIPES_MAX: usize = 128;

/// Pipes that a thread keeps for the next large frame.
const KEPT_MAX: usize = 8;

/// Pipes of the process that are open, lent or kept.
static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Not state of the program but a cache: nothing is lost when it is empty.
    static KEPT: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// Both ends of a pipe, which is counted.
struct Ends {
    out: OwnedFd,
    into: OwnedFd,
}

impl Ends {
    fn open() -> Option<Self> {
        let one_more = |open: usize| (open < PIPES_MAX).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        let Ok((out, into)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        // A smaller one works as well.
        let _ = fcntl_setpipe_size(&into, PIPE_BYTES);
        Some(Self { out, into })
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A lent pipe, which returns to its thread's pool when dropped, unless bytes are in it.
pub struct Pipe {
    /// Absent only during `drop`.
    ends: Option<Ends>,
    held: usize,
}

impl Pipe {
    /// Lends a pipe; `None` where as many are in use as may be.
    pub fn lend() -> Option<Self> {
        let ends = KEPT.with_borrow_mut(Vec::pop).or_else(Ends::open)?;
        Some(Self { ends: Some(ends), held: 0 })
    }

    /// Pipes of the process that are open.
    pub fn open() -> usize {
        OPEN.load(Ordering::Relaxed)
    }

    /// Bytes that are in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves at most `max` bytes from a socket into the pipe, which is empty; 0 at the end of the stream. `WouldBlock` where the
    /// socket has none.
    pub fn fill(&mut self, socket: impl AsFd, max: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(socket, None, &ends.into, None, max.min(PIPE_BYTES), FLAGS)?;
        self.held += n;
        Ok(n)
    }

    /// Moves bytes from the pipe into a socket. `WouldBlock` where the socket takes none.
    pub fn empty(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(&ends.out, None, socket, None, self.held, FLAGS)?;
        self.held -= n;
        Ok(n)
    }
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take().filter(|_| self.held == 0) else { return };
        // During the thread's end the pool may be gone already; then the pipe is closed.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(ends);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_go_from_socket_to_socket_and_a_pipe_that_is_not_empty_is_not_lent_again() {
        let ((mut writer, from), (to, mut reader)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        writer.write_all(b"records").unwrap();
        let mut pipe = Pipe::lend().unwrap();
        assert_eq!((pipe.fill(&from, 4).unwrap(), pipe.empty(&to).unwrap(), pipe.held()), (4, 4, 0));
        drop(pipe);
        let mut pipe = Pipe::lend().unwrap();
        assert_eq!((Pipe::open(), pipe.fill(&from, 100).unwrap()), (1, 3));
        drop(pipe);
        assert_eq!(Pipe::open(), 0);
        let mut came = [0; 4];
        reader.read_exact(&mut came).unwrap();
        assert_eq!(&came, b"reco");
    }
}
