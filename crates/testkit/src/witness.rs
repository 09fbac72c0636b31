//! A witness between a gateway and its brokers: what limits let through is seen where it arrives, whatever the gateway and
//! the clients say of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::free_ports::FreePorts;
use crate::kafka::KafkaCluster;
use crate::pace::{Pace, Went};
use crate::relay::{Eyes, Relay};

/// Size, API key, version, correlation id and the client id's length.
const HEAD_BYTES: usize = 14;
/// The client id under which a gateway asks questions of its own.
const OF_GATEWAY: &str = "portcullis";
/// Size and correlation id.
const ANSWER_HEAD_BYTES: usize = 8;

/// Stands in for every broker of a cluster.
#[derive(Debug)]
pub struct Witness {
    nodes: BTreeMap<i32, String>,
    seen: Arc<Mutex<Seen>>,
    _relay: Relay,
    _ports: FreePorts,
}

/// A request that came to a broker.
#[derive(Clone, Debug)]
pub struct Passed {
    /// On which connection, counted from 0.
    pub connection: u64,
    /// Who sent it, as it says.
    pub client_id: Arc<str>,
    /// The key of its API.
    pub key: i16,
    /// Its bytes, with the size.
    pub bytes: u64,
    /// When it came, in seconds of Unix time.
    pub at: f64,
    /// When its answer came back, and how many bytes that has.
    pub answer: Option<(f64, u64)>,
}

#[derive(Debug, Default)]
struct Seen {
    passed: Vec<Passed>,
    names: HashMap<Vec<u8>, Arc<str>>,
}

impl Witness {
    /// A witness before every broker of a cluster.
    pub fn before(cluster: &KafkaCluster) -> Result<Witness> {
        let brokers = cluster.node_addresses();
        let ports = FreePorts::reserve(u16::try_from(brokers.len())?)?;
        let (mut nodes, mut pairs) = (BTreeMap::new(), Vec::new());
        for ((node, address), port) in brokers.into_iter().zip(ports.all()) {
            let (_, broker) = address.rsplit_once(':').context("an address without a port")?;
            pairs.push((port, broker.parse()?));
            nodes.insert(node, format!("127.0.0.1:{port}"));
        }
        let seen = Arc::<Mutex<Seen>>::default();
        let of_eyes = Arc::clone(&seen);
        let relay = Relay::start(&pairs, Ipv4Addr::LOCALHOST, move |number| eyes(number, &of_eyes))?;
        Ok(Witness { nodes, seen, _relay: relay, _ports: ports })
    }

    /// Where the brokers are to be dialled.
    pub fn node_addresses(&self) -> BTreeMap<i32, String> {
        self.nodes.clone()
    }

    /// All of these addresses.
    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.values().cloned().collect()
    }

    /// The requests so far, in the order in which they came.
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.seen).passed.clone()
    }

    /// How fast requests came of which `units` counts so many.
    pub fn requests(&self, units: impl Fn(&Passed) -> Option<u64>) -> Pace {
        let went = |passed: &Passed| Some(Went { at: passed.at, units: whole(units(passed)?) });
        Pace::new(lock(&self.seen).passed.iter().filter_map(went))
    }

    /// How fast the answers came, in bytes less so many of each, to those requests that `of` picks.
    pub fn answered_bytes(&self, of: impl Fn(&Passed) -> bool, less: u64) -> Pace {
        let went = |passed: &Passed| {
            let answer = passed.answer.filter(|_| of(passed));
            answer.map(|(at, bytes)| Went { at, units: whole(bytes.saturating_sub(less)) })
        };
        Pace::new(lock(&self.seen).passed.iter().filter_map(went))
    }

    /// The longest time that one of the connections with such requests took from what the gateway asked on it itself to the
    /// first request of a client, in seconds: what was let go before waits for that.
    pub fn longest_dial(&self, of: impl Fn(&Passed) -> bool) -> f64 {
        let (mut dialled, mut took, mut picked) = (HashMap::new(), HashMap::new(), HashSet::new());
        for passed in &lock(&self.seen).passed {
            let dialled = *dialled.entry(passed.connection).or_insert(passed.at);
            if &*passed.client_id != OF_GATEWAY {
                took.entry(passed.connection).or_insert(passed.at - dialled);
            }
            if of(passed) {
                picked.insert(passed.connection);
            }
        }
        picked.iter().filter_map(|connection| took.get(connection)).copied().fold(0.0, f64::max)
    }

    /// The longest time that the answer to one of those requests took, in seconds.
    pub fn longest_answer(&self, of: impl Fn(&Passed) -> bool) -> f64 {
        let seen = lock(&self.seen);
        let took = |passed: &Passed| passed.answer.map(|(at, _)| at - passed.at);
        seen.passed.iter().filter(|passed| of(passed)).filter_map(took).fold(0.0, f64::max)
    }

    /// The most of those requests that were ever unanswered at once.
    pub fn most_in_flight(&self, of: impl Fn(&Passed) -> bool) -> usize {
        let seen = lock(&self.seen);
        let mut changes: Vec<(f64, isize)> = Vec::new();
        for passed in seen.passed.iter().filter(|passed| of(passed)) {
            changes.push((passed.at, 1));
            changes.extend(passed.answer.map(|(at, _)| (at, -1)));
        }
        // What ends at a moment makes room for what begins then.
        changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let most = changes.iter().scan(0, |now, (_, change)| {
            *now += change;
            Some(*now)
        });
        most.max().and_then(|most| usize::try_from(most).ok()).unwrap_or(0)
    }
}

