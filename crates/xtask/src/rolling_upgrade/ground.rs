//! What clients meet: a cluster, and the gateway where that is the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use testkit::{Advertise, Client, Gateway, GatewayConfig, KafkaCluster, Library, Spec, islands, place};

use crate::cargo;

/// Who clients are. Brokers know the one, the gateway knows the other: an address of a broker that found its way through
/// the gateway would be of no use.
const DIRECT: (&str, &str) = ("direct", "direct-secret");
const THROUGH: (&str, &str) = ("through", "through-secret");
const GATEWAY: (&str, &str) = ("gateway", "gateway-secret");
const BROKERS: u16 = 3;

/// How clients get to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By themselves.
    Direct,
    /// Through the gateway.
    Gateway,
}

impl Way {
    /// Its name in tables and paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Gateway => "gateway",
        }
    }
}

/// How the gateway is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As it ships.
    Release,
    /// Quickly.
    Debug,
}

/// Builds the gateway.
pub(crate) fn build(profile: Profile) -> Result<()> {
    let mut cargo = cargo::build("portcullis");
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    ensure!(cargo.status()?.success(), "the gateway does not build");
    Ok(())
}

/// How a client's connection ended: by whose doing, and why.
pub(crate) type End = (String, String);
/// How many ended so.
pub(crate) type Ends = BTreeMap<End, u64>;

/// A cluster, and the gateway where that is the way.
pub(crate) struct Ground {
    pub(crate) cluster: KafkaCluster,
    gateway: Option<Gateway>,
    /// Where journals and logs go.
    pub(crate) home: PathBuf,
}

impl Ground {
    /// Starts brokers of this version, and the gateway.
    pub(crate) fn start(way: Way, version: &str, profile: Profile, home: PathBuf) -> Result<Ground> {
        let mut spec =
            Spec::new(version, BROKERS).with_sasl(&[DIRECT, GATEWAY]).advertising(Advertise::Loopback);
        // Kafka's own, as operators have them: the testkit's are made for tests that wait for a failure.
        for (key, value) in [("broker.heartbeat.interval.ms", "2000"), ("broker.session.timeout.ms", "9000")]
        {
            spec.properties.push((key.to_owned(), value.to_owned()));
        }
        spec.on_islands = islands::at_sea();
        let cluster = KafkaCluster::start(spec)?;
        let gateway = match way {
            Way::Direct => None,
            Way::Gateway => Some(gateway(&cluster, profile)?),
        };
        Ok(Ground { cluster, gateway, home })
    }

    /// A client on this way. Where brokers moved, new clients are told where they are now.
    pub(crate) fn client(&self, library: Library) -> Client {
        match &self.gateway {
            None => Client::new(library, &self.cluster.bootstrap().join(","), Some(DIRECT)),
            Some(gateway) => Client::new(library, &gateway.address(), Some(THROUGH)),
        }
    }

    /// The connections of clients that the gateway saw ending so far.
    pub(crate) fn connections_ended(&self) -> Result<Ends> {
        self.gateway.as_ref().map_or(Ok(Ends::new()), |gateway| ends(&gateway.metrics()?))
    }

    /// Copies the logs of brokers and gateway to where the journals are; what they lie in goes away.
    pub(crate) fn keep_logs(&self) -> Result<()> {
        for id in self.cluster.ids() {
            fs::write(self.home.join(format!("node-{id}.log")), self.cluster.log(id))?;
        }
        if let Some(gateway) = &self.gateway {
            fs::write(self.home.join("gateway.log"), gateway.log())?;
            fs::write(self.home.join("gateway.metrics"), gateway.metrics()?)?;
        }
        Ok(())
    }
}

/// As an operator would write it: three brokers to begin with, and nothing about what is to come.
fn gateway(cluster: &KafkaCluster, profile: Profile) -> Result<Gateway> {
    let binary = place::target().join(match profile {
        Profile::Release => "release/portcullis",
        Profile::Debug => "debug/portcullis",
    });
    let mut config = GatewayConfig::new()?;
    config.add_cluster("main", cluster.bootstrap(), BTreeMap::new()).more.clear();
    let config = config.with_users(&[THROUGH]).with_broker_login(GATEWAY.0, GATEWAY.1);
    Gateway::start(binary, &config)
}

/// How clients' connections ended, by the text of `/metrics`.
pub(crate) fn ends(metrics: &str) -> Result<Ends> {
    let mut ends = Ends::new();
    for line in metrics.lines() {
        let Some(labels) = line.strip_prefix("portcullis_connections_ended_total{") else { continue };
        let (labels, count) = labels.split_once("} ").context("a series without a value")?;
        let end = (label(labels, "side"), label(labels, "reason"));
        *ends.entry(end).or_default() += count.parse::<u64>()?;
    }
    Ok(ends)
}

fn label(labels: &str, name: &str) -> String {
    let after = labels.split_once(&format!("{name}=\"")).map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default().to_owned()
}
