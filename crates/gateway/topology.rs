//! Each cluster's topology, learned by the gateway itself and kept fresh: which brokers there are, where they are
//! dialled and which versions all of them speak.

mod pulse;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use policy::versions::{has_transactions_v2, hide_transactions_v2};
use tokio::task::JoinSet;
use wire::versions::Offered;
use wire::{NodeId, Staying, Upstream};

use self::pulse::Felt;
use crate::cluster::{Cluster, Node, Offer, Spec, Topology};
use crate::listener;
use crate::live::Gateway;
use crate::probe::Probe;
use crate::timer;
use crate::topics::TopicId;
use crate::upstream::{self, DialError};
use crate::workers::Workers;

/// Bootstrap servers are dialled this much apart: the first that answers wins.
const STAGGER: Duration = Duration::from_millis(250);

/// The least time between two looks, however many connections ask for one.
const PAUSE: Duration = Duration::from_millis(200);

/// How long clients are promised no more than a broker holds that is gone from the cluster: it may be back after an
/// upgrade or a repair. A broker that was taken out for good is no longer held to.
const HELD_TO: Duration = Duration::from_hours(1);

/// How long clients are still shown a broker that the others leave out because it is down. Several libraries close what they have
/// open to a broker that is not shown any more, and tell their programs.
const SHOWN: Duration = Duration::from_mins(5);

/// Why a look at the topology failed.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("no broker answers: {0}")]
    Dial(#[from] DialError),
    #[error("no broker is known")]
    Nobody,
}

/// A broker as last seen.
struct Seen {
    address: Upstream,
    rack: Option<Arc<str>>,
    /// Its versions as last heard.
    offered: Option<Offered>,
    /// When the cluster last counted it among its brokers.
    there_at: Instant,
}

/// What one cluster's look keeps from one time to the next.
pub struct Look {
    cluster: Arc<Cluster>,
    gateway: Arc<Gateway>,
    workers: Arc<Workers>,
    probes: BTreeMap<NodeId, Probe>,
    /// Brokers that were silent, and are asked whether they live.
    pulses: JoinSet<(NodeId, Felt)>,
    /// What clients were told to be offered.
    offers: Vec<Weak<Offer>>,
    /// Every broker ever seen.
    seen: BTreeMap<NodeId, Seen>,
    /// What was logged last of each node: a line is a change.
    told: BTreeMap<NodeId, bool>,
    /// Listeners and nodes that have no port there, as last logged.
    portless: BTreeSet<(SocketAddr, NodeId)>,
}