#[allow(clippy::cast_precision_loss, reason = "tests count less than 2^52")]
fn whole(units: u64) -> f64 {
    units as f64
}

/// Now, in seconds of Unix time.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eyes for one connection, which note what they see.
fn eyes(connection: u64, seen: &Arc<Mutex<Seen>>) -> Eyes {
    let owed = Arc::<Mutex<HashMap<[u8; 4], usize>>>::default();
    let (of_answers, notes) = (Arc::clone(&owed), Arc::clone(seen));
    let mut asked = Frames::default();
    let seen = Arc::clone(seen);
    let asked = Box::new(move |bytes: &[u8]| {
        let at = now();
        asked.feed(bytes, &mut |head| {
            let fixed = head.first_chunk::<HEAD_BYTES>()?;
            let [_, _, _, _, k, ey, _, _, c1, c2, c3, c4, long, er] = *fixed;
            let name = usize::try_from(i16::from_be_bytes([long, er])).unwrap_or(0);
            let name = head.get(HEAD_BYTES..HEAD_BYTES + name)?;
            let mut seen = lock(&seen);
            let client_id = seen.name(name);
            let (key, answer) = (i16::from_be_bytes([k, ey]), None);
            let passed = Passed { connection, client_id, key, bytes: size_of(head)?, at, answer };
            let number = seen.passed.len();
            seen.passed.push(passed);
            drop(seen);
            owed.lock().unwrap_or_else(PoisonError::into_inner).insert([c1, c2, c3, c4], number);
            Some(())
        });
    });
    let mut answered = Frames::default();
    let answered = Box::new(move |bytes: &[u8]| {
        let at = now();
        answered.feed(bytes, &mut |head| {
            let [_, _, _, _, c1, c2, c3, c4] = *head.first_chunk::<ANSWER_HEAD_BYTES>()?;
            let question =
                of_answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&[c1, c2, c3, c4]);
            let mut seen = lock(&notes);
            if let Some(passed) = question.and_then(|number| seen.passed.get_mut(number)) {
                passed.answer = size_of(head).map(|bytes| (at, bytes));
            }
            Some(())
        });
    });
    Eyes { asked, answered }
}

impl Seen {
    fn name(&mut self, name: &[u8]) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = String::from_utf8_lossy(name).into();
        self.names.insert(name.to_vec(), Arc::clone(&new));
        new
    }
}

/// The bytes of a frame, with its size.
fn size_of(head: &[u8]) -> Option<u64> {
    let size = i32::from_be_bytes(*head.first_chunk::<4>()?);
    u64::try_from(size).ok().map(|size| size + 4)
}

/// Finds the frames of a stream by their sizes.
#[derive(Debug, Default)]
struct Frames {
    /// What is there of a head that is not whole.
    head: Vec<u8>,
    /// Bytes until the next frame.
    left: u64,
}

impl Frames {
    /// The next bytes. `begins` is asked about each frame's head until it has seen enough of it.
    fn feed(&mut self, mut bytes: &[u8], begins: &mut dyn FnMut(&[u8]) -> Option<()>) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((next, rest)) = bytes.split_first() else { return };
            self.head.push(*next);
            bytes = rest;
            let Some(size) = size_of(&self.head) else { continue };
            let is_whole = self.head.len() as u64 >= size;
            if begins(&self.head).is_some() || is_whole {
                self.left = size.saturating_sub(self.head.len() as u64);
                self.head.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::raw::{HeadStyle, request, sized};

    /// Whatever is cut where, the witness sees two requests and the answer to one of them.
    #[test]
    fn requests_and_answers_are_seen_however_the_stream_is_cut() {
        let first = sized(&request(0, 9, 7, "one", HeadStyle::Flexible, &[1; 5000]));
        let second = sized(&request(1, 4, 8, "", HeadStyle::Classic, b""));
        let answer = sized(&[8_i32.to_be_bytes().as_slice(), &[2; 300]].concat());
        for size in 1..40 {
            let seen = Arc::<Mutex<Seen>>::default();
            let mut eyes = eyes(3, &seen);
            [first.clone(), second.clone()].concat().chunks(size).for_each(|chunk| (eyes.asked)(chunk));
            answer.chunks(size).for_each(|chunk| (eyes.answered)(chunk));
            let passed = lock(&seen).passed.clone();
            assert_eq!(passed.len(), 2);
            let (one, other) = (&passed[0], &passed[1]);
            assert_eq!((one.connection, &*one.client_id, one.key), (3, "one", 0));
            assert_eq!((one.bytes, one.answer), (first.len() as u64, None));
            assert_eq!((&*other.client_id, other.key, other.bytes), ("", 1, second.len() as u64));
            assert_eq!(other.answer.unwrap().1, answer.len() as u64);
        }
    }
}
