//! `cargo xtask kafka`: the testkit's cluster, detached. Its state lies in `target/kafka`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use testkit::{Advertise, KAFKA_NEW, KafkaCluster, Spec, place};

/// The user of `--sasl`.
const USER: &str = "gateway";
/// Its password: no secret, the cluster listens on loopback only.
const PASSWORD: &str = "gateway-secret";

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Starts a cluster, and returns when it is ready.
    Up(Up),
    /// Ends the cluster and removes its data.
    Down,
    /// What runs, where.
    Status,
    /// SIGKILL for one node.
    Kill {
        /// The node's id.
        node: i32,
    },
    /// A controlled shutdown of one node.
    Stop {
        /// The node's id.
        node: i32,
    },
    /// Starts one node again, with its data.
    Start {
        /// The node's id.
        node: i32,
        /// Another version of Kafka.
        #[arg(long)]
        version: Option<String>,
        /// Another port of the listener for gateways.
        #[arg(long)]
        port: Option<u16>,
    },
}

#[derive(Args)]
pub(crate) struct Up {
    /// The version of Kafka, as Maven knows it.
    #[arg(long, default_value = KAFKA_NEW)]
    version: String,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    brokers: u16,
    /// Clients have to log in by SASL/PLAIN; the user is printed.
    #[arg(long)]
    sasl: bool,
    /// Brokers advertise names that cannot be resolved, so that only a gateway with `node_addresses` gets along.
    #[arg(long)]
    names: bool,
}

pub(crate) fn run(task: Task) -> Result<()> {
    let directory = place::target().join("kafka");
    match task {
        Task::Up(up) => start(&up, &directory),
        Task::Down => end(&directory),
        Task::Status => print(&open(&directory)?),
        Task::Kill { node } => open(&directory)?.kill_node(node),
        Task::Stop { node } => open(&directory)?.stop_node(node),
        Task::Start { node, version, port } => {
            let cluster = open(&directory)?;
            cluster.start_node_as(node, version.as_deref(), port)?;
            print(&cluster)
        }
    }
}

fn start(up: &Up, directory: &Path) -> Result<()> {
    if directory.join("cluster.json").exists() {
        bail!("a cluster is there already: `cargo xtask kafka down` ends it, `status` shows it");
    }
    let mut spec = Spec::new(&up.version, up.brokers);
    if !up.names {
        spec = spec.advertising(Advertise::Loopback);
    }
    if up.sasl {
        spec = spec.with_sasl(&[(USER, PASSWORD)]);
    }
    match KafkaCluster::start_detached(spec, directory) {
        Ok(cluster) => {
            print(&cluster)?;
            if up.sasl {
                println!("SASL/PLAIN user {USER:?}, password {PASSWORD:?}");
            }
            Ok(())
        }
        Err(error) => {
            // Nothing half-started is left running.
            end(directory).context(format!("after: {error:#}"))?;
            Err(error)
        }
    }
}

fn end(directory: &Path) -> Result<()> {
    if directory.join("cluster.json").exists() {
        open(directory)?.kill_all()?;
    }
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

fn open(directory: &Path) -> Result<KafkaCluster> {
    KafkaCluster::open(directory).context("no cluster is up: `cargo xtask kafka up` starts one")
}

fn print(cluster: &KafkaCluster) -> Result<()> {
    let addresses = cluster.node_addresses();
    for (id, (version, runs)) in cluster.status()? {
        let address = addresses.get(&id).map_or("", String::as_str);
        println!("node {id}  {address}  Kafka {version}  {}", if runs { "runs" } else { "stopped" });
    }
    println!("bootstrap = {:?}", cluster.bootstrap());
    println!("for clients without a gateway: {}", cluster.direct());
    println!("logs and data: {}", cluster.directory().display());
    Ok(())
}
