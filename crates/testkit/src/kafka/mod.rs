//! Real Apache Kafka: a `KRaft` cluster of combined nodes on loopback.
//!
//! Each node has four listeners: `CLIENT`, which a gateway dials and which advertises what [`Advertise`] says;
//! `DIRECT`, with the same security but true addresses, for clients that go without a gateway; `INTERNAL` between
//! brokers; `CONTROLLER`.

mod dist;
pub mod islands;
mod lives;
mod node;
mod plan;
mod ready;
mod tool;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use dist::{Dist, java};
pub use plan::{Advertise, NodePlan, NodeTls, Plan, SaslPlain, Spec};
pub use tool::{Output, Running, Tool, class_of};
pub use topics::NewTopic;

use crate::free_ports::FreePorts;
use crate::leash::Leash;
use crate::wait;
use node::Process;

/// A cold start of three nodes on a busy machine with two cores.
const READY_LIMIT: Duration = Duration::from_mins(2);
const PORTS_PER_NODE: u16 = 4;

/// A running cluster. Those started by [`KafkaCluster::start`] end with this value or with this process, whichever
/// comes first; those started by [`KafkaCluster::start_detached`] go on.
#[derive(Debug)]
pub struct KafkaCluster {
    directory: PathBuf,
    nodes: Mutex<Nodes>,
    /// Reserved as long as the cluster is tied to this process.
    ports: Option<FreePorts>,
}

#[derive(Debug)]
struct Nodes {
    plan: Plan,
    processes: BTreeMap<i32, Process>,
    leash: Option<Leash>,
}

impl KafkaCluster {
    /// Starts a cluster, and returns when all of its nodes are ready.
    pub fn start(spec: Spec) -> Result<KafkaCluster> {
        let directory = tempfile::Builder::new().prefix("portcullis-kafka-").tempdir()?.keep();
        let leash = Leash::new(Some(&directory))?;
        KafkaCluster::begin(spec, directory, Some(leash))
    }

    /// Starts a cluster in this directory that outlives this process; [`KafkaCluster::open`] finds it again.
    pub fn start_detached(spec: Spec, directory: &Path) -> Result<KafkaCluster> {
        fs::create_dir_all(directory)?;
        KafkaCluster::begin(spec, directory.to_path_buf(), None)
    }

