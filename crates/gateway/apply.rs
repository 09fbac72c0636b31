//! From a configuration to what serves it, at the start and at a reload: all of it or nothing.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use config::Model;
use policy::credential::Settled;
use policy::quota::Rules;

use crate::cluster::{Cluster, Spec};
use crate::health::recovery;
use crate::inherited::Inherited;
use crate::listener::{self, Bound, Door, Entry, Listener};
use crate::live::{Gateway, Live};
use crate::partitions::{self, Asks};
use crate::tls;
use crate::topology;
use crate::workers::Workers;

/// What stands in the way of a configuration, for the operator.
#[derive(Debug)]
pub struct Obstacles(pub Vec<String>);

/// A listener that is ready to be put in place.
struct Planned {
    listener: Arc<Listener>,
    door: Door,
    bound: Bound,
}

/// A cluster that is ready to be put in place.
struct PlannedCluster {
    cluster: Arc<Cluster>,
    standing: Standing,
    listeners: Vec<Planned>,
}

/// Whether a cluster is there.
enum Standing {
    /// It is new: its brokers are to be asked what its connections will want to know.
    New(Asks),
    /// It is there, and its brokers are to be reached like this.
    Kept(Spec),
}

/// Everything that a configuration needs and that can fail, done: sockets bound, TLS made.
pub struct Plan {
    model: Arc<Model>,
    users: Arc<Settled>,
    clusters: Vec<PlannedCluster>,
}

impl Plan {
    /// Prepares `model` beside what is live. Nothing live is touched.
    pub fn new(
        model: Model,
        users: Settled,
        live: &BTreeMap<Arc<str>, Arc<Cluster>>,
        inherited: &Inherited,
    ) -> Result<Self, Obstacles> {
        let mut ground = Ground { live, inherited, leaving: leaving(live, &model), obstacles: Vec::new() };
        let threads = model.process.threads;
        let planned = |cluster| plan(cluster, threads, &mut ground);
        let clusters = model.clusters.iter().filter_map(planned).collect();
        let obstacles = ground.obstacles;
        if obstacles.is_empty() {
            Ok(Self { model: Arc::new(model), users: Arc::new(users), clusters })
        } else {
            Err(Obstacles(obstacles))
        }
    }

    /// Puts the plan in place. Cannot fail. Called on the control thread's runtime.
    pub fn apply(self, gateway: &Arc<Gateway>, workers: &Arc<Workers>) {
        let before = Arc::clone(&gateway.live());
        let mut clusters = BTreeMap::new();
        for PlannedCluster { cluster, standing, listeners } in self.clusters {
            let asks = match standing {
                Standing::New(asks) => Some(asks),
                Standing::Kept(spec) => {
                    cluster.set_spec(spec);
                    None
                }
            };
            place(&cluster, listeners, gateway, workers);
            if let Some(asks) = asks {
                let look = topology::keep(Arc::clone(&cluster), Arc::clone(gateway), Arc::clone(workers));
                tokio::task::spawn_local(look);
                let health = Arc::clone(&cluster.health);
                tokio::task::spawn_local(recovery::keep(
                    Arc::downgrade(&cluster),
                    health,
                    Arc::clone(gateway),
                ));
                tokio::task::spawn_local(partitions::answer(Arc::downgrade(&cluster), asks));
            }
            clusters.insert(Arc::clone(&cluster.name), cluster);
        }
        for (name, cluster) in &before.clusters {
            if !clusters.contains_key(name) {
                // Taken away from the cluster as well: a look that is under way binds ports for those it finds.
                cluster.listeners.swap(Arc::default()).iter().for_each(|listener| listener.close());
                cluster.removed.notify_one();
            }
        }
        // The same limits stay the same object, so that nobody looks for buckets anew.
        let rules = if before.rules.iter().map(|rule| &rule.limit).eq(&self.model.limits) {
            Arc::clone(&before.rules)
        } else {
            Arc::new(Rules::new(&self.model.limits, &before.rules))
        };
        gateway.apply(Live { model: self.model, users: self.users, rules, clusters });
    }
}

/// What a plan is made on.
struct Ground<'a> {
    live: &'a BTreeMap<Arc<str>, Arc<Cluster>>,
    inherited: &'a Inherited,
    /// Sockets that stand for nothing under the new configuration: bound already, should it ask for their addresses.
    leaving: BTreeMap<SocketAddr, TcpListener>,
    obstacles: Vec<String>,
}