/// Looks at a cluster's topology until it is removed.
pub async fn keep(cluster: Arc<Cluster>, gateway: Arc<Gateway>, workers: Arc<Workers>) {
    let mut look = Look {
        cluster: Arc::clone(&cluster),
        gateway,
        workers,
        probes: BTreeMap::new(),
        pulses: JoinSet::new(),
        offers: Vec::new(),
        seen: BTreeMap::new(),
        told: BTreeMap::new(),
        portless: BTreeSet::new(),
    };
    let mut failing = false;
    loop {
        match look.once().await {
            Ok(()) => failing = false,
            Err(error) => {
                look.gateway.metrics.look_failed(&cluster.name);
                if !failing {
                    tracing::warn!(cluster = &*cluster.name, %error, "the topology can't be learned");
                }
                failing = true;
            }
        }
        let refresh = cluster.spec().config.refresh;
        // Until a cluster is reached for the first time, clients wait for it.
        let pause = if cluster.topology().is_none() { PAUSE } else { refresh };
        let mut next = pin!(timer::sleep(pause));
        let mut pulse = timer::interval(pulse::PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        pulse.reset();
        loop {
            tokio::select! {
                () = next.as_mut() => break,
                () = cluster.look_now.notified() => {
                    timer::sleep(PAUSE).await;
                    break;
                }
                () = cluster.topics.asked.notified() => look.learn_topics().await,
                _ = pulse.tick() => look.feel_pulses(),
                Some(Ok((node, felt))) = look.pulses.join_next() => look.felt(node, felt),
                () = cluster.removed.notified() => return,
            }
        }
        cluster.topics.forget_missing();
    }
}

impl Look {
    /// One look: who is there, what do they speak; then ports, then the news.
    async fn once(&mut self) -> Result<(), LookError> {
        let spec = Arc::clone(&self.cluster.spec());
        let nodes = match self.ask_a_probe(&spec).await {
            Some(nodes) => nodes,
            None => self.ask_anybody(&spec).await?,
        };
        let now = Instant::now();
        let mut there = BTreeSet::new();
        for node in &nodes.nodes {
            there.insert(node.id);
            let address = dialable(&spec, node.id, &node.address);
            let rack: Option<Arc<str>> = node.rack.as_deref().map(Arc::from);
            match self.seen.entry(node.id) {
                Entry::Vacant(new) => drop(new.insert(Seen { address, rack, offered: None, there_at: now })),
                Entry::Occupied(mut seen) => {
                    seen.get_mut().address = address;
                    seen.get_mut().rack = rack;
                    seen.get_mut().there_at = now;
                }
            }
        }
        // A broker that is down keeps its place, and is dialled where the configuration says now.
        for (id, seen) in &mut self.seen {
            seen.address = dialable(&spec, *id, &seen.address);
            if now.saturating_duration_since(seen.there_at) > HELD_TO {
                seen.offered = None;
            }
        }
        let up = self.probe_all(&spec, &there).await;
        self.bind_ports();
        self.show(now);
        self.tell(&up);
        let offers: Vec<&Offered> = self.seen.values().filter_map(|seen| seen.offered.as_ref()).collect();
        if offers.is_empty() {
            return Err(LookError::Nobody);
        }
        let offer = self.offer(policy::versions::offer(&offers));
        let known = self.seen.iter().map(|(id, seen)| {
            let (address, rack) = (seen.address.clone(), seen.rack.clone());
            (*id, Node { address, up: up.contains(id), member: there.contains(id), rack })
        });
        self.cluster.publish(Topology { cluster_id: nodes.cluster_id, nodes: known.collect(), offer });
        Ok(())
    }

    /// Asks for the names of the topics whose ids were met. What can't be learned now is asked for when it is met again.
    async fn learn_topics(&mut self) {
        let ids = self.cluster.topics.take_unknown();
        let within = self.cluster.spec().config.dial_timeout;
        while let Some((node, probe)) = self.probes.pop_first() {
            let Ok(found) = probe.topics_by_id(&ids, within).await else { continue };
            self.probes.insert(node, probe);
            let name = |id: &TopicId| {
                let topic = found.iter().find(|topic| topic.id == *id && topic.error == 0)?;
                topic.name.as_deref().map(Arc::from)
            };
            self.cluster.topics.learn(ids.iter().map(|id| (*id, name(id))));
            return;
        }
    }

    /// The prepared offer, the last one again where nothing changed.
    fn offer(&mut self, mut offered: Offered) -> Arc<Offer> {
        // Connections outlive upgrades of brokers, and the offers that they were told live as long.
        self.offers.retain(|offer| offer.strong_count() > 0);
        let told = self.offers.iter().filter_map(Weak::upgrade);
        if told.into_iter().any(|offer| !has_transactions_v2(&offer.offered.ranges)) {
            hide_transactions_v2(&mut offered.finalized);
        }
        match self.cluster.topology() {
            Some(last) if last.offer.offered == offered => Arc::clone(&last.offer),
            _ => {
                let offer = Arc::new(Offer::new(offered));
                self.offers.push(Arc::downgrade(&offer));
                offer
            }
        }
    }

    /// Asks for the nodes over a connection that is there.
    async fn ask_a_probe(&mut self, spec: &Spec) -> Option<wire::ask::Nodes> {
        while let Some((id, probe)) = self.probes.pop_first() {
            if !self.cluster.health.admits(id) {
                continue;
            }
            if let Ok(nodes) = probe.nodes(spec.config.dial_timeout).await {
                self.probes.insert(id, probe);
                return Some(nodes);
            }
        }
        None
    }

    /// Dials bootstrap servers and brokers seen before, a little apart, and asks the first that is there.
    async fn ask_anybody(&self, spec: &Arc<Spec>) -> Result<wire::ask::Nodes, LookError> {
        let bootstrap = spec.config.bootstrap.iter().map(upstream::of);
        let seen = self.seen.values().map(|seen| seen.address.clone());
        let mut race = JoinSet::new();
        for (n, address) in bootstrap.chain(seen).enumerate() {
            let spec = Arc::clone(spec);
            let after = STAGGER.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
            race.spawn_local(async move {
                timer::sleep(after).await;
                let within = spec.config.dial_timeout;
                Probe::dial(&spec, address, within).await?.nodes(within).await
            });
        }
        let mut failed = LookError::Nobody;
        while let Some(asked) = race.join_next().await {
            match asked {
                Ok(Ok(nodes)) => return Ok(nodes),
                Ok(Err(error)) => failed = error.into(),
                Err(_gone) => {}
            }
        }
        Err(failed)
    }

    /// Asks every broker that is there what it speaks, all at once; gives those that answered.
    async fn probe_all(&mut self, spec: &Arc<Spec>, there: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let mut asking = JoinSet::new();
        for id in there {
            let Some(Seen { address, .. }) = self.seen.get(id) else { continue };
            let health = self.cluster.health.node(*id);
            // Whether it is back is found out by one probe at a time (`recovery`); a look does not wait for it.
            if health.is_left_alone(address) {
                continue;
            }
            health.take_answered();
            let (address, spec, cluster) = (address.clone(), Arc::clone(spec), Arc::clone(&self.cluster));
            let kept = self.probes.remove(id).filter(|probe| probe.address == address);
            asking.spawn_local(async move {
                let felt = pulse::feel(&cluster, &spec, &health, &address, kept).await;
                (health.id, felt)
            });
        }
        // Probes of brokers that left are dropped here.
        self.probes.clear();
        let mut up = BTreeSet::new();
        while let Some(asked) = asking.join_next().await {
            let Ok((id, felt)) = asked else { continue };
            match felt {
                Felt::Alive(probe) => {
                    up.insert(id);
                    if let Some(seen) = self.seen.get_mut(&id) {
                        seen.offered = Some(probe.offered.clone());
                    }
                    self.probes.insert(id, *probe);
                }
                Felt::Busy => drop(up.insert(id)),
                Felt::Missed(error) => {
                    if self.told.get(&id) != Some(&false) {
                        let cluster = &*self.cluster.name;
                        tracing::warn!(cluster, node = id.0, %error, "a broker does not answer");
                    }
                }
            }
        }
        up
    }

    /// Binds the ports of all nodes seen at all listeners, before anybody is told of them.
    fn bind_ports(&mut self) {
        for listener in self.cluster.listeners.load().iter() {
            let config = Arc::clone(&listener.door().config);
            let mut bound = Vec::new();
            for id in self.seen.keys().copied() {
                let entry = listener::Entry::Node(id);
                if listener.has(entry) {
                    continue;
                }
                match listener::bind(&config, entry, &self.gateway.inherited) {
                    Ok(socket) => {
                        let address = listener::address_of(&config, entry);
                        tracing::info!(cluster = &*self.cluster.name, ?address, %entry, "a port was added");
                        bound.push((entry, socket));
                        self.portless.remove(&(config.bind, id));
                    }
                    // The node is left out of every answer meanwhile; the next look tries again.
                    Err(error) => {
                        if self.portless.insert((config.bind, id)) {
                            tracing::error!(cluster = &*self.cluster.name, %error, "a node has no port");
                        }
                    }
                }
            }
            if !bound.is_empty() {
                listener.accept_at(bound, &self.cluster, &self.gateway, &self.workers);
            }
        }
    }

    /// Shows clients the brokers that were there a while ago.
    fn show(&self, now: Instant) {
        let is_shown = |seen: &Seen| now.saturating_duration_since(seen.there_at) <= SHOWN;
        let staying = self.seen.iter().filter(|(_, seen)| is_shown(seen));
        let staying: Vec<Staying> =
            staying.map(|(id, seen)| Staying { node: *id, rack: seen.rack.clone() }).collect();
        self.cluster.listeners.load().iter().for_each(|listener| listener.show(&staying));
    }

    /// Counts and logs what changed.
    fn tell(&mut self, up: &BTreeSet<NodeId>) {
        for (id, Seen { address, .. }) in &self.seen {
            let is_up = up.contains(id);
            self.gateway.metrics.node(&self.cluster.name, *id, is_up);
            if self.told.insert(*id, is_up) != Some(is_up) {
                let cluster = &*self.cluster.name;
                tracing::info!(cluster, node = id.0, %address, up = is_up, "a broker's state changed");
            }
        }
    }
}

/// Where a node is dialled: where the configuration says, else where it advertises itself.
fn dialable(spec: &Spec, node: NodeId, advertised: &Upstream) -> Upstream {
    spec.config.node_addresses.get(&node.0).map_or_else(|| advertised.clone(), upstream::of)
}
