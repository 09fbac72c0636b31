//! How each broker of a cluster fares: told by whoever dials it, loses a connection to it or hears its answers, and asked by
//! whoever dials next.
//!
//! Workers' threads and the control thread share it. What a dial has to know of a broker without trouble is one atomic read;
//! the lock behind is held for some arithmetic, at dials that fail and those after them. Nothing here is met by a request,
//! but for one read when a broker's bytes arrive.

pub mod parting;
pub mod recovery;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use policy::breaker::{Awaited, Breaker, Change, Outcome, Probe, State};
use tokio::sync::{Notify, Semaphore, watch};
use wire::{NodeId, Upstream};

use crate::conn::random_share;
use crate::listener::Entry;
use crate::upstream::DialError;

/// Dials of one broker for clients at once. A broker that starts has a short queue of connections (Kafka's own has room
/// for 50), and what does not fit there is lost for a second.
const DIALS_MAX: usize = 32;

/// The health of one cluster's brokers.
pub struct Health {
    nodes: ArcSwap<BTreeMap<NodeId, Arc<NodeHealth>>>,
    /// A broker is dialled again, or somewhere else: who waits for one looks anew.
    news: watch::Sender<()>,
    /// Something is to be probed: wakes [`recovery::keep`].
    pub(crate) troubled: Notify,
}

/// The health of one broker.
pub struct NodeHealth {
    /// Which it is.
    pub id: NodeId,
    breaker: Mutex<Breaker>,
    /// Whether the breaker has anything to say: read by those who dial, so that most of them take no lock.
    has_trouble: AtomicBool,
    /// Whether it has sent any byte since the last look began.
    has_answered: AtomicBool,
    /// Turns of clients to dial it: when it is back, they don't come all at once.
    pub(crate) dials: Semaphore,
    /// Clients that are held until it can be reached.
    waiting: AtomicUsize,
    /// Connections of clients, by [`Through`].
    connections: [AtomicUsize; 2],
    /// How often it was given up.
    openings: AtomicU64,
    told: Mutex<Told>,
}

/// What operators are told of a broker.
#[derive(Clone)]
pub struct Told {
    /// Where it was dialled last.
    address: Option<Upstream>,
    /// What went wrong last, as in the metric of dials, and when.
    pub failed: Option<(&'static str, Instant)>,
    /// Since when it is dialled, or left alone.
    pub since: Instant,
}

/// By which port a connection came that a broker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Any broker would have done.
    Bootstrap = 0,
    /// It had to be this one.
    Node = 1,
}

impl Through {
    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Node => "node",
        }
    }
}

impl From<Entry> for Through {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Bootstrap => Self::Bootstrap,
            Entry::Node(_) => Self::Node,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { nodes: ArcSwap::default(), news: watch::Sender::new(()), troubled: Notify::new() }
    }
}

impl Health {
    /// A broker's health.
    pub fn node(&self, id: NodeId) -> Arc<NodeHealth> {
        if let Some(node) = self.nodes.load().get(&id) {
            return Arc::clone(node);
        }
        self.nodes.rcu(|nodes| {
            let mut nodes = BTreeMap::clone(nodes);
            nodes.entry(id).or_insert_with(|| Arc::new(NodeHealth::new(id)));
            nodes
        });
        self.nodes.load().get(&id).map_or_else(|| Arc::new(NodeHealth::new(id)), Arc::clone)
    }

    /// All brokers of which anything was heard.
    pub fn nodes(&self) -> Arc<BTreeMap<NodeId, Arc<NodeHealth>>> {
        self.nodes.load_full()
    }

    /// Whether a broker is dialled at present.
    pub fn admits(&self, id: NodeId) -> bool {
        self.nodes.load().get(&id).is_none_or(|node| node.admits())
    }

    /// Wakes when a broker is given up, is back, or is somewhere else.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// A dial of this address, or a question on a connection to it that is kept, went like this. Of a broker that is
    /// dialled elsewhere by now it says nothing.
    pub fn dialled(&self, id: NodeId, address: &Upstream, error: Option<&DialError>) {
        let node = self.node(id);
        if node.is_elsewhere(address) {
            return;
        }
        let change = node.note(error, |breaker, outcome, now| breaker.dialled(outcome, now, random_share()));
        self.tell(change);
    }

    /// A connection to a broker broke.
    pub fn broke(&self, id: NodeId) {
        let node = self.node(id);
        node.has_answered.store(false, Ordering::Relaxed);
        node.told().failed = Some(("broken", Instant::now()));
        node.with(Breaker::broke);
        self.troubled.notify_one();
    }

    /// A broker is dialled here from now on. Whatever was known of another address is void.
    pub fn moved(&self, id: NodeId, address: &Upstream) {
        let node = self.node(id);
        {
            let mut told = node.told();
            match &told.address {
                Some(before) if before == address => return,
                Some(_) => {}
                None => {
                    told.address = Some(address.clone());
                    return;
                }
            }
            told.address = Some(address.clone());
        }
        node.with(|breaker| *breaker = Breaker::default());
        self.news.send_replace(());
    }

