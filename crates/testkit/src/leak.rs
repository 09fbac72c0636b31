//! A tap between clients and a gateway: it hands every byte on as it is, and searches those towards clients for what
//! they must never contain.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::relay::{Eyes, Relay};

/// Bytes shown on each side of a needle.
const AROUND: usize = 48;

/// Taps for a list of addresses; ends with all of its connections at drop.
///
/// What a client dials is told to it by the gateway, so a tap must listen where the gateway says it does: give the
/// listener's `advertised_port` and `advertised_port_base` to the tap, and the ports below them to the gateway.
#[derive(Debug)]
pub struct Tap {
    relay: Relay,
    finds: Arc<Finds>,
}

#[derive(Debug, Default)]
struct Finds {
    found: Mutex<Vec<String>>,
    bytes: AtomicU64,
}

impl Tap {
    /// Listens at each first port of 127.0.0.1, and dials the second port for each connection.
    pub fn start(pairs: &[(u16, u16)], needles: Vec<Vec<u8>>) -> Result<Tap> {
        if needles.iter().any(Vec::is_empty) {
            bail!("an empty needle is found everywhere");
        }
        let finds = Arc::<Finds>::default();
        let (needles, of_eyes) = (Arc::<[Vec<u8>]>::from(needles), Arc::clone(&finds));
        let relay = Relay::start(pairs, Ipv4Addr::LOCALHOST, move |_| {
            let (mut search, finds) = (Search::new(Arc::clone(&needles)), Arc::clone(&of_eyes));
            let answered = Box::new(move |bytes: &[u8]| {
                finds.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                lock(&finds.found).extend(search.feed(bytes));
            });
            Eyes { answered, ..Eyes::closed() }
        })?;
        Ok(Tap { relay, finds })
    }

    /// Where it listens, in the order of the pairs.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.relay.addresses()
    }

    /// Bytes that went towards clients so far: a test that searched nothing proves nothing.
    pub fn searched(&self) -> u64 {
        self.finds.bytes.load(Ordering::SeqCst)
    }

    /// What was found so far, with what stood around it.
    pub fn found(&self) -> Vec<String> {
        lock(&self.finds.found).clone()
    }

    /// Cuts every connection that is open now, as a network would.
    pub fn cut(&self) {
        self.relay.cut();
    }
}

/// Finds needles in a stream, also where they cross the borders of what is fed.
#[derive(Debug)]
pub struct Search {
    needles: Arc<[Vec<u8>]>,
    /// The needles' first bytes, each once.
    begins: Vec<u8>,
    longest: usize,
    tail: Vec<u8>,
}

impl Search {
    /// A search at the beginning of a stream.
    pub fn new(needles: Arc<[Vec<u8>]>) -> Search {
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
    use super::*;

    #[test]
    fn a_needle_is_found_once_however_the_stream_is_cut() {
        let stream = b"xx broker-1.kafka.invalid broker-1.kafka.invalid";
        let needles = Arc::from([b"broker-1.kafka.invalid".to_vec(), b"broker-1".to_vec()]);
        for size in 1..=stream.len() {
            let mut search = Search::new(Arc::clone(&needles));
            let found: Vec<String> = stream.chunks(size).flat_map(|chunk| search.feed(chunk)).collect();
            assert_eq!(found.len(), 4, "cut into {size}: {found:?}");
        }
    }
}
