//! `[[limit]]` as it is meant: who may do how much.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::Api;
use wire::api::Class;

/// `[[limit]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Unique; in logs, labels and messages. Counters survive a reload under this name.
    pub name: Arc<str>,
    /// What is counted, and how.
    pub kind: LimitKind,
    /// What makes one bucket: one for each combination of values. Ascending, each once; empty: one shared bucket.
    pub by: Vec<Key>,
    /// Who and what it is for.
    pub matches: Match,
    /// How much, for whom no override says something else. `None`: nothing is limited without an override.
    pub amount: Option<Amount>,
    /// Other amounts for single principals, clients or addresses. Kafka's precedence picks one of them.
    pub overrides: Vec<Override>,
    /// Whether it only watches.
    pub mode: Mode,
    /// What becomes of what is too much.
    pub on_exceeded: OnExceeded,
    /// The longest single pause, at most [`MAX_THROTTLE_MOST`].
    pub max_throttle: Duration,
    /// Among whom it is shared.
    pub scope: Scope,
}

/// The longest pause that no client library takes for a dead connection.
pub const MAX_THROTTLE_MOST: Duration = Duration::from_secs(8);

/// What is counted, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// So many units per window, the windows one behind the other.
    FixedWindow(Unit),
    /// So many units in any window.
    SlidingWindow(Unit),
    /// Requests at a steady rate, with a burst.
    LeakyBucket,
    /// Requests in flight.
    Concurrency,
    /// Connections open.
    Connections,
    /// Connections opened.
    ConnectionRate,
    /// Kafka's byte rates: charged afterwards.
    Bytes,
    /// Partitions created and deleted (KIP-599).
    Mutations,
}

impl LimitKind {
    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            LimitKind::FixedWindow(_) => "fixed-window",
            LimitKind::SlidingWindow(_) => "sliding-window",
            LimitKind::LeakyBucket => "leaky-bucket",
            LimitKind::Concurrency => "concurrency",
            LimitKind::Connections => "connections",
            LimitKind::ConnectionRate => "connection-rate",
            LimitKind::Bytes => "bytes",
            LimitKind::Mutations => "mutations",
        }
    }
}

/// What a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Bytes of Produce requests and of Fetch answers.
    Bytes,
    /// Records of Produce requests, as their batches announce them.
    Records,
}

/// What makes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Who logged in.
    Principal,
    /// The `client.id` of the request.
    ClientId,
    /// The client's IP address.
    Address,
    /// The cluster's name.
    Cluster,
    /// The listener's `bind`.
    Listener,
    /// The topic of Produce and Fetch.
    Topic,
    /// The group that a request names.
    Group,
    /// The request's API.
    Api,
}

impl Key {
    /// All there are, ascending.
    pub const ALL: [Key; 8] = [
        Key::Principal,
        Key::ClientId,
        Key::Address,
        Key::Cluster,
        Key::Listener,
        Key::Topic,
        Key::Group,
        Key::Api,
    ];

    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Key::Principal => "principal",
            Key::ClientId => "client_id",
            Key::Address => "address",
            Key::Cluster => "cluster",
            Key::Listener => "listener",
            Key::Topic => "topic",
            Key::Group => "group",
            Key::Api => "api",
        }
    }
}

/// Who and what a limit is for: every list that is not empty must have something that fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Who logged in.
    pub principal: Vec<Pattern>,
    /// The `client.id`; a request without one has the empty one.
    pub client_id: Vec<Pattern>,
    /// Networks that the client's address is in.
    pub address: Vec<Network>,
    /// Clusters by name.
    pub cluster: Vec<Arc<str>>,
    /// Listeners by their `bind`, as written.
    pub listener: Vec<std::net::SocketAddr>,
    /// Topics of Produce and Fetch.
    pub topic: Vec<Pattern>,
    /// Groups that a request names.
    pub group: Vec<Pattern>,
    /// The requests it is for; `None`: all.
    pub apis: Option<Apis>,
}

/// A set of APIs: those listed in `api`, and all of the classes listed in `class`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apis(u128);

impl Apis {
    /// Adds one.
    pub fn insert(&mut self, api: Api) {
        self.0 |= 1 << api.index();
    }

    /// Adds all of a class.
    pub fn insert_class(&mut self, class: Class) {
        Api::ALL.into_iter().filter(|api| api.class() == class).for_each(|api| self.insert(api));
    }

    /// Whether it is one of them.
    pub const fn contains(self, api: Api) -> bool {
        self.0 & (1 << api.index()) != 0
    }
}

impl FromIterator<Api> for Apis {
    fn from_iter<I: IntoIterator<Item = Api>>(apis: I) -> Self {
        let mut set = Self::default();
        apis.into_iter().for_each(|api| set.insert(api));
        set
    }
}

/// A name, or with a `*` at its end all names that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This name.
    Exact(Arc<str>),
    /// All names that begin with this.
    Prefix(Arc<str>),
}

impl Pattern {
    /// As written in the file.
    pub fn new(written: &str) -> Self {
        match written.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(written.into()),
        }
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// A network, as in `10.0.0.0/8`, `fd00::/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// How many leading bits are the network's.
    pub bits: u8,
}

impl Network {
    /// Whether an address is in it. An IPv4 address mapped into IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits.min(32))).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits.min(128))).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// How much. Which of them a limit has follows from its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Windows.
    Count {
        /// Units per window, at least 1.
        count: u64,
        /// The window; not zero.
        window: Duration,
    },
    /// Leaky bucket, connection rate and mutations.
    Rate(Rate),
    /// Concurrency and connections: how many at once, at least 1.
    AtOnce(u64),
    /// Byte rates; at least one of them.
    Bytes {
        /// Of Produce requests.
        produce: Option<Rate>,
        /// Of Fetch answers.
        fetch: Option<Rate>,
    },
}

/// So many units per time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units, at least 1.
    pub units: u64,
    /// In this time; not zero. `rate = 0.5` is 500 in 1000 s.
    pub per: Duration,
    /// Units that may come at once, at least 1.
    pub burst: u64,
}

/// Another amount for somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// For which principal; `None`: it does not matter.
    pub principal: Option<Entity>,
    /// For which `client.id`; `None`: it does not matter.
    pub client_id: Option<Entity>,
    /// For which address (kinds of connections only); `None`: it does not matter.
    pub address: Option<Entity>,
    /// How much.
    pub amount: Amount,
}

/// Whom an override is for, as Kafka's quotas name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// Everybody who has none of their own; each has a bucket of their own. Written `<default>`.
    Default,
    /// This one.
    Name(Arc<str>),
}

/// Whether a limit only watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It limits.
    Enforce,
    /// It counts and logs what it would have done.
    Observe,
}

/// What becomes of what is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceeded {
    /// It waits.
    Throttle,
    /// It is answered with an error where there is one that clients retry, and waits where there is none.
    Reject,
}

/// Among whom a limit is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each process has it for itself.
    Replica,
    /// All replicas together, by way of Redis or Valkey.
    Fleet,
}

/// `[fleet]`: where replicas share their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// `redis://host:port/database`, without the password.
    pub url: Arc<str>,
    /// The server's user, if it has any.
    pub username: Option<String>,
    /// The server's password.
    pub password: Option<crate::Secret>,
    /// Part of the names of all keys there, so that fleets do not meet.
    pub prefix: Arc<str>,
    /// How often shares are synchronised.
    pub sync: Duration,
}