    fn tell(&self, change: Change) {
        match change {
            Change::Closed => self.news.send_replace(()),
            Change::Opened => {
                self.troubled.notify_one();
                self.news.send_replace(());
            }
            Change::None => {}
        }
    }
}

impl NodeHealth {
    fn new(id: NodeId) -> Self {
        Self {
            id,
            breaker: Mutex::default(),
            has_trouble: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            dials: Semaphore::new(DIALS_MAX),
            waiting: AtomicUsize::new(0),
            connections: [AtomicUsize::new(0), AtomicUsize::new(0)],
            openings: AtomicU64::new(0),
            told: Mutex::new(Told { address: None, failed: None, since: Instant::now() }),
        }
    }

    /// Whether it is dialled at present.
    pub fn admits(&self) -> bool {
        !self.has_trouble.load(Ordering::Acquire) || self.state() == State::Closed
    }

    /// Its breaker's state.
    pub fn state(&self) -> State {
        self.breaker().state()
    }

    /// How often it was missed in a row.
    pub fn failures(&self) -> u32 {
        self.breaker().failures()
    }

    /// How often it was given up.
    pub fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// Connections of clients that it serves.
    pub fn connections(&self, through: Through) -> usize {
        self.connections[through as usize].load(Ordering::Relaxed)
    }

    /// What operators are told.
    pub fn tale(&self) -> Told {
        self.told().clone()
    }

    /// It has sent bytes to a client. Called for all of them: it writes once between two looks.
    pub fn answers(&self) {
        if !self.has_answered.load(Ordering::Relaxed) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it has sent any since this was asked last.
    pub fn take_answered(&self) -> bool {
        self.has_answered.swap(false, Ordering::Relaxed)
    }

    /// Whether it is dialled at another address than this.
    fn is_elsewhere(&self, address: &Upstream) -> bool {
        self.told().address.as_ref().is_some_and(|now| now != address)
    }

    /// Whether it is left alone at this address.
    pub fn is_left_alone(&self, address: &Upstream) -> bool {
        !self.admits() && !self.is_elsewhere(address)
    }

    /// Whether to probe it now.
    fn probe(&self, now: Instant) -> Probe {
        if !self.has_trouble.load(Ordering::Acquire) {
            return Probe::Never;
        }
        let awaited = if self.waiting.load(Ordering::Relaxed) > 0 { Awaited::Yes } else { Awaited::No };
        self.with(|breaker| breaker.probe(awaited, now))
    }

    /// Notes how a try went: for operators, then in the breaker by `count`.
    fn note(
        &self,
        error: Option<&DialError>,
        count: impl FnOnce(&mut Breaker, Outcome, Instant) -> Change,
    ) -> Change {
        let now = Instant::now();
        let outcome = match error {
            // Also one that is there and says no: that does not change by leaving it alone.
            None | Some(DialError::Login(..)) => Outcome::Reached,
            Some(
                DialError::Resolve(..)
                | DialError::Connect(..)
                | DialError::Tls(..)
                | DialError::Protocol(..)
                | DialError::Timeout(..),
            ) => Outcome::Missed,
        };
        if let Some(error) = error {
            self.told().failed = Some((error.label(), now));
        } else if !self.has_trouble.load(Ordering::Acquire) {
            return Change::None;
        }
        let change = self.with(|breaker| count(breaker, outcome, now));
        match change {
            Change::Opened => {
                self.openings.fetch_add(1, Ordering::Relaxed);
                self.told().since = now;
            }
            Change::Closed => self.told().since = now,
            Change::None => {}
        }
        change
    }

    fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker();
        let done = act(&mut breaker);
        self.has_trouble.store(!breaker.is_untroubled(), Ordering::Release);
        done
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a client among those that wait for a broker, as long as it lives.
pub struct Waiting(Vec<Arc<NodeHealth>>);

impl Waiting {
    /// A client waits for any of these.
    pub fn for_any(health: &Health, nodes: &[NodeId]) -> Self {
        let nodes: Vec<_> = nodes.iter().map(|id| health.node(*id)).collect();
        let first = nodes.iter().any(|node| node.waiting.fetch_add(1, Ordering::Relaxed) == 0);
        if first {
            // The next probe may be due earlier now.
            health.troubled.notify_one();
        }
        Self(nodes)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for node in &self.0 {
            node.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts a client's connection among those that a broker serves, as long as it lives.
pub struct Served {
    /// By whom.
    pub node: Arc<NodeHealth>,
    through: Through,
}

impl Served {
    /// A client is served by this broker.
    pub fn by(node: Arc<NodeHealth>, through: Through) -> Self {
        node.connections[through as usize].fetch_add(1, Ordering::Relaxed);
        Self { node, through }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.node.connections[self.through as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
