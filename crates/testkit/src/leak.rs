//! A tap between clients and a gateway: it hands every byte on as it is, and searches those towards clients for what
//! they must never contain.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};

/// Enough to move bulk, and small enough that needles do meet the borders.
const CHUNK: usize = 64 << 10;
/// Bytes shown on each side of a needle.
const AROUND: usize = 48;

/// Taps for a list of addresses; ends with all of its connections at drop.
///
/// What a client dials is told to it by the gateway, so a tap must listen where the gateway says it does: give the
/// listener's `advertised_port` and `advertised_port_base` to the tap, and the ports below them to the gateway.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Shared {
    needles: Vec<Vec<u8>>,
    found: Mutex<Vec<String>>,
    bytes: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

impl Tap {
    /// Listens at each first port of 127.0.0.1, and dials the second port for each connection.
    pub fn start(pairs: &[(u16, u16)], needles: Vec<Vec<u8>>) -> Result<Tap> {
        if needles.iter().any(Vec::is_empty) {
            bail!("an empty needle is found everywhere");
        }
        let shared = Arc::new(Shared {
            needles,
            found: Mutex::default(),
            bytes: AtomicU64::new(0),
            connections: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let mut addresses = Vec::new();
        for (at, to) in pairs {
            let listener = TcpListener::bind(("127.0.0.1", *at))?;
            addresses.push(listener.local_addr()?);
            let (shared, to) = (Arc::clone(&shared), *to);
            thread::spawn(move || accept(&listener, to, &shared));
        }
        Ok(Tap { shared, addresses })
    }

    /// Where it listens, in the order of the pairs.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Bytes that went towards clients so far: a test that searched nothing proves nothing.
    pub fn searched(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// What was found so far, with what stood around it.
    pub fn found(&self) -> Vec<String> {
        lock(&self.shared.found).clone()
    }

    /// Cuts every connection that is open now, as a network would.
    pub fn cut(&self) {
        for stream in lock(&self.shared.connections).drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the accepting thread, which then sees that it is over.
            let _ = TcpStream::connect(address);
        }
        self.cut();
    }
}

fn accept(listener: &TcpListener, to: u16, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // A gateway that refuses is seen by the client as a closed connection.
        let Ok(client) = client else { continue };
        let Ok(gateway) = TcpStream::connect(("127.0.0.1", to)) else { continue };
        if let Err(error) = relay(&client, &gateway, shared) {
            eprintln!("tap: {error}");
        }
    }
}

fn relay(client: &TcpStream, gateway: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    lock(&shared.connections).extend([client.try_clone()?, gateway.try_clone()?]);
    let (from, to) = (client.try_clone()?, gateway.try_clone()?);
    thread::spawn(move || flow(from, to, |_| {}));
    let (from, to, shared) = (gateway.try_clone()?, client.try_clone()?, Arc::clone(shared));
    thread::spawn(move || {
        let mut search = Search::new(&shared.needles);
        flow(from, to, |bytes| {
            shared.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            lock(&shared.found).extend(search.feed(bytes));
        });
    });
    Ok(())
}

fn flow(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut chunk = vec![0; CHUNK];
    // An error on either side ends this direction, and the peer sees an end.
    while let Ok(count) = from.read(&mut chunk) {
        let bytes = chunk.get(..count).unwrap_or_default();
        seen(bytes);
        if count == 0 || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// Finds needles in a stream, also where they cross the borders of what is fed.
#[derive(Debug)]
pub struct Search<'n> {
    needles: &'n [Vec<u8>],
    /// The needles' first bytes, each once.
    begins: Vec<u8>,
    longest: usize,
    tail: Vec<u8>,
}

impl<'n> Search<'n> {
    /// A search at the beginning of a stream.
    pub fn new(needles: &'n [Vec<u8>]) -> Search<'n> {
        let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
        let mut begins: Vec<u8> = needles.iter().filter_map(|needle| needle.first().copied()).collect();
        begins.sort_unstable();
        begins.dedup();
        Search { needles, begins, longest, tail: Vec::new() }
    }

    /// The next bytes of the stream; what was found in them, with what stands around it.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let old = self.tail.len();
        self.tail.extend_from_slice(bytes);
        let mut found = Vec::new();
        for at in 0..self.tail.len() {
            let rest = self.tail.get(at..).unwrap_or_default();
            // One look for most bytes: bulk goes through here.
            if !rest.first().is_some_and(|byte| self.begins.contains(byte)) {
                continue;
            }
            for needle in self.needles.iter().filter(|needle| rest.starts_with(needle)) {
                let end = at + needle.len();
                // One that lies in the old part was reported before.
                if end > old {
                    let around = at.saturating_sub(AROUND)..(end + AROUND).min(self.tail.len());
                    let context = self.tail.get(around).unwrap_or_default().escape_ascii();
                    found.push(format!("{} in {context}", needle.escape_ascii()));
                }
            }
        }
        let kept = self.tail.len().min(self.longest.saturating_sub(1));
        self.tail.drain(..self.tail.len() - kept);
        found
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Search;

    #[test]
    fn a_needle_is_found_once_however_the_stream_is_cut() {
        let stream = b"xx broker-1.kafka.invalid broker-1.kafka.invalid";
        let needles = [b"broker-1.kafka.invalid".to_vec(), b"broker-1".to_vec()];
        for size in 1..=stream.len() {
            let mut search = Search::new(&needles);
            let found: Vec<String> = stream.chunks(size).flat_map(|chunk| search.feed(chunk)).collect();
            assert_eq!(found.len(), 4, "cut into {size}: {found:?}");
        }
    }
}
