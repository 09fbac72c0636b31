//! `portcullis demo`: librdkafka's mock cluster in this process, a gateway before it, and the lines to try.
//!
//! The gateway is the real one: [`serve::run`] with a configuration file that lies in a temporary folder, where it
//! can be read, edited and reloaded.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use config::Secret;
use rdkafka::mocking::MockCluster;

use crate::{password, serve};

/// Brokers of the cluster, with ids from 1.
const BROKERS: u16 = 3;

/// The topic that is there from the beginning.
const TOPIC: &str = "greetings";

/// Its partitions: one leader on each broker.
const PARTITIONS: i32 = 3;

/// The one user.
const USER: &str = "alice";

/// Her password; no secret, the demo listens on loopback only.
const PASSWORD: &str = "alice-secret";

/// The bootstrap port, if the ports are free.
const BOOTSTRAP_PORT: u16 = 19092;

/// Node N is at this port + N, if the ports are free.
const NODE_PORT_BASE: u16 = 19100;

/// The admin port, if it is free.
const ADMIN_PORT: u16 = 9644;

/// How far apart sets of ports are that are tried one after the other.
const PORT_STEP: u16 = 100;

/// How many sets of ports are tried.
const PORT_TRIES: u16 = 100;

/// How long the gateway may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two looks whether it is.
const READY_LOOK: Duration = Duration::from_millis(50);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The embedded cluster does not start.
    #[error("the embedded cluster: {0}")]
    Cluster(#[from] rdkafka::error::KafkaError),
    /// Every set of ports has one that is taken.
    #[error("no free ports on 127.0.0.1 from {BOOTSTRAP_PORT}, {NODE_PORT_BASE} and {ADMIN_PORT} on")]
    Ports,
    /// The configuration can't be written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The gateway does not start.
    #[error(transparent)]
    Start(#[from] serve::StartError),
}

/// The ports of the demo's gateway, all on 127.0.0.1.
#[derive(Clone, Copy)]
struct Ports {
    bootstrap: u16,
    nodes: u16,
    admin: u16,
}

impl Ports {
    /// The first set whose ports are all free.
    fn choose() -> Option<Self> {
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let admin = (ADMIN_PORT..ADMIN_PORT + PORT_TRIES).find(|port| is_free(*port))?;
        (0..PORT_TRIES).map(|n| n * PORT_STEP).find_map(|shift| {
            let ports = Self { bootstrap: BOOTSTRAP_PORT + shift, nodes: NODE_PORT_BASE + shift, admin };
            let mut nodes = (1..=BROKERS).map(|node| ports.nodes + node);
            (is_free(ports.bootstrap) && nodes.all(is_free)).then_some(ports)
        })
    }
}

/// A folder of the demo's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(DemoError::File(path, error)),
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join("proxy.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the demo until SIGINT or SIGTERM.
pub fn run() -> Result<(), DemoError> {
    let cluster = MockCluster::new(i32::from(BROKERS))?;
    cluster.create_topic(TOPIC, PARTITIONS, i32::from(BROKERS))?;
    for partition in 0..PARTITIONS {
        // Otherwise all of them are led by the first broker.
        cluster.partition_leader(TOPIC, partition, Some(partition % i32::from(BROKERS) + 1))?;
    }
    let brokers = cluster.bootstrap_servers();
    let ports = Ports::choose().ok_or(DemoError::Ports)?;
    let folder = Folder::new()?;
    let path = folder.file();
    let written = configuration(&brokers, ports).and_then(|text| fs::write(&path, text));
    written.map_err(|error| DemoError::File(path.clone(), error))?;
    let guide = guide(ports, &brokers, &path);
    std::thread::spawn(move || {
        if is_ready_in_time(ports.admin) {
            // Nobody reads: then nobody wants to know.
            let _ = io::stdout().write_all(guide.as_bytes());
        }
    });
    serve::run(&path)?;
    Ok(())
}

fn configuration(brokers: &str, ports: Ports) -> io::Result<String> {
    let credential = password::hash(&Secret::new(PASSWORD), config::ITERATIONS_DEFAULT)?;
    let bootstrap: Vec<&str> = brokers.split(',').collect();
    let Ports { bootstrap: bind, nodes, admin } = ports;
    Ok(format!(
        r#"# The configuration of `portcullis demo`. Gone when the demo ends.

[admin]
bind = "127.0.0.1:{admin}"

[[cluster]]
name = "demo"
bootstrap = {bootstrap:?}

[[cluster.listener]]
bind = "127.0.0.1:{bind}"
node_port_base = {nodes}
node_ids = "1-{BROKERS}"
sasl = ["PLAIN"]

[[user]]
name = "{USER}"
password = "{credential}"
"#
    ))
}

/// What is printed once the gateway is ready. Every indented line can be pasted into a shell.
fn guide(ports: Ports, brokers: &str, path: &Path) -> String {
    let Ports { bootstrap, nodes, admin } = ports;
    let kcat = |password: &str| {
        format!(
            "kcat -b 127.0.0.1:{bootstrap} -X security.protocol=SASL_PLAINTEXT -X sasl.mechanisms=PLAIN \
             -X sasl.username={USER} -X sasl.password={password}"
        )
    };
    let known = kcat(PASSWORD);
    let wrong = kcat("wrong");
    let steps = [
        ("The cluster as clients see it: every address is the gateway's", format!("{known} -L")),
        ("Produce", format!("seq 1 10 | {known} -P -t {TOPIC}")),
        ("Consume", format!("{known} -C -t {TOPIC} -o beginning -e")),
        (
            "Consume in a group, until Ctrl-C",
            format!("{known} -X auto.offset.reset=earliest -G readers {TOPIC}"),
        ),
        ("A wrong password", format!("{wrong} -L -m 2")),
        (
            "What was counted",
            format!("curl -s http://127.0.0.1:{admin}/metrics | grep -E 'logins|requests_total'"),
        ),
        ("Reload the configuration, after a change to it", format!("kill -HUP {}", std::process::id())),
    ];
    let mut text = format!(
        "\nA cluster of {BROKERS} brokers is at {brokers}; clients never learn this.\n\
         The gateway before it is at 127.0.0.1:{bootstrap}, its nodes at {} to {}.\n\
         Its configuration is {}. Ctrl-C ends the demo.\n",
        nodes + 1,
        nodes + BROKERS,
        path.display(),
    );
    for (what, line) in steps {
        let _ = write!(text, "\n# {what}\n    {line}\n");
    }
    text.push('\n');
    text
}

/// Waits for the gateway as a balancer does: by `/readyz`.
fn is_ready_in_time(admin: u16) -> bool {
    let until = Instant::now() + READY_TIMEOUT;
    while Instant::now() < until {
        if asks_ready(admin).unwrap_or(false) {
            return true;
        }
        std::thread::sleep(READY_LOOK);
    }
    false
}

fn asks_ready(admin: u16) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, admin));
    let mut stream = TcpStream::connect_timeout(&address, READY_LOOK)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: demo\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}
