//! What a cluster is to be: the wish ([`Spec`]) and what was made of it ([`Plan`]), which is kept in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::islands;

/// The cluster that is wished for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Kafka's version, e.g. `4.3.1`.
    pub version: String,
    /// How many nodes; their ids are 1, 2, …; each is broker and controller.
    pub brokers: u16,
    /// Clients have to log in.
    pub sasl: Option<SaslPlain>,
    /// What brokers tell clients about their own addresses.
    pub advertise: Advertise,
    /// Clients have to speak TLS.
    pub tls: Option<NodeTls>,
    /// Every node has a network of its own, so that its packets can be lost ([`super::KafkaCluster::freeze_node`]). Only after
    /// [`super::islands::make_sea`].
    pub on_islands: bool,
    /// More lines for every node's properties; a later line wins.
    pub properties: Vec<(String, String)>,
}

impl Spec {
    /// Plaintext, without login, advertising names that cannot be resolved.
    pub fn new(version: &str, brokers: u16) -> Spec {
        Spec {
            version: version.to_owned(),
            brokers,
            sasl: None,
            advertise: Advertise::Names,
            tls: None,
            on_islands: false,
            properties: Vec::new(),
        }
    }

    /// The same with SASL/PLAIN for these users (name, password).
    #[must_use]
    pub fn with_sasl(mut self, users: &[(&str, &str)]) -> Spec {
        let users =
            users.iter().map(|(user, password)| ((*user).to_owned(), (*password).to_owned())).collect();
        self.sasl = Some(SaslPlain { users });
        self
    }

    /// The same with another kind of advertised address.
    #[must_use]
    pub fn advertising(mut self, advertise: Advertise) -> Spec {
        self.advertise = advertise;
        self
    }
}

/// SASL/PLAIN on the listeners for clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaslPlain {
    /// Password by user name.
    pub users: BTreeMap<String, String>,
}

/// What brokers advertise on the listener that a gateway dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advertise {
    /// Their true address, 127.0.0.1 and the port. Clients may dial it.
    Loopback,
    /// `broker-<id>.kafka.invalid`, which nobody resolves. Direct clients are served by a second listener.
    Names,
}

/// A certificate for all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTls {
    /// PEM: the key (PKCS #8) and after it the certificate chain.
    pub key_and_chain: PathBuf,
    /// PEM: the authority, for the tools.
    pub authority: PathBuf,
}

/// The cluster as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub(super) cluster_id: String,
    pub(super) sasl: Option<SaslPlain>,
    pub(super) advertise: Advertise,
    pub(super) tls: Option<NodeTls>,
    #[serde(default)]
    pub(super) on_islands: bool,
    pub(super) properties: Vec<(String, String)>,
    pub(super) nodes: BTreeMap<i32, NodePlan>,
}

/// One node as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodePlan {
    pub(super) id: i32,
    pub(super) version: String,
    pub(super) client_port: u16,
    pub(super) direct_port: u16,
    pub(super) internal_port: u16,
    pub(super) controller_port: u16,
    pub(super) directory_id: String,
    /// The process, while one was started and not yet stopped.
    pub(super) pid: Option<u32>,
}

impl Plan {
    /// The address at which a node listens.
    pub(super) fn host(&self, id: i32) -> String {
        if self.on_islands { islands::address(id) } else { "127.0.0.1".to_owned() }
    }

    /// The host that this node advertises on the listener for gateways.
    pub(super) fn advertised_host(&self, id: i32) -> String {
        match self.advertise {
            Advertise::Loopback => self.host(id),
            Advertise::Names => format!("broker-{id}.kafka.invalid"),
        }
    }

    /// The properties file of a node.
    pub(super) fn properties_of(&self, node: &NodePlan, data: &std::path::Path) -> String {
        let protocol = match (&self.sasl, &self.tls) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SASL_PLAINTEXT",
            (None, Some(_)) => "SSL",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        let (id, client, direct, internal) =
            (node.id, node.client_port, node.direct_port, node.internal_port);
        let host = self.advertised_host(id);
        let here = self.host(id);
        let voters: Vec<String> = self
            .nodes
            .values()
            .map(|node| format!("{}@{}:{}", node.id, self.host(node.id), node.controller_port))
            .collect();
        let copies = self.nodes.len().min(3);
        let min_isr = copies.saturating_sub(1).max(1);
        let mut lines = vec![
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", id.to_string()),
            ("broker.rack", format!("rack-{id}")),
            ("controller.quorum.voters", voters.join(",")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "INTERNAL".to_owned()),
            (
                "listeners",
                format!(
                    "CLIENT://{here}:{client},DIRECT://{here}:{direct},INTERNAL://{here}:{internal},\
                     CONTROLLER://{here}:{}",
                    node.controller_port
                ),
            ),
            (
                "advertised.listeners",
                format!("CLIENT://{host}:{client},DIRECT://{here}:{direct},INTERNAL://{here}:{internal}"),
            ),
            (
                "listener.security.protocol.map",
                format!("CLIENT:{protocol},DIRECT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ),
            ("log.dirs", data.display().to_string()),
            ("offsets.topic.replication.factor", copies.to_string()),
            ("transaction.state.log.replication.factor", copies.to_string()),
            ("transaction.state.log.min.isr", min_isr.to_string()),
            ("share.coordinator.state.topic.replication.factor", copies.to_string()),
            ("share.coordinator.state.topic.min.isr", min_isr.to_string()),
        ];
        lines.extend(FIXED.iter().map(|(key, value)| (*key, (*value).to_owned())));
        if super::dist::is_before_4(&node.version) {
            // 4.x has all of its protocols on; 3.9 has KIP-848 only when asked.
            lines.push(("group.coordinator.rebalance.protocols", "classic,consumer".to_owned()));
        }
        let mut lines: Vec<String> = lines.iter().map(|(key, value)| format!("{key}={value}")).collect();
        for listener in ["client", "direct"] {
            lines.extend(self.security_of(listener));
        }
        lines.extend(self.properties.iter().map(|(key, value)| format!("{key}={value}")));
        lines.join("\n") + "\n"
    }

    fn security_of(&self, listener: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let prefix = format!("listener.name.{listener}");
        if let Some(sasl) = &self.sasl {
            let users: Vec<String> = sasl
                .users
                .iter()
                .map(|(user, password)| format!("user_{user}=\"{}\"", escape(password)))
                .collect();
            let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
            lines.push(format!("{prefix}.sasl.enabled.mechanisms=PLAIN"));
            lines.push(format!("{prefix}.plain.sasl.jaas.config={module} {};", users.join(" ")));
        }
        if let Some(tls) = &self.tls {
            lines.push(format!("{prefix}.ssl.keystore.type=PEM"));
            lines.push(format!("{prefix}.ssl.keystore.location={}", tls.key_and_chain.display()));
        }
        lines
    }
}

/// For a value within quotes within a line of Java properties.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\\\\\").replace('"', "\\\\\"")
}

/// Small and quick: few partitions of internal topics, no waiting for more members, little memory, failures seen
/// within seconds.
const FIXED: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "3"),
    ("share.coordinator.state.topic.num.partitions", "3"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "4000"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("background.threads", "2"),
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("log.index.size.max.bytes", "1048576"),
    ("initial.broker.registration.timeout.ms", "60000"),
];
