//! What is counted: per request on the thread that moves the bytes, per event in families of the registry.

mod brokers;
mod collect;
mod fleet;
mod limits;
mod shard;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use policy::sasl::Refused;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wire::NodeId;

use crate::ended::Ended;
use crate::listener::Place;
use crate::pipe::Pipe;
use crate::upstream::DialError;

pub use brokers::OfBrokers;
pub use collect::exposition;
pub use shard::{Counts, Shard};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCluster {
    cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListener {
    cluster: String,
    listener: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    cluster: String,
    listener: String,
    side: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    cluster: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByNode {
    cluster: String,
    node: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDial {
    cluster: String,
    node: i32,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReload {
    result: &'static str,
}

/// Why a connection was not taken up.
#[derive(Debug, Clone, Copy)]
pub enum Turned {
    /// More were accepted than the threads have taken up.
    Backlog,
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The new configuration is in force.
    Applied,
    /// Nothing was changed.
    Refused,
}

/// The families that are counted per event. Labels are bounded: clusters, listeners and nodes of the configuration.
#[derive(Default)]
pub struct Metrics {
    accepted: Family<ByListener, Counter>,
    open: Family<ByListener, Gauge>,
    ended: Family<ByEnd, Counter>,
    turned_away: Family<ByResult, Counter>,
    logins: Family<ByResult, Counter>,
    dials: Family<ByDial, Counter>,
    probes: Family<ByDial, Counter>,
    node_up: Family<ByNode, Gauge>,
    left_out: Family<ByNode, Counter>,
    looks_failed: Family<ByCluster, Counter>,
    reloads: Family<ByReload, Counter>,
    ready: Gauge<i64, AtomicI64>,
    /// Whether limits are shared.
    pub fleet: fleet::OfFleet,
}

fn listener_of(place: &Place) -> ByListener {
    let listener = place.listener.door().config.bind.to_string();
    ByListener { cluster: place.cluster.name.to_string(), listener }
}

impl Metrics {
    /// Registers all families.
    pub fn register(&self, registry: &mut Registry) {
        self.fleet.register(registry);
        registry.register("connections_accepted", "Client connections accepted", self.accepted.clone());
        registry.register("connections_open", "Client connections open now", self.open.clone());
        registry.register(
            "connections_ended",
            "Client connections ended, by whose doing and why",
            self.ended.clone(),
        );
        registry.register(
            "connections_turned_away",
            "Client connections closed at once, by reason",
            self.turned_away.clone(),
        );
        registry.register("logins", "Logins of clients, by result", self.logins.clone());
        registry.register(
            "broker_dials",
            "Dials of brokers for clients, by node and result",
            self.dials.clone(),
        );
        registry.register(
            "broker_probes",
            "Dials of brokers that were missed, by node and result",
            self.probes.clone(),
        );
        registry.register("broker_up", "1 when the last look found the broker", self.node_up.clone());
        registry.register(
            "nodes_left_out",
            "Times a node without a port was left out of an answer",
            self.left_out.clone(),
        );
        registry.register(
            "topology_failures",
            "Looks at the topology that failed",
            self.looks_failed.clone(),
        );
        registry.register("reloads", "Reloads, by result", self.reloads.clone());
        registry.register("ready", "1 when the gateway is ready", self.ready.clone());
        let pipes: Gauge = Gauge::default();
        pipes.set(i64::try_from(Pipe::open()).unwrap_or(i64::MAX));
        registry.register("pipes_open", "Pipes for large frames, lent or kept", pipes);
    }

    /// A connection was taken up.
    pub fn opened(&self, place: &Place) {
        let listener = listener_of(place);
        self.accepted.get_or_create(&listener).inc();
        self.open.get_or_create(&listener).inc();
    }

    /// A connection ended.
    pub fn closed(&self, place: &Place, ended: &Ended) {
        let listener = listener_of(place);
        self.open.get_or_create(&listener).dec();
        let ByListener { cluster, listener } = listener;
        let end = ByEnd { cluster, listener, side: ended.side.label(), reason: ended.why.label() };
        self.ended.get_or_create(&end).inc();
    }

    /// A connection was closed without being taken up.
    pub fn turned_away(&self, cluster: &str, turned: Turned) {
        let result = match turned {
            Turned::Backlog => "backlog",
        };
        self.turned_away.get_or_create(&ByResult { cluster: cluster.to_owned(), result }).inc();
    }

    /// A login succeeded or was refused.
    pub fn login(&self, cluster: &str, refused: Option<&Refused>) {
        let result = refused.map_or("success", Refused::label);
        self.logins.get_or_create(&ByResult { cluster: cluster.to_owned(), result }).inc();
    }

    /// A broker was dialled for a client.
    pub fn dialled(&self, cluster: &str, node: NodeId, error: Option<&DialError>) {
        let result = error.map_or("success", DialError::label);
        self.dials.get_or_create(&ByDial { cluster: cluster.to_owned(), node: node.0, result }).inc();
    }

    /// A broker that was missed was probed.
    pub fn probed(&self, cluster: &str, node: NodeId, error: Option<&DialError>) {
        let result = error.map_or("success", DialError::label);
        self.probes.get_or_create(&ByDial { cluster: cluster.to_owned(), node: node.0, result }).inc();
    }

    /// A look found a broker up or down.
    pub fn node(&self, cluster: &str, node: NodeId, up: bool) {
        let label = ByNode { cluster: cluster.to_owned(), node: node.0 };
        self.node_up.get_or_create(&label).set(i64::from(up));
    }

    /// Nodes were left out of an answer, since they have no port.
    pub fn left_out(&self, cluster: &str, nodes: &[NodeId]) {
        for node in nodes {
            let label = ByNode { cluster: cluster.to_owned(), node: node.0 };
            if self.left_out.get_or_create(&label).inc() == 0 {
                tracing::warn!(cluster, node = node.0, "a node without a port is left out of answers");
            }
        }
    }

    /// A look at the topology failed.
    pub fn look_failed(&self, cluster: &str) {
        self.looks_failed.get_or_create(&ByCluster { cluster: cluster.to_owned() }).inc();
    }

    /// A reload ended.
    pub fn reloaded(&self, reloaded: Reloaded) {
        let result = match reloaded {
            Reloaded::Applied => "applied",
            Reloaded::Refused => "refused",
        };
        self.reloads.get_or_create(&ByReload { result }).inc();
    }

    /// The gateway became ready, or is no longer.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }
}

/// Shards of all clusters, for the exposition.
pub type Shards = Vec<(Arc<str>, Vec<Arc<Shard>>)>;