/// The sockets of ports that `model` has no more, or for something else: of a renamed cluster, or under another base.
fn leaving(live: &BTreeMap<Arc<str>, Arc<Cluster>>, model: &Model) -> BTreeMap<SocketAddr, TcpListener> {
    let mut leaving = BTreeMap::new();
    for cluster in live.values() {
        let next = model.clusters.iter().find(|next| next.name == cluster.name);
        for listener in cluster.listeners.load().iter() {
            let config = Arc::clone(&listener.door().config);
            let next = next.and_then(|next| next.listeners.iter().find(|next| next.bind == config.bind));
            let sockets = listener.sockets(|entry| match (next, entry) {
                (None, _) => true,
                (Some(_), Entry::Bootstrap) => false,
                (Some(next), Entry::Node(_)) => next.node_port_base != config.node_port_base,
            });
            leaving.extend(sockets.into_iter().map(|(_, address, socket)| (address, socket)));
        }
    }
    leaving
}

fn plan(config: &Arc<config::Cluster>, threads: usize, ground: &mut Ground<'_>) -> Option<PlannedCluster> {
    let tls = match config.tls.as_ref().map(tls::connector).transpose() {
        Ok(tls) => tls,
        Err(error) => {
            ground.obstacles.push(format!("cluster {}: {error}", config.name));
            return None;
        }
    };
    let spec = Spec { config: Arc::clone(config), tls };
    let existing = ground.live.get(&config.name).map(Arc::clone);
    let (cluster, standing) = if let Some(cluster) = existing {
        (cluster, Standing::Kept(spec))
    } else {
        let (cluster, asks) = Cluster::new(spec, threads);
        (Arc::new(cluster), Standing::New(asks))
    };
    let listeners =
        config.listeners.iter().filter_map(|config| plan_listener(config, &cluster, ground)).collect();
    Some(PlannedCluster { cluster, standing, listeners })
}

fn plan_listener(
    config: &Arc<config::Listener>,
    cluster: &Arc<Cluster>,
    ground: &mut Ground<'_>,
) -> Option<Planned> {
    let tls = match config.tls.as_ref().map(tls::acceptor).transpose() {
        Ok(tls) => tls,
        Err(error) => {
            ground.obstacles.push(format!("listener {}: {error}", config.bind));
            return None;
        }
    };
    let existing = cluster.listeners.load().iter().find(|l| l.door().config.bind == config.bind).cloned();
    let keeps_ports =
        existing.as_ref().is_some_and(|l| l.door().config.node_port_base == config.node_port_base);
    let configured = config.node_ids.iter().map(|id| wire::NodeId(*id));
    let topology = cluster.topology();
    let seen = topology.iter().flat_map(|topology| topology.nodes.keys().copied());
    // A node that has no port now is left out of answers, and stays so: it must not stand in a reload's way.
    let seen = seen.filter(|id| {
        let entry = Entry::Node(*id);
        listener::address_of(config, entry).is_some()
            && (!keeps_ports || existing.as_ref().is_some_and(|l| l.has(entry)))
    });
    let nodes = configured.chain(seen).chain(ground.inherited.nodes(config)).map(Entry::Node);
    let mut entries: Vec<Entry> = std::iter::once(Entry::Bootstrap).chain(nodes).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut bound = Bound::new();
    for entry in entries {
        let kept =
            existing.as_ref().is_some_and(|l| l.has(entry) && (keeps_ports || entry == Entry::Bootstrap));
        if kept {
            continue;
        }
        let taken_over =
            listener::address_of(config, entry).and_then(|address| ground.leaving.remove(&address));
        match taken_over.map_or_else(|| listener::bind(config, entry, ground.inherited), Ok) {
            Ok(socket) => bound.push((entry, socket)),
            Err(error) => ground.obstacles.push(format!("cluster {}: {error}", cluster.name)),
        }
    }
    let door = Door { config: Arc::clone(config), tls };
    let listener = existing.unwrap_or_else(|| {
        Arc::new(Listener::new(Door { config: Arc::clone(&door.config), tls: door.tls.clone() }))
    });
    Some(Planned { listener, door, bound })
}

/// Puts a cluster's listeners in place and lets go of those that are no longer configured.
fn place(cluster: &Arc<Cluster>, planned: Vec<Planned>, gateway: &Arc<Gateway>, workers: &Arc<Workers>) {
    let before = cluster.listeners.load_full();
    let mut now = Vec::new();
    for Planned { listener, door, bound } in planned {
        let config = Arc::clone(&door.config);
        for (entry, _) in &bound {
            let address = listener::address_of(&config, *entry);
            let address = address.map(|address| address.to_string());
            tracing::info!(cluster = &*cluster.name, address, %entry, "listening");
        }
        listener.set_door(door);
        listener.accept_at(bound, cluster, gateway, workers);
        now.push(listener);
    }
    for gone in before.iter().filter(|old| !now.iter().any(|new| Arc::ptr_eq(old, new))) {
        gone.close();
    }
    cluster.listeners.store(Arc::new(now));
    // A listener that is new gets the ports of nodes seen meanwhile.
    cluster.look_now.notify_one();
}

impl Plan {
    /// The configuration that is planned.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}
