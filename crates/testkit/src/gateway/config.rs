//! A gateway's configuration, and how it is written as proxy.toml.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use tempfile::TempDir;

use crate::free_ports::FreePorts;
use crate::kafka::KafkaCluster;

/// Ports of one configuration: admin, then blocks of [`PORTS_PER_LISTENER`].
const PORTS: u16 = 1 + 6 * PORTS_PER_LISTENER;
/// The bootstrap port and nodes 0 to 22.
const PORTS_PER_LISTENER: u16 = 24;

/// What the gateway is told. Every field may be changed before it is started or reloaded.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// `[[cluster]]`.
    pub clusters: Vec<ClusterConfig>,
    /// `[[user]]`: name and password (clear text or what hash-password prints).
    pub users: Vec<(String, String)>,
    /// More tables, as they are written: `[drain]\nreload = "1s"\n`.
    pub more: String,
    takeover: Option<Arc<TempDir>>,
    ports: Arc<FreePorts>,
    blocks_used: u16,
}

/// `[[cluster]]`.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Its name.
    pub name: String,
    /// `host:port` of brokers.
    pub bootstrap: Vec<String>,
    /// Where to dial each node.
    pub node_addresses: BTreeMap<i32, String>,
    /// More keys, each a line: `admins = ["ops"]`.
    pub more: Vec<String>,
    /// `[[cluster.listener]]`.
    pub listeners: Vec<ListenerConfig>,
}

/// `[[cluster.listener]]`, on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The bootstrap port that is bound.
    pub port: u16,
    /// Node N is bound at this + N.
    pub node_port_base: u16,
    /// What clients are told instead (a tap): bootstrap port and base.
    pub advertised: Option<(u16, u16)>,
    /// SASL/PLAIN.
    pub sasl: bool,
    /// TLS.
    pub tls: Option<ListenerTls>,
    /// More keys, each a line: `frame_bytes_max = "1MiB"`.
    pub more: Vec<String>,
}

/// PEM files of a listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ListenerConfig {
    /// The bootstrap port as clients see it.
    pub fn advertised_port(&self) -> u16 {
        self.advertised.map_or(self.port, |(port, _)| port)
    }

    /// Pairs for a [`crate::Tap`] that stands between clients and this listener: bootstrap, and nodes 1 to `nodes`.
    pub fn tap_pairs(&self, nodes: u16) -> Vec<(u16, u16)> {
        let (port, base) = self.advertised.unwrap_or((self.port, self.node_port_base));
        let of_nodes = (1..=nodes).map(|node| (base + node, self.node_port_base + node));
        [(port, self.port)].into_iter().chain(of_nodes).collect()
    }
}

impl GatewayConfig {
    /// A configuration without clusters; its ports are reserved as long as it or a clone lives.
    pub fn new() -> Result<GatewayConfig> {
        let ports = Arc::new(FreePorts::reserve(PORTS)?);
        Ok(GatewayConfig {
            clusters: Vec::new(),
            users: Vec::new(),
            more: "[drain]\nreload = \"2s\"\nshutdown = \"5s\"\nspread = \"0s\"\n".to_owned(),
            takeover: None,
            ports,
            blocks_used: 0,
        })
    }

    /// One anonymous plaintext listener in front of this cluster.
    pub fn in_front_of(cluster: &KafkaCluster) -> Result<GatewayConfig> {
        let mut config = GatewayConfig::new()?;
        config.add_cluster("main", cluster.bootstrap(), cluster.node_addresses());
        Ok(config)
    }

    /// Adds a cluster with one anonymous plaintext listener.
    pub fn add_cluster(
        &mut self,
        name: &str,
        bootstrap: Vec<String>,
        node_addresses: BTreeMap<i32, String>,
    ) -> &mut ClusterConfig {
        let listener = self.listener();
        self.clusters.push(ClusterConfig {
            name: name.to_owned(),
            bootstrap,
            node_addresses,
            more: vec!["refresh = \"500ms\"".to_owned()],
            listeners: vec![listener],
        });
        let last = self.clusters.len() - 1;
        self.clusters.get_mut(last).unwrap_or_else(|| unreachable!("one was pushed"))
    }

    /// A new listener on ports of this configuration, for [`ClusterConfig::listeners`].
    ///
    /// # Panics
    /// When more listeners and taps are asked for than ports were reserved for.
    pub fn listener(&mut self) -> ListenerConfig {
        let port = self.block();
        let (sasl, tls, advertised) = (false, None, None);
        ListenerConfig { port, node_port_base: port + 1, advertised, sasl, tls, more: Vec::new() }
    }

    /// Makes the first listener log its clients in by SASL/PLAIN, and adds these users.
    #[must_use]
    pub fn with_users(mut self, users: &[(&str, &str)]) -> GatewayConfig {
        self.users.extend(users.iter().map(|(user, password)| ((*user).to_owned(), (*password).to_owned())));
        if let Some(listener) = self.first_listener() {
            listener.sasl = true;
        }
        self
    }

