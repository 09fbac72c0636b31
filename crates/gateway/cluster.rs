//! A cluster as the gateway knows it now: how to reach its brokers and what they offer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use policy::access::Privilege;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use wire::versions::{Offered, answer_body};
use wire::{NodeId, Upstream};

use crate::health::Health;
use crate::listener::Listener;
use crate::metrics::Shard;
use crate::partitions::{Asks, Partitions};
use crate::timer;
use crate::topics::Topics;

/// How a cluster's brokers are reached, as configured.
pub struct Spec {
    /// The configuration.
    pub config: Arc<config::Cluster>,
    /// TLS towards the brokers, if they want it.
    pub tls: Option<TlsConnector>,
}

impl Spec {
    /// What a principal may do.
    pub fn privilege(&self, principal: &str) -> Privilege {
        if self.config.admins.contains(principal) { Privilege::Admin } else { Privilege::Ordinary }
    }
}

/// A broker as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is dialled.
    pub address: Upstream,
    /// Whether the last look found it in the cluster and reached it.
    pub up: bool,
    /// Whether the brokers counted it among themselves at the last look.
    pub member: bool,
    /// Where it says that it stands.
    pub rack: Option<Arc<str>>,
}

/// The versions that clients are promised, and the answer to `ApiVersions` in every version of it.
pub struct Offer {
    /// What is offered.
    pub offered: Offered,
    /// Bodies of the answer, by version.
    pub bodies: Vec<Vec<u8>>,
}

impl Offer {
    /// Prepares the answers.
    pub fn new(offered: Offered) -> Self {
        let last = wire::Api::ApiVersions.row().max;
        let bodies = (0..=last).map(|version| answer_body(version, &offered, 0)).collect();
        Self { offered, bodies }
    }
}

/// A cluster's brokers and what they offer, at one moment.
pub struct Topology {
    /// The cluster's id, as its brokers tell it.
    pub cluster_id: Option<String>,
    /// Every broker seen since the start, those that are down as well.
    pub nodes: BTreeMap<NodeId, Node>,
    /// What clients are promised.
    pub offer: Arc<Offer>,
}

/// A cluster. Lives as long as its name is in the configuration.
pub struct Cluster {
    /// Its name in the configuration, metrics and logs.
    pub name: Arc<str>,
    spec: ArcSwap<Spec>,
    topology: watch::Sender<Option<Arc<Topology>>>,
    /// Wakes the look at the topology before its time.
    pub look_now: Notify,
    /// Wakes the look for good: the cluster was removed.
    pub removed: Notify,
    /// The listeners whose ports and books follow the topology.
    pub listeners: ArcSwap<Vec<Arc<Listener>>>,
    /// Counts by thread.
    pub shards: Vec<Arc<Shard>>,
    /// Names of topics by their ids, for limits that look at topics.
    pub topics: Topics,
    /// How many partitions topics have, for limits on changes.
    pub partitions: Partitions,
    /// How each of the brokers fares.
    pub health: Arc<Health>,
    /// Brokers that an operator drains, beside those of the configuration.
    drained: ArcSwap<BTreeSet<NodeId>>,
    turn: AtomicUsize,
}

/// Who drains a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainedBy {
    /// The configuration.
    File,
    /// An operator, by the admin address.
    Operator,
}

impl Cluster {
    /// A cluster that was not looked at yet, and what its connections want to know of the brokers.
    pub fn new(spec: Spec, threads: usize) -> (Self, Asks) {
        let (partitions, asks) = Partitions::new();
        let cluster = Self {
            name: Arc::clone(&spec.config.name),
            spec: ArcSwap::from_pointee(spec),
            topology: watch::Sender::new(None),
            look_now: Notify::new(),
            removed: Notify::new(),
            listeners: ArcSwap::default(),
            shards: (0..threads).map(|_| Arc::new(Shard::default())).collect(),
            topics: Topics::default(),
            partitions,
            health: Arc::default(),
            drained: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        };
        (cluster, asks)
    }

    /// How brokers are reached, as configured now.
    pub fn spec(&self) -> Guard<Arc<Spec>> {
        self.spec.load()
    }

    /// Takes over a reloaded configuration.
    pub fn set_spec(&self, spec: Spec) {
        self.spec.store(Arc::new(spec));
        self.look_now.notify_one();
    }

    /// The topology, if it was ever learned.
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.topology.borrow().clone()
    }

    /// The topology, waited for at most so long. Cancel-safe.
    pub async fn topology_within(&self, hold: Duration) -> Option<Arc<Topology>> {
        let mut seen = self.topology.subscribe();
        let learned = timer::timeout(hold, seen.wait_for(Option::is_some)).await;
        learned.ok()?.ok()?.clone()
    }

    /// Makes a new topology known to everybody.
    pub fn publish(&self, topology: Topology) {
        let topology = Arc::new(topology);
        self.topology.send_replace(Some(Arc::clone(&topology)));
        // In this order: who is woken by a new address finds it.
        topology.nodes.iter().for_each(|(id, node)| self.health.moved(*id, &node.address));
    }

    /// Brokers for calls that any broker can answer, the best first: those that are well, each time beginning with another
    /// one; then those that are being drained, and those that are not well, since they are better than none.
    pub fn any_broker(&self, topology: &Topology) -> Vec<NodeId> {
        let mut by_worth: [Vec<NodeId>; 3] = Default::default();
        for (id, node) in &topology.nodes {
            let worth = match (self.is_well(*id, node), self.is_draining(*id)) {
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2,
            };
            by_worth[worth].push(*id);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for nodes in &mut by_worth {
            let first = turn % nodes.len().max(1);
            nodes.rotate_left(first);
        }
        by_worth.concat()
    }

    /// Whether a broker other than this one is well and stays.
    pub fn has_other(&self, than: NodeId) -> bool {
        let stays = |id: &NodeId, node: &Node| self.is_well(*id, node) && !self.is_draining(*id);
        let topology = self.topology.borrow();
        topology.iter().flat_map(|topology| &topology.nodes).any(|(id, node)| *id != than && stays(id, node))
    }

    fn is_well(&self, id: NodeId, node: &Node) -> bool {
        node.up && self.health.admits(id)
    }

    /// Who drains a broker, if anybody does.
    pub fn drained_by(&self, node: NodeId) -> Option<DrainedBy> {
        if self.spec.load().config.drain_nodes.contains(&node.0) {
            return Some(DrainedBy::File);
        }
        self.drained.load().contains(&node).then_some(DrainedBy::Operator)
    }

    /// Whether a broker is being drained.
    pub fn is_draining(&self, node: NodeId) -> bool {
        self.drained_by(node).is_some()
    }

    /// An operator drains a broker, until it is taken back or the process ends: a reload leaves it as it is.
    pub fn drain(&self, node: NodeId) {
        self.drained.rcu(|nodes| nodes.iter().copied().chain([node]).collect::<BTreeSet<_>>());
    }

    /// An operator takes a drain back.
    pub fn undo_drain(&self, node: NodeId) {
        self.drained
            .rcu(|nodes| nodes.iter().copied().filter(|other| *other != node).collect::<BTreeSet<_>>());
    }
}
