//! A blocking relay, two threads for each connection, nothing parsed: about the least that a relay can cost. It
//! copies through a buffer, or splices through a pipe so that no byte enters user space.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

const BUFFER_BYTES: usize = 256 * 1024;
const PIPE_BYTES: usize = 1024 * 1024;
const STACK_BYTES: usize = 64 * 1024;

/// How bytes get from socket to socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// read(2) and write(2).
    Copy,
    /// splice(2) into a pipe of 1 MiB and out of it.
    Splice,
}

/// Relays what comes to `listener` to `broker`, on threads, until the process ends.
pub fn start(listener: TcpListener, broker: SocketAddr, way: Way) -> Result<()> {
    thread::Builder::new()
        .spawn(move || {
            for client in listener.incoming() {
                if let Err(error) = client.and_then(|client| relay(client, broker, way)) {
                    eprintln!("floor: {error}");
                }
            }
        })
        .context("no thread")?;
    Ok(())
}

fn relay(client: TcpStream, broker: SocketAddr, way: Way) -> io::Result<()> {
    let broker = TcpStream::connect(broker)?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    direction(client.try_clone()?, broker.try_clone()?, way)?;
    direction(broker, client, way)
}

fn direction(from: TcpStream, to: TcpStream, way: Way) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let ended = match way {
            Way::Copy => copy(&from, &to),
            Way::Splice => pass(&from, &to),
        };
        // Either way this direction is over; how is not this program's interest.
        ended.and_then(|()| to.shutdown(Shutdown::Write)).ok();
    })?;
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}

fn pass(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC)?;
    // Beyond fs.pipe-user-pages-soft an unprivileged user gets less; it works all the same.
    fcntl_setpipe_size(&into, PIPE_BYTES).ok();
    loop {
        let mut held = splice(from, None, &into, None, PIPE_BYTES, SpliceFlags::MOVE)?;
        if held == 0 {
            return Ok(());
        }
        while held > 0 {
            held -= splice(&out, None, to, None, held, SpliceFlags::MOVE)?;
        }
    }
}
