//! What all connections share: the configuration as applied, and whether the gateway stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::{ArcSwap, Guard};
use config::Model;
use policy::access::Privilege;
use policy::credential::Settled;
use policy::quota::Rules;
use tokio::sync::{Semaphore, watch};

use crate::cluster::Cluster;
use crate::conn::Session;
use crate::drain::Ending;
use crate::inherited::Inherited;
use crate::limits::Clock;
use crate::metrics::Metrics;
use crate::verify::Verifier;

/// Whether the gateway stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its sockets are still served by the process before it: nothing is accepted.
    Arriving,
    /// It serves.
    Serving,
    /// It was told to end: connections are let go, and what is owed is answered.
    Ending(Ending),
}

/// A configuration as applied. Replaced whole by a reload.
pub struct Live {
    /// The configuration.
    pub model: Arc<Model>,
    /// Its users, every credential in its stored form.
    pub users: Arc<Settled>,
    /// Its limits, with what was counted so far.
    pub rules: Arc<Rules>,
    /// The clusters by name. A cluster that a reload keeps is the same object before and after.
    pub clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
}

/// A reload has removed what a connection stood on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained;

/// What all connections share.
pub struct Gateway {
    live: ArcSwap<Live>,
    changes: watch::Sender<Phase>,
    /// Where passwords are verified.
    pub verifier: Verifier,
    /// What is counted once for the process.
    pub metrics: Metrics,
    /// One permit per connection.
    pub connections: Arc<Semaphore>,
    /// Time as limits count it.
    pub clock: Clock,
    /// Connections that limits hold at the door.
    pub held: AtomicUsize,
    /// Sockets that were there before the process.
    pub inherited: Inherited,
}

impl Gateway {
    /// A gateway with `live`. It accepts nothing before [`Gateway::serve`].
    pub fn new(live: Live, verifier: Verifier, inherited: Inherited) -> Self {
        let connections = Arc::new(Semaphore::new(live.model.process.connections_max));
        let (changes, _) = watch::channel(Phase::Arriving);
        let metrics = Metrics::default();
        Self {
            live: ArcSwap::from_pointee(live),
            changes,
            verifier,
            metrics,
            connections,
            clock: Clock::default(),
            held: AtomicUsize::new(0),
            inherited,
        }
    }

    /// The configuration as applied now.
    pub fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// Replaces the configuration; every connection looks at it at once.
    pub fn apply(&self, live: Live) {
        self.verifier.retain(&live.users);
        self.live.store(Arc::new(live));
        self.look_again();
    }

    /// Lets every connection look at what it stands on.
    pub fn look_again(&self) {
        self.changes.send_modify(|_| ());
    }

    /// Whether the gateway stays.
    pub fn phase(&self) -> Phase {
        *self.changes.borrow()
    }

    /// Lets connections in.
    pub fn serve(&self) {
        self.changes.send_replace(Phase::Serving);
    }

    /// Tells every connection that the gateway ends.
    pub fn end(&self, ending: Ending) {
        self.changes.send_replace(Phase::Ending(ending));
    }

    /// Wakes at every reload, at the beginning and at the end.
    pub fn changes(&self) -> watch::Receiver<Phase> {
        self.changes.subscribe()
    }
}

impl Live {
    /// Whether what a connection stands on still exists, and what its principal may do now.
    pub fn still_welcome(&self, session: &Session) -> Result<Privilege, Drained> {
        let cluster = self.clusters.get(&session.place.cluster.name).ok_or(Drained)?;
        let spec = cluster.spec();
        let listener =
            spec.config.listeners.iter().find(|l| l.bind == session.listener.bind).ok_or(Drained)?;
        let was = &session.listener;
        let same_door = was.sasl.is_empty() == listener.sasl.is_empty()
            && was.tls.is_some() == listener.tls.is_some()
            && was.node_port_base == listener.node_port_base;
        let known = listener.sasl.is_empty() || self.users.get(&session.principal()).is_some();
        if !Arc::ptr_eq(cluster, &session.place.cluster) || !same_door || !known {
            return Err(Drained);
        }
        Ok(spec.privilege(&session.principal()))
    }
}