    fn begin(spec: Spec, directory: PathBuf, leash: Option<Leash>) -> Result<KafkaCluster> {
        let dist = Dist::fetch(&spec.version)?;
        let (plan, ports) = lay_out(spec)?;
        if plan.on_islands {
            plan.nodes.keys().try_for_each(|id| islands::raise(*id))?;
        }
        for node in plan.nodes.values() {
            node::format(&dist, &plan, node, &directory)?;
        }
        let ids: Vec<i32> = plan.nodes.keys().copied().collect();
        let nodes = Mutex::new(Nodes { plan, processes: BTreeMap::new(), leash });
        let cluster = KafkaCluster { directory, nodes, ports: Some(ports) };
        for id in ids {
            cluster.launch(id)?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// A detached cluster, found by its directory.
    pub fn open(directory: &Path) -> Result<KafkaCluster> {
        let path = directory.join("cluster.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let plan: Plan = serde_json::from_slice(&text)?;
        let processes = plan
            .nodes
            .values()
            .filter_map(|node| {
                let properties = node::node_directory(directory, node.id).join("server.properties");
                Some((node.id, Process::Earlier { pid: node.pid?, properties }))
            })
            .collect();
        let nodes = Mutex::new(Nodes { plan, processes, leash: None });
        Ok(KafkaCluster { directory: directory.to_path_buf(), nodes, ports: None })
    }

    fn launch(&self, id: i32) -> Result<()> {
        let mut nodes = self.lock();
        let Nodes { plan, processes, leash } = &mut *nodes;
        let node = plan.nodes.get(&id).with_context(|| format!("there is no node {id}"))?;
        let dist = Dist::fetch(&node.version)?;
        let child = node::start(&dist, plan, node, &self.directory, leash.as_mut())?;
        let pid = child.id();
        processes.insert(id, Process::Ours(child));
        self.set_pid(&mut nodes, id, Some(pid))
    }

    fn set_pid(&self, nodes: &mut Nodes, id: i32, pid: Option<u32>) -> Result<()> {
        if let Some(node) = nodes.plan.nodes.get_mut(&id) {
            node.pid = pid;
        }
        // Written whole, then renamed: a command that reads meanwhile sees the old or the new.
        let new = self.directory.join("cluster.json.new");
        fs::write(&new, serde_json::to_vec_pretty(&nodes.plan)?)?;
        fs::rename(&new, self.directory.join("cluster.json"))?;
        Ok(())
    }

    /// Waits until every running node lists exactly the running nodes (which after a kill takes a session timeout,
    /// 4 s), and fails when one ends instead.
    pub fn wait_ready(&self) -> Result<()> {
        wait::until("a ready Kafka cluster", READY_LIMIT, || {
            let running = self.running()?;
            let wanted: BTreeSet<i32> = running.keys().copied().collect();
            let ready = |at: SocketAddr| ready::listed_by(at).is_ok_and(|listed| listed == wanted);
            let whole = running.values().all(|(internal, client)| ready(*internal) && is_open(*client));
            Ok(whole.then_some(()))
        })
    }

    /// Internal and client address of each running node; an error when one ended by itself.
    fn running(&self) -> Result<BTreeMap<i32, (SocketAddr, SocketAddr)>> {
        let mut nodes = self.lock();
        let Nodes { plan, processes, .. } = &mut *nodes;
        let mut running = BTreeMap::new();
        for (id, process) in processes {
            if let Some(how) = process.ended()? {
                bail!("node {id} ended by itself: {how}\n{}", node::log_tail(&self.directory, *id));
            }
            if let Some(node) = plan.nodes.get(id) {
                let host = plan.host(*id).parse()?;
                let at = |port| SocketAddr::new(host, port);
                running.insert(*id, (at(node.internal_port), at(node.client_port)));
            }
        }
        Ok(running)
    }

    /// The nodes' ids, running or not.
    pub fn ids(&self) -> Vec<i32> {
        self.lock().plan.nodes.keys().copied().collect()
    }

    /// Version, and whether the process runs, by node.
    pub fn status(&self) -> Result<BTreeMap<i32, (String, bool)>> {
        let mut nodes = self.lock();
        let Nodes { plan, processes, .. } = &mut *nodes;
        plan.nodes
            .values()
            .map(|node| {
                let runs = match processes.get_mut(&node.id) {
                    Some(process) => process.ended()?.is_none(),
                    None => false,
                };
                Ok((node.id, (node.version.clone(), runs)))
            })
            .collect()
    }

    /// The `CLIENT` listeners, which a gateway dials: `127.0.0.1:port` of each node.
    pub fn bootstrap(&self) -> Vec<String> {
        self.node_addresses().into_values().collect()
    }

    /// The `CLIENT` listeners' true addresses by node.
    pub fn node_addresses(&self) -> BTreeMap<i32, String> {
        self.addresses(|node| node.client_port)
    }

    /// Bootstrap servers for clients that go without a gateway, with commas.
    pub fn direct(&self) -> String {
        self.addresses(|node| node.direct_port).into_values().collect::<Vec<_>>().join(",")
    }

    /// The plaintext listeners between brokers, without login: for looking at a cluster from behind.
    pub fn internal(&self) -> String {
        self.addresses(|node| node.internal_port).into_values().collect::<Vec<_>>().join(",")
    }

    fn addresses(&self, port: impl Fn(&NodePlan) -> u16) -> BTreeMap<i32, String> {
        let nodes = self.lock();
        nodes
            .plan
            .nodes
            .values()
            .map(|node| (node.id, format!("{}:{}", nodes.plan.host(node.id), port(node))))
            .collect()
    }

    /// Every text by which a broker could be told to a client: advertised names and `:port` of every listener.
    pub fn names(&self) -> Vec<String> {
        let nodes = self.lock();
        let mut names = Vec::new();
        for node in nodes.plan.nodes.values() {
            if nodes.plan.advertise == Advertise::Names {
                names.push(nodes.plan.advertised_host(node.id));
            }
            let ports = [node.client_port, node.direct_port, node.internal_port, node.controller_port];
            names.extend(ports.map(|port| format!(":{port}")));
        }
        names
    }

    /// What no byte towards a client may contain: [`Self::names`], and 127.0.0.1 followed by a broker's port as
    /// Kafka writes it (i32).
    pub fn needles(&self) -> Vec<Vec<u8>> {
        let mut needles: Vec<Vec<u8>> = self.names().into_iter().map(String::into_bytes).collect();
        let nodes = self.lock();
        for node in nodes.plan.nodes.values() {
            for port in [node.client_port, node.direct_port, node.internal_port, node.controller_port] {
                needles.push([nodes.plan.host(node.id).as_bytes(), &i32::from(port).to_be_bytes()].concat());
            }
        }
        needles
    }

    /// A port of this cluster that no node uses, for a node that is to move.
    pub fn spare_port(&self) -> Result<u16> {
        let taken: BTreeSet<u16> = self.lock().plan.nodes.values().map(|node| node.client_port).collect();
        let ports = self.ports.as_ref().context("an opened cluster has no spare ports")?;
        let used = u16::try_from(self.ids().len())? * PORTS_PER_NODE;
        ports.all().skip(used.into()).find(|port| !taken.contains(port)).context("no spare port is left")
    }

    /// Writes a file into the cluster's directory, which goes away with it.
    pub fn write_file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The directory of the cluster.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// One node's log so far.
    pub fn log(&self, id: i32) -> String {
        let log = fs::read(node::node_directory(&self.directory, id).join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// One of Kafka's own tools in the version that node 1 has, e.g. `kafka-topics`.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Result<Tool> {
        let version = self.lock().plan.nodes.values().next().map(|node| node.version.clone());
        Ok(Tool::new(&Dist::fetch(&version.context("a cluster without nodes")?)?, name)?.args(arguments))
    }

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        // A test that panicked must not keep others from stopping nodes.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        let nodes = self.nodes.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The leash kills; waiting here leaves nothing in the process table. Without a leash they go on.
        if nodes.leash.take().is_some() {
            nodes.processes.values_mut().for_each(Process::reap);
        }
    }
}

fn is_open(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

fn lay_out(spec: Spec) -> Result<(Plan, FreePorts)> {
    if spec.brokers == 0 || spec.brokers > 20 {
        bail!("{} brokers: 1 to 20 are possible", spec.brokers);
    }
    // One more per node, for nodes that move.
    let ports = FreePorts::reserve(spec.brokers * (PORTS_PER_NODE + 1))?;
    let mut nodes = BTreeMap::new();
    for place in 0..spec.brokers {
        let at = |listener: u16| ports.at(place * PORTS_PER_NODE + listener);
        let id = i32::from(place) + 1;
        let node = NodePlan {
            id,
            version: spec.version.clone(),
            client_port: at(0),
            direct_port: at(1),
            internal_port: at(2),
            controller_port: at(3),
            directory_id: node::random_id()?,
            pid: None,
        };
        nodes.insert(id, node);
    }
    let plan = Plan {
        cluster_id: node::random_id()?,
        sasl: spec.sasl,
        advertise: spec.advertise,
        tls: spec.tls,
        on_islands: spec.on_islands,
        properties: spec.properties,
        nodes,
    };
    Ok((plan, ports))
}
