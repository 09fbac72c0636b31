//! Finds out that brokers are back: one probe at a time for each, however many clients wait.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use policy::breaker::Probe as Due;
use tokio::task::JoinSet;
use wire::{NodeId, Upstream};

use super::Health;
use crate::cluster::Cluster;
use crate::conn::random_share;
use crate::live::Gateway;
use crate::probe::Probe;
use crate::timer;
use crate::upstream::DialError;

/// How long nothing is looked for while nothing is wrong: what is wrong wakes this earlier. Also how long a cluster that
/// is gone is remembered here.
const QUIET: Duration = Duration::from_secs(10);

/// Probes the brokers of a cluster that can't be reached, as long as there is the cluster.
pub async fn keep(cluster: Weak<Cluster>, health: Arc<Health>, gateway: Arc<Gateway>) {
    let mut probing = JoinSet::new();
    loop {
        let next = {
            let Some(cluster) = cluster.upgrade() else { return };
            begin_due(&cluster, &gateway, &mut probing)
        };
        let pause = next.map_or(QUIET, |due| due.saturating_duration_since(Instant::now()).min(QUIET));
        tokio::select! {
            () = health.troubled.notified() => {}
            Some(_) = probing.join_next() => {}
            () = timer::sleep(pause) => {}
        }
    }
}

/// Begins the probes that are due; says when the next one is.
fn begin_due(cluster: &Arc<Cluster>, gateway: &Arc<Gateway>, probing: &mut JoinSet<()>) -> Option<Instant> {
    let topology = cluster.topology()?;
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for (id, node) in &topology.nodes {
        match cluster.health.node(*id).probe(now) {
            Due::Now => {
                let address = node.address.clone();
                probing.spawn_local(probe(Arc::clone(cluster), Arc::clone(gateway), *id, address));
            }
            Due::At(due) => next = Some(next.map_or(due, |next| next.min(due))),
            Due::Never => {}
        }
    }
    next
}

/// Dials a broker as a client's connection would, and tells how it went.
async fn probe(cluster: Arc<Cluster>, gateway: Arc<Gateway>, id: NodeId, address: Upstream) {
    let spec = Arc::clone(&cluster.spec());
    let dialled = Probe::dial(&spec, address.clone(), spec.config.dial_timeout).await;
    let failed = dialled.as_ref().err();
    gateway.metrics.probed(&cluster.name, id, failed);
    let was_dialled = cluster.health.admits(id);
    cluster.health.probed(id, &address, failed);
    let is_dialled = cluster.health.admits(id);
    if is_dialled != was_dialled {
        // Whether it is up, and what it speaks now, is for a look to find.
        cluster.look_now.notify_one();
        let (cluster, failed) = (&*cluster.name, failed.map(DialError::label));
        tracing::info!(cluster, node = id.0, dialled = is_dialled, failed, "a broker was probed");
    }
}

impl Health {
    /// The probe that was allowed at this address went like this.
    fn probed(&self, id: NodeId, address: &Upstream, error: Option<&DialError>) {
        let node = self.node(id);
        // Somewhere else by now: the probe is over, and says nothing of where it is dialled next.
        let is_void = node.is_elsewhere(address);
        let change = node.note(error, |breaker, outcome, now| {
            breaker.probed((!is_void).then_some(outcome), now, random_share())
        });
        self.tell(change);
    }
}
