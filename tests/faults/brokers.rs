//! Several brokers behind one gateway, which come and go: who is dialled, who is left alone, who is let go.

mod breaker;
mod drain;
mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use testkit::scripted::Request;
use testkit::{FreePorts, Gateway, GatewayConfig, RawClient, Reply, ScriptedBroker, wait};

use crate::bytes::{self, Broker, Bytes};
use crate::stage::{LIMIT, usual};

/// Ports that brokers may have.
const PORTS: u16 = 16;

/// What brokers do, and what is asked of them.
#[derive(Default)]
struct Script {
    /// Nodes that the brokers name, and their ports.
    named: BTreeMap<i32, u16>,
    /// Nodes that close every connection at its first request.
    sick: BTreeSet<i32>,
    /// Nodes that leave the gateway's own questions unanswered, and answer those of clients.
    busy: BTreeSet<i32>,
}

/// Scripted brokers and a gateway before them.
struct Troop {
    gateway: Gateway,
    config: GatewayConfig,
    up: BTreeMap<i32, ScriptedBroker>,
    script: Arc<Mutex<Script>>,
    ports: FreePorts,
}

impl Troop {
    /// Nodes 1 to `nodes`, each at the port of its number; `more` are keys of the cluster.
    fn of(nodes: i32, more: &[&str]) -> Self {
        let ports = FreePorts::reserve(PORTS).unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let mut config = GatewayConfig::new().unwrap();
        let bootstrap = format!("127.0.0.1:{}", ports.at(1));
        let cluster = config.add_cluster("main", vec![bootstrap], [].into());
        cluster.more = more.iter().map(|line| (*line).to_owned()).collect();
        let mut up = BTreeMap::new();
        for node in 1..=nodes {
            let port = ports.at(u16::try_from(node).unwrap());
            script.lock().unwrap().named.insert(node, port);
            up.insert(node, broker(node, port, &script));
        }
        let gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
        let troop = Self { gateway, config, up, script, ports };
        for node in 1..=nodes {
            troop.waits_for("up", node, |up| up > 0.5);
        }
        troop
    }

    fn starts(&mut self, node: i32) {
        let port = self.script.lock().unwrap().named[&node];
        self.starts_at(node, port);
    }

    fn starts_at(&mut self, node: i32, port: u16) {
        self.up.insert(node, broker(node, port, &self.script));
    }

    fn stops(&mut self, node: i32) {
        self.up.remove(&node).unwrap();
        let port = self.script.lock().unwrap().named[&node];
        let is_refused = || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
        wait::until("a broker that is gone", LIMIT, is_refused).unwrap();
    }

    fn is_sick(&self, node: i32) {
        self.script.lock().unwrap().sick.insert(node);
        self.up[&node].cut();
    }

    fn is_well(&self, node: i32) {
        self.script.lock().unwrap().sick.remove(&node);
    }

    /// A client of any broker.
    fn client(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).unwrap()
    }

    /// A client of this one.
    fn client_of(&self, node: i32) -> RawClient {
        RawClient::connect(("127.0.0.1", self.node_port(node))).unwrap()
    }

    fn node_port(&self, node: i32) -> u16 {
        self.config.clusters[0].listeners[0].node_port_base + u16::try_from(node).unwrap()
    }

    fn told(&self, what: &str, node: i32) -> f64 {
        let labels = [("node", &*node.to_string())];
        self.gateway.metric(&format!("portcullis_broker_{what}"), &labels).unwrap()
    }

    /// Waits until a metric of this broker is as wanted.
    fn waits_for(&self, what: &str, node: i32, wanted: impl Fn(f64) -> bool) -> f64 {
        let labels = [("node", &*node.to_string())];
        self.gateway.wait_metric(&format!("portcullis_broker_{what}"), &labels, LIMIT, wanted).unwrap()
    }

    /// What `GET /brokers` says of a node.
    fn described(&self, node: i32) -> Value {
        let (status, text) = self.gateway.http("/brokers").unwrap();
        assert_eq!(status, 200);
        let all: Value = serde_json::from_str(&text).unwrap();
        let nodes = all["clusters"][0]["nodes"].as_array().unwrap();
        nodes.iter().find(|described| described["node"] == node).unwrap().clone()
    }
}

/// A broker that echoes, names the brokers of the script, and says which it is to a Heartbeat whose body is `who`.
fn broker(node: i32, port: u16, script: &Arc<Mutex<Script>>) -> ScriptedBroker {
    let begin = || {
        let script = Arc::clone(script);
        Ok(ScriptedBroker::start(port, move |request| answer(node, request, &script)).ok())
    };
    // The one before it may still hold the port for a moment.
    wait::until("a broker", LIMIT, begin).unwrap()
}

fn answer(node: i32, request: &Request, script: &Mutex<Script>) -> Reply {
    let script = script.lock().unwrap();
    if script.sick.contains(&node) {
        return Reply::Close(Vec::new());
    }
    let of_gateway = request.frame.get(10..20) == Some(b"portcullis".as_slice());
    if of_gateway && script.busy.contains(&node) {
        return Reply::Nothing;
    }
    let named = script.named.iter().map(|(id, port)| (*id, "127.0.0.1".to_owned(), i32::from(*port)));
    let named: Vec<Broker> = named.collect();
    drop(script);
    match request.key() {
        bytes::METADATA => {
            Reply::Frame(bytes::metadata_answer(request.correlation(), request.version(), &named))
        }
        bytes::HEARTBEAT if request.frame.ends_with(b"who") => {
            Reply::Frame(Bytes::default().raw(request.correlation()).i32(node).0)
        }
        bytes::HEARTBEAT if request.frame.ends_with(b"slow") => {
            let answer = Bytes::default().i32(8).raw(request.correlation()).i32(node).0;
            Reply::Slowly(vec![answer], Duration::from_millis(1500))
        }
        _ => usual(request),
    }
}

/// Which broker serves this client.
fn who_serves(client: &mut RawClient) -> i32 {
    let answer = client.ask(&bytes::heartbeat(3, b"who")).unwrap();
    assert_eq!(answer.len(), 8, "{answer:?}");
    i32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]])
}

/// So many clients of any broker, by the broker that serves them.
fn spread(troop: &Troop, clients: usize) -> BTreeMap<i32, Vec<RawClient>> {
    let mut by_node = BTreeMap::<i32, Vec<RawClient>>::new();
    for _ in 0..clients {
        let mut client = troop.client();
        by_node.entry(who_serves(&mut client)).or_default().push(client);
    }
    by_node
}
