//! Whether brokers live: each is asked what it speaks, over a connection that is kept.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use policy::breaker::FAILURES_MAX;
use wire::NodeId;

use super::Look;
use crate::cluster::{Cluster, Spec};
use crate::health::{NodeHealth, Through};
use crate::probe::Probe;
use crate::timer;
use crate::upstream::DialError;

/// How often it is looked for brokers that serve clients and send none of them anything.
pub(super) const PULSE: Duration = Duration::from_secs(1);

/// How a broker was found.
pub(super) enum Felt {
    /// It answers over this connection.
    Alive(Box<Probe>),
    /// It does not answer, but clients hear from it.
    Busy,
    /// It can't be reached.
    Missed(DialError),
}

impl Look {
    /// Asks the brokers that serve clients and were silent since the last time, each by itself.
    pub(super) fn feel_pulses(&mut self) {
        let spec = Arc::clone(&self.cluster.spec());
        for node in self.cluster.health.nodes().values() {
            let serves = node.connections(Through::Bootstrap) + node.connections(Through::Node) > 0;
            if node.take_answered() || !serves || !node.admits() {
                continue;
            }
            // Without a connection that is kept it is being asked already, or is dialled by the next look.
            let Some(probe) = self.probes.remove(&node.id) else { continue };
            let (cluster, spec, node) = (Arc::clone(&self.cluster), Arc::clone(&spec), Arc::clone(node));
            self.pulses.spawn_local(async move {
                let address = probe.address.clone();
                (node.id, feel(&cluster, &spec, &node, &address, Some(probe)).await)
            });
        }
    }

    /// One was found like this. The connection to it is kept, unless there is a newer one.
    pub(super) fn felt(&mut self, node: NodeId, felt: Felt) {
        match felt {
            Felt::Alive(probe) => drop(self.probes.entry(node).or_insert(*probe)),
            Felt::Busy => {}
            Felt::Missed(_) => self.cluster.look_now.notify_one(),
        }
    }
}

/// Asks one broker over the connection that is kept or, if that is gone, a new one; and tells its health. As long as it keeps silent that
/// counts as one failure after the other: clients wait for what it owes them.
pub(super) async fn feel(
    cluster: &Cluster,
    spec: &Spec,
    node: &NodeHealth,
    address: &wire::Upstream,
    kept: Option<Probe>,
) -> Felt {
    let tell = |error: Option<&DialError>| cluster.health.dialled(node.id, address, error);
    if let Some(probe) = kept {
        // So that a few failures fit into the time after which the controller misses it, too.
        let within = spec.config.dial_timeout / 2;
        let mut asking = pin!(probe.ask_versions());
        for _ in 0..FAILURES_MAX {
            let silent = match timer::timeout(within, asking.as_mut()).await {
                Ok(Ok(probe)) => {
                    tell(None);
                    return Felt::Alive(Box::new(probe));
                }
                Ok(Err(_gone)) => break,
                Err(_) => DialError::Timeout(address.clone()),
            };
            if node.take_answered() {
                return Felt::Busy;
            }
            tell(Some(&silent));
            if !node.admits() {
                return Felt::Missed(silent);
            }
        }
    }
    let dialled = Probe::dial(spec, address.clone(), spec.config.dial_timeout).await;
    if matches!(dialled, Err(DialError::Timeout(_))) && node.take_answered() {
        return Felt::Busy;
    }
    tell(dialled.as_ref().err());
    dialled.map_or_else(Felt::Missed, |probe| Felt::Alive(Box::new(probe)))
}
