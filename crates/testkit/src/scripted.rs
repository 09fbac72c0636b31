//! A broker that does as a closure says, for faults that real ones do not show.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::raw::sized;

const FRAME_BYTES_MAX: i32 = 256 << 20;

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This frame; its size is put before it.
    Frame(Vec<u8>),
    /// These bytes as they are: several frames, a part of one, or nonsense.
    Bytes(Vec<u8>),
    /// These bytes one after another, with a pause before each.
    Slowly(Vec<Vec<u8>>, Duration),
    /// Nothing (acks = 0, or a broker that hangs).
    Nothing,
    /// These bytes, then the connection is closed.
    Close(Vec<u8>),
}

/// One request as the broker sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which connection, counted from 0.
    pub connection: u64,
    /// The frame without its size.
    pub frame: Vec<u8>,
}

impl Request {
    /// The API's key; -1 in a frame that is too short.
    pub fn key(&self) -> i16 {
        self.i16_at(0)
    }

    /// The API's version; -1 in a frame that is too short.
    pub fn version(&self) -> i16 {
        self.i16_at(2)
    }

    /// The correlation id as bytes, for the beginning of an answer; empty in a frame that is too short.
    pub fn correlation(&self) -> &[u8] {
        self.frame.get(4..8).unwrap_or_default()
    }

    fn i16_at(&self, at: usize) -> i16 {
        let bytes = self.frame.get(at..at + 2).and_then(|bytes| bytes.first_chunk::<2>());
        bytes.map_or(-1, |bytes| i16::from_be_bytes(*bytes))
    }
}

/// A listening scripted broker; ends with all of its connections at drop.
#[derive(Debug)]
pub struct ScriptedBroker {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    accepted: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl ScriptedBroker {
    /// Listens at a port of 127.0.0.1 (0: any), and asks `script` about each request, connections in parallel.
    pub fn start(
        port: u16,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<ScriptedBroker> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let connection = of_thread.accepted.fetch_add(1, Ordering::SeqCst);
                if let Ok(clone) = stream.try_clone() {
                    of_thread.streams().push(clone);
                }
                let script = Arc::clone(&script);
                // How a connection ends is the peer's to judge.
                thread::spawn(move || drop(serve(stream, connection, &*script)));
            }
        });
        Ok(ScriptedBroker { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Cuts every connection that is open now.
    pub fn cut(&self) {
        for stream in self.shared.streams().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        self.cut();
    }
}

fn serve(mut stream: TcpStream, connection: u64, script: &dyn Fn(&Request) -> Reply) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let size = i32::from_be_bytes(size);
        if !(0..=FRAME_BYTES_MAX).contains(&size) {
            return stream.shutdown(Shutdown::Both);
        }
        let mut frame = Vec::new();
        let size = u64::from(size.unsigned_abs());
        let read = Read::by_ref(&mut stream).take(size).read_to_end(&mut frame)?;
        if read as u64 != size {
            return Ok(()); // the peer left within a frame
        }
        match script(&Request { connection, frame }) {
            Reply::Frame(frame) => stream.write_all(&sized(&frame))?,
            Reply::Bytes(bytes) => stream.write_all(&bytes)?,
            Reply::Slowly(pieces, pause) => {
                for piece in pieces {
                    thread::sleep(pause);
                    stream.write_all(&piece)?;
                }
            }
            Reply::Nothing => {}
            Reply::Close(bytes) => {
                stream.write_all(&bytes)?;
                return stream.shutdown(Shutdown::Both);
            }
        }
    }
}
