//! A cluster as the gateway knows it now: how to reach its brokers and what they offer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use policy::access::Privilege;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use wire::versions::{Offered, answer_body};
use wire::{NodeId, Upstream};

use crate::listener::Listener;
use crate::metrics::Shard;
use crate::partitions::{Asks, Partitions};
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
    turn: AtomicUsize,
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
        let learned = tokio::time::timeout(hold, seen.wait_for(Option::is_some)).await;
        learned.ok()?.ok()?.clone()
    }

    /// Makes a new topology known to everybody.
    pub fn publish(&self, topology: Topology) {
        self.topology.send_replace(Some(Arc::new(topology)));
    }

    /// Brokers for calls that any broker can answer: those that are up, each time beginning with another one.
    pub fn any_broker(&self, topology: &Topology) -> Vec<NodeId> {
        let mut up: Vec<NodeId> =
            topology.nodes.iter().filter(|(_, node)| node.up).map(|(id, _)| *id).collect();
        if up.is_empty() {
            up = topology.nodes.keys().copied().collect();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if !up.is_empty() {
            let first = turn % up.len();
            up.rotate_left(first);
        }
        up
    }
}