    /// Lets another process with this configuration take over from one.
    pub fn with_takeover(mut self) -> Result<GatewayConfig> {
        let directory = tempfile::Builder::new().prefix("portcullis-takeover-").tempdir()?;
        self.takeover = Some(Arc::new(directory));
        Ok(self)
    }

    /// Where a successor asks for the sockets, with [`GatewayConfig::with_takeover`].
    pub fn takeover_socket(&self) -> Option<PathBuf> {
        self.takeover.as_ref().map(|directory| directory.path().join("takeover.sock"))
    }

    /// Makes the first listener speak TLS.
    #[must_use]
    pub fn with_tls(mut self, certificate: &crate::certs::ServerCert) -> GatewayConfig {
        let (certificate, key) = (certificate.chain.clone(), certificate.key.clone());
        if let Some(listener) = self.first_listener() {
            listener.tls = Some(ListenerTls { certificate, key });
        }
        self
    }

    /// Makes the first cluster's brokers be logged into as this user.
    #[must_use]
    pub fn with_broker_login(mut self, user: &str, password: &str) -> GatewayConfig {
        let line =
            format!("sasl = {{ mechanism = \"PLAIN\", username = {user:?}, password = {password:?} }}");
        if let Some(cluster) = self.clusters.first_mut() {
            cluster.more.push(line);
        }
        self
    }

    /// Advertises other ports for the first listener, where a [`crate::Tap`] is to listen; the pairs for it.
    pub fn tapped(&mut self, nodes: u16) -> Vec<(u16, u16)> {
        let port = self.block();
        let Some(listener) = self.first_listener() else { return Vec::new() };
        listener.advertised = Some((port, port + 1));
        listener.tap_pairs(nodes)
    }

    /// The first listener of the first cluster.
    pub fn first_listener(&mut self) -> Option<&mut ListenerConfig> {
        self.clusters.first_mut().and_then(|cluster| cluster.listeners.first_mut())
    }

    /// The port of /metrics, /livez and /readyz.
    pub fn admin_port(&self) -> u16 {
        self.ports.base()
    }

    fn block(&mut self) -> u16 {
        let port = self.ports.at(1 + self.blocks_used * PORTS_PER_LISTENER);
        self.blocks_used += 1;
        port
    }

    /// The text of proxy.toml.
    pub fn to_toml(&self) -> String {
        let mut text = format!("[admin]\nbind = \"127.0.0.1:{}\"\n\n{}\n", self.admin_port(), self.more);
        if let Some(socket) = self.takeover_socket() {
            add(&mut text, format_args!("[process]\ntakeover = \"{}\"\n\n", socket.display()));
        }
        for cluster in &self.clusters {
            cluster.write(&mut text);
        }
        for (name, password) in &self.users {
            add(&mut text, format_args!("[[user]]\nname = {name:?}\npassword = {password:?}\n\n"));
        }
        text
    }
}

impl ClusterConfig {
    fn write(&self, text: &mut String) {
        add(text, format_args!("[[cluster]]\nname = {:?}\nbootstrap = {:?}\n", self.name, self.bootstrap));
        if !self.node_addresses.is_empty() {
            let nodes: Vec<String> =
                self.node_addresses.iter().map(|(node, address)| format!("{node} = {address:?}")).collect();
            add(text, format_args!("node_addresses = {{ {} }}\n", nodes.join(", ")));
        }
        self.more.iter().for_each(|line| add(text, format_args!("{line}\n")));
        for listener in &self.listeners {
            listener.write(text);
        }
        text.push('\n');
    }
}

impl ListenerConfig {
    fn write(&self, text: &mut String) {
        let (port, base) = (self.port, self.node_port_base);
        add(
            text,
            format_args!("\n[[cluster.listener]]\nbind = \"127.0.0.1:{port}\"\nnode_port_base = {base}\n"),
        );
        if let Some((port, base)) = self.advertised {
            add(text, format_args!("advertised_port = {port}\nadvertised_port_base = {base}\n"));
        }
        if self.sasl {
            text.push_str("sasl = [\"PLAIN\"]\n");
        }
        if let Some(tls) = &self.tls {
            let (certificate, key) = (tls.certificate.display(), tls.key.display());
            add(text, format_args!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n"));
        }
        self.more.iter().for_each(|line| add(text, format_args!("{line}\n")));
    }
}

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::GatewayConfig;

    #[test]
    fn a_configuration_is_written_as_the_gateway_reads_it() {
        let mut config = GatewayConfig::new().unwrap();
        config.add_cluster(
            "main",
            vec!["127.0.0.1:9092".to_owned()],
            [(1, "127.0.0.1:9092".to_owned())].into(),
        );
        let config = config.with_users(&[("alice", "alice \"secret\"")]).with_broker_login("gateway", "s");
        let text = config.to_toml();
        assert!(text.contains("node_addresses = { 1 = \"127.0.0.1:9092\" }\n"), "{text}");
        assert!(text.contains("password = \"alice \\\"secret\\\"\"\n"), "{text}");
        assert!(text.contains("sasl = [\"PLAIN\"]\n"), "{text}");
    }
}
