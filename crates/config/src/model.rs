//! The configuration as it is meant: every default filled in, every name a type, nothing left to unwrap.
//!
//! `PartialEq` tells what a reload changed. Defaults and meaning of the keys are told in `proxy.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::limit::Fleet;
use crate::{HostPort, Limit, ScramCredential, Secret};

/// Principal of a client of a listener without SASL, as Kafka names it.
pub const ANONYMOUS: &str = "ANONYMOUS";

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Where metrics and health are served; `None`: nowhere. Not reloadable.
    pub admin: Option<Admin>,
    /// What is logged and how.
    pub log: Log,
    /// What the process takes of its machine. Not reloadable.
    pub process: Process,
    /// The clusters, in the order of the file, names unique, at least one.
    pub clusters: Vec<Arc<Cluster>>,
    /// Everyone who may log in.
    pub users: Arc<Users>,
    /// How long what ends may take to end.
    pub drain: Drain,
    /// Limits, in the order of the file, names unique.
    pub limits: Vec<Arc<Limit>>,
    /// Where replicas share limits; there is one if any limit's scope is the fleet.
    pub fleet: Option<Fleet>,
    /// What is legal but should be known, one sentence each, to be logged as warnings. Never contains a password.
    pub notes: Vec<String>,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub bind: SocketAddr,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `info` or `warn,portcullis=debug`: levels by target. Reloadable.
    pub filter: String,
    /// Not reloadable.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[process]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Runtimes that connections live on; at least 1 (0 in the file has become the number of cores).
    pub threads: usize,
    /// Connections of clients at once, over all listeners.
    pub connections_max: usize,
    /// The Unix socket at which a successor asks for the listening sockets; `None`: nowhere.
    pub takeover: Option<PathBuf>,
}

/// `[drain]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// For connections of what a reload took away.
    pub reload: Duration,
    /// For all connections at SIGTERM.
    pub shutdown: Duration,
    /// Over how much of `shutdown` connections are let go; at most all of it.
    pub spread: Duration,
}

/// `[[cluster]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Unique; in logs and labels.
    pub name: Arc<str>,
    /// Brokers to ask for the topology; not empty.
    pub bootstrap: Vec<HostPort>,
    /// Where to dial a node, instead of where it advertises itself.
    pub node_addresses: BTreeMap<i32, HostPort>,
    /// Nodes that are about to be taken down: what any other broker can do goes to others.
    pub drain_nodes: BTreeSet<i32>,
    /// TLS towards the brokers.
    pub tls: Option<BrokerTls>,
    /// The gateway's own login at the brokers.
    pub sasl: Option<BrokerSasl>,
    /// Principals that may use administrators' APIs.
    pub admins: BTreeSet<String>,
    /// How often the topology is asked for.
    pub refresh: Duration,
    /// For one attempt to dial a broker, TLS and SASL included.
    pub dial_timeout: Duration,
    /// How long a client is held while its broker, or the first topology, is not there.
    pub hold: Duration,
    /// How long a broker may owe an answer in silence, beyond what the request itself allows it.
    pub answer_timeout: Duration,
    /// Not empty.
    pub listeners: Vec<Arc<Listener>>,
}

/// `[[cluster.listener]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Name of the cluster behind it.
    pub cluster: Arc<str>,
    /// Where clients bootstrap; the port is not 0.
    pub bind: SocketAddr,
    /// What clients are told to dial.
    pub advertised_host: Arc<str>,
    /// Node N is bound at this + N.
    pub node_port_base: u16,
    /// Node N is advertised at this + N.
    pub advertised_port_base: u16,
    /// The port of `bind` as clients see it.
    pub advertised_port: u16,
    /// Nodes bound before the first topology is known; ascending, each with valid ports.
    pub node_ids: Vec<i32>,
    /// Empty: clients are [`ANONYMOUS`].
    pub sasl: Vec<Mechanism>,
    /// TLS towards clients.
    pub tls: Option<ListenerTls>,
    /// Largest frame of a client, in bytes, without its size field.
    pub frame_bytes_max: u32,
    /// Requests of one connection that wait for their answers.
    pub in_flight_max: usize,
    /// For TLS and SASL together.
    pub login_timeout: Duration,
    /// Without a byte, after login.
    pub idle_timeout: Duration,
    /// A connection older than this is closed between two requests.
    pub age_max: Option<Duration>,
    /// Part of `age_max` that is drawn by lot, 0.0 to 1.0.
    pub age_jitter: f64,
    /// KIP-368: a client that has not logged in again by then is closed at its next request.
    pub session_lifetime: Option<Duration>,
    /// How long the answer to a wrong password waits.
    pub failed_login_delay: Duration,
    /// How long a peer may take no byte that is meant for it.
    pub stall_timeout: Duration,
    /// TCP keepalive: idle time before the first probe.
    pub keepalive: Duration,
    /// `TCP_USER_TIMEOUT`.
    pub user_timeout: Duration,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
}

impl Mechanism {
    /// All there are.
    pub const ALL: [Mechanism; 1] = [Mechanism::Plain];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
        }
    }

    /// By its name on the wire, upper case.
    pub fn from_name(name: &str) -> Option<Mechanism> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a listener shows to its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The listener's own certificate first; not empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate (whether it fits is for rustls to say).
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// TLS towards brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Who may have signed the brokers' certificates.
    pub roots: TlsRoots,
    /// The name that brokers must show; `None`: the host that is dialled.
    pub server_name: Option<String>,
}

/// Who is trusted to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsRoots {
    /// Whoever the system trusts.
    System,
    /// Only these; not empty.
    Bundle(Vec<CertificateDer<'static>>),
}

/// The gateway's own login at the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSasl {
    /// How.
    pub mechanism: Mechanism,
    /// As whom.
    pub username: String,
    /// With what.
    pub password: Secret,
}

/// Everyone who may log in, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<Arc<str>, User>);

impl Users {
    /// The last of two users with one name stays.
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        Self(users.into_iter().map(|user| (Arc::clone(&user.name), user)).collect())
    }

    /// By name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.0.get(name)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody may log in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `[[user]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The principal; not empty.
    pub name: Arc<str>,
    /// What a password is verified against.
    pub credential: Credential,
}

/// How a password is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// As `hash-password` prints it.
    Scram(ScramCredential),
    /// As it is; hashed at load by `policy::credential::settle`.
    Clear(Secret),
}
