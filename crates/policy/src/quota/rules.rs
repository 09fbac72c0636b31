//! The limits in force: which of them are for whom, and under which key their buckets stand.

mod charge;
mod fullness;
mod shared;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::Limit;
use config::limit::{Entity, Key, LimitKind, Override, Pattern, Unit};
use wire::Api;
use wire::api::Class;

use super::bucket::{Bucket, Nanos, Pace};
use super::shared::Feed;
use super::slots::Slots;
use charge::{Charge, Much, charges};

/// Keys that one limit keeps apart; further ones share a bucket. Names come from clients, and memory is bounded.
pub const KEYS_MAX: usize = 100_000;

/// The key of the bucket that all share for whom there is no room.
const OVERFLOW: &str = "<overflow>";

/// Whom a request is from, and what it names.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Who logged in.
    pub principal: &'a str,
    /// The request's `client.id`.
    pub client_id: &'a str,
    /// The client's address.
    pub address: IpAddr,
    /// The cluster's name.
    pub cluster: &'a str,
    /// Where the listener is bound.
    pub listener: SocketAddr,
    /// The topic, for limits that look at it.
    pub topic: Option<&'a str>,
    /// The group, for limits that look at it.
    pub group: Option<&'a str>,
    /// The API; `None` for the connection itself.
    pub api: Option<Api>,
}

/// What is charged to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// One for each request, taken before it goes on.
    Requests,
    /// The bytes of a Produce request.
    ProduceBytes,
    /// The bytes of a Fetch answer.
    FetchBytes,
    /// The records of a Produce request.
    Records,
    /// The partitions that a request creates or deletes.
    Mutations,
    /// A slot for as long as a request is in flight.
    InFlight,
    /// A slot for as long as a connection is open.
    Open,
    /// One for each connection.
    Connections,
}

/// What a limit has counted, for the metrics.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests, or connections, that had to wait.
    pub throttled: AtomicU64,
    /// For how long, in nanoseconds.
    pub throttled_ns: AtomicU64,
    /// What was answered with an error, or closed.
    pub rejected: AtomicU64,
    /// What would have had to wait, were it enforced.
    pub observed: AtomicU64,
}

impl Tally {
    /// Notes a wait.
    pub fn throttled(&self, wait: Nanos) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
        self.throttled_ns.fetch_add(wait, Ordering::Relaxed);
    }
}

/// What one key has used of one limit.
#[derive(Debug)]
pub enum Used {
    /// Of what has a pace.
    Paced(Pace, Bucket),
    /// Of what is counted at once.
    Slots(Slots),
}

/// Buckets by key. Outlives the rule that it serves: a reload's rule of the same name takes it over.
#[derive(Debug, Default)]
struct Keys {
    /// Which rules it serves. Those before them may still be asked for a while, and must not undo what is in force.
    generation: u64,
    buckets: HashMap<Box<str>, Arc<Used>>,
}

/// One `[[limit]]` in force.
#[derive(Debug)]
pub struct Rule {
    /// As configured.
    pub limit: Arc<Limit>,
    /// What it has counted since the start.
    pub tally: Arc<Tally>,
    generation: u64,
    keys: Arc<Mutex<Keys>>,
    feed: Arc<Feed>,
}

/// A bucket that somebody is charged to.
#[derive(Clone, Debug)]
pub struct Handle {
    /// By which rule.
    pub rule: Arc<Rule>,
    /// The bucket.
    pub used: Arc<Used>,
    /// What is charged.
    pub measure: Measure,
    /// For slots: how many there are.
    pub at_once: u64,
}

/// All limits in force, in the order of the configuration.
#[derive(Debug, Default)]
#[allow(clippy::struct_field_names, reason = "they are rules")]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    /// How many there were before.
    generation: u64,
    /// What they have to tell other replicas.
    feed: Arc<Feed>,
}

fn lock(keys: &Mutex<Keys>) -> MutexGuard<'_, Keys> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rules {
    /// The rules of a configuration; what was counted under the same names `before` stays counted.
    pub fn new(limits: &[Arc<Limit>], before: &Rules) -> Self {
        let generation = before.generation + 1;
        let rule = |limit: &Arc<Limit>| {
            let old = before.rules.iter().find(|old| old.limit.name == limit.name);
            let (tally, keys) =
                old.map(|old| (Arc::clone(&old.tally), Arc::clone(&old.keys))).unwrap_or_default();
            lock(&keys).generation = generation;
            let feed = Arc::clone(&before.feed);
            Arc::new(Rule { limit: Arc::clone(limit), tally, generation, keys, feed })
        };
        Self { rules: limits.iter().map(rule).collect(), generation, feed: Arc::clone(&before.feed) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The buckets that `who` is charged to. Rules that look at a topic or a group apply where it is given.
    pub fn applying(&self, who: &Who<'_>, now: Nanos) -> Vec<Handle> {
        self.rules.iter().flat_map(|rule| rule.handles(who, now)).collect()
    }

    /// Whether a rule for `who` looks at topics, whichever the topic is. It can be told only in requests that carry records.
    pub fn look_at_topics(&self, who: &Who<'_>) -> bool {
        let carries = |api: Api| matches!(api.class(), Class::Produce | Class::Fetch);
        who.api.is_some_and(carries)
            && self.rules.iter().any(|rule| rule.looks_at_topics() && rule.fits_but_for_names(who))
    }

    /// Whether a rule for `who` looks at groups, whichever the group is.
    pub fn look_at_groups(&self, who: &Who<'_>) -> bool {
        self.rules.iter().any(|rule| rule.looks_at_groups() && rule.fits_but_for_names(who))
    }

    /// The buckets that a connection itself is charged to: before its login those that do not look at the principal, after
    /// it those that do.
    pub fn at_door(&self, who: &Who<'_>, is_known: bool, now: Nanos) -> Vec<Handle> {
        let rules = self.rules.iter().filter(|rule| rule.looks_at_principals() == is_known);
        rules.flat_map(|rule| rule.handles(who, now)).collect()
    }

    /// Forgets buckets that nobody holds and that forgetting changes nothing about.
    pub fn forget_idle(&self, now: Nanos) {
        for rule in &self.rules {
            lock(&rule.keys).buckets.retain(|_, used| Arc::strong_count(used) > 1 || !used.is_idle(now));
        }
    }
}

impl Used {
    fn is_idle(&self, now: Nanos) -> bool {
        match self {
            Self::Paced(pace, bucket) => bucket.is_idle(*pace, now),
            Self::Slots(slots) => slots.used() == 0,
        }
    }
}

impl Rule {
    fn looks_at_principals(&self) -> bool {
        let limit = &self.limit;
        limit.by.contains(&Key::Principal)
            || !limit.matches.principal.is_empty()
            || limit.overrides.iter().any(|over| over.principal.is_some())
    }

    /// Whether the rule looks at topics.
    pub fn looks_at_topics(&self) -> bool {
        self.limit.by.contains(&Key::Topic) || !self.limit.matches.topic.is_empty()
    }

    /// Whether the rule looks at groups.
    pub fn looks_at_groups(&self) -> bool {
        self.limit.by.contains(&Key::Group) || !self.limit.matches.group.is_empty()
    }

    /// Whether the rule counts the records of Produce requests.
    pub fn counts_records(&self) -> bool {
        let kind = self.limit.kind;
        matches!(kind, LimitKind::FixedWindow(Unit::Records) | LimitKind::SlidingWindow(Unit::Records))
    }

    /// Whether the rule is for `who`, topics and groups included.
    fn fits(&self, who: &Who<'_>) -> bool {
        let of = &self.limit.matches;
        let named = |patterns: &[Pattern], name: Option<&str>| {
            patterns.is_empty() || name.is_some_and(|name| patterns.iter().any(|one| one.fits(name)))
        };
        self.looks_at_topics() == who.topic.is_some()
            && self.looks_at_groups() == who.group.is_some()
            && named(&of.topic, who.topic)
            && named(&of.group, who.group)
            && self.fits_but_for_names(who)
    }

    /// Whether the rule is for `who`, whatever the topic and the group.
    fn fits_but_for_names(&self, who: &Who<'_>) -> bool {
        let of = &self.limit.matches;
        let named = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|one| one.fits(name))
        };
        let is_for_connections =
            matches!(self.limit.kind, LimitKind::Connections | LimitKind::ConnectionRate);
        is_for_connections == who.api.is_none()
            && named(&of.principal, who.principal)
            && named(&of.client_id, who.client_id)
            && (of.address.is_empty() || of.address.iter().any(|net| net.contains(who.address)))
            && (of.cluster.is_empty() || of.cluster.iter().any(|name| **name == *who.cluster))
            && (of.listener.is_empty() || of.listener.contains(&who.listener))
            && of.apis.is_none_or(|apis| who.api.is_some_and(|api| apis.contains(api)))
    }

    /// The buckets of `who` under this rule: none, one, or for bytes one for each direction.
    fn handles(self: &Arc<Self>, who: &Who<'_>, now: Nanos) -> Vec<Handle> {
        self.keyed(who, now).into_iter().map(|(_, handle)| handle).collect()
    }

    /// As [`Self::handles`], with the keys that they stand under.
    pub fn keyed(self: &Arc<Self>, who: &Who<'_>, now: Nanos) -> Vec<(String, Handle)> {
        if !self.fits(who) {
            return Vec::new();
        }
        let (amount, key) = match self.closest(who) {
            Some(over) => (over.amount, key_of_override(over, who)),
            None => match self.limit.amount {
                Some(amount) => (amount, self.key(who)),
                None => return Vec::new(),
            },
        };
        let charges = charges(self.limit.kind, amount, who.api);
        charges.into_iter().flatten().map(|charge| self.handle(charge, &key, now)).collect()
    }

    /// The key of the bucket that `who` has by `by`.
    fn key(&self, who: &Who<'_>) -> String {
        let mut key = String::new();
        for by in &self.limit.by {
            let value = match by {
                Key::Principal => who.principal.to_owned(),
                Key::ClientId => who.client_id.to_owned(),
                Key::Address => who.address.to_canonical().to_string(),
                Key::Cluster => who.cluster.to_owned(),
                Key::Listener => who.listener.to_string(),
                Key::Topic => who.topic.unwrap_or_default().to_owned(),
                Key::Group => who.group.unwrap_or_default().to_owned(),
                Key::Api => who.api.map(|api| api.name().to_owned()).unwrap_or_default(),
            };
            part(&mut key, by.name(), &value);
        }
        key
    }

    /// The override that Kafka's precedence picks: who is named more closely, the user before the client.
    fn closest(&self, who: &Who<'_>) -> Option<&Override> {
        let fits = |entity: &Option<Entity>, name: &str| match entity {
            Some(Entity::Name(wanted)) => **wanted == *name,
            Some(Entity::Default) | None => true,
        };
        let rank = |entity: &Option<Entity>| match entity {
            Some(Entity::Name(_)) => 2,
            Some(Entity::Default) => 1,
            None => 0,
        };
        let address = who.address.to_canonical().to_string();
        let fitting = self.limit.overrides.iter().filter(|over| {
            fits(&over.principal, who.principal)
                && fits(&over.client_id, who.client_id)
                && fits(&over.address, &address)
        });
        fitting.max_by_key(|over| (rank(&over.principal), rank(&over.client_id), rank(&over.address)))
    }

    /// A bucket, and the key that it stands under.
    fn handle(self: &Arc<Self>, charge: Charge, key: &str, now: Nanos) -> (String, Handle) {
        let mut keys = lock(&self.keys);
        // Kafka's byte rates are two limits, one for each way.
        let is_second = self.limit.kind == LimitKind::Bytes && charge.measure == Measure::FetchBytes;
        let mut name = if is_second { format!("{key} fetch") } else { key.to_owned() };
        if !keys.buckets.contains_key(name.as_str()) && keys.buckets.len() >= KEYS_MAX {
            OVERFLOW.clone_into(&mut name);
        }
        let is_superseded = self.generation < keys.generation;
        let old = keys.buckets.get(name.as_str());
        let (used, at_once) = match (charge.much, old.map(|old| (old, &**old))) {
            (Much::AtOnce(max), Some((old, Used::Slots(slots)))) => {
                slots.advance(max);
                (Arc::clone(old), max)
            }
            (Much::AtOnce(max), _) => (Arc::new(Used::Slots(Slots::default())), max),
            (Much::Paced(pace), Some((old, Used::Paced(before, bucket))))
                if is_superseded || (*before == pace && bucket.shared().is_some() == self.is_shared()) =>
            {
                (Arc::clone(old), 0)
            }
            (Much::Paced(pace), old) => {
                let bucket = match old {
                    Some((_, Used::Paced(before, bucket))) => bucket.retuned(*before, pace, now),
                    _ => None,
                };
                let bucket = bucket.unwrap_or_else(|| Bucket::new(pace));
                (Arc::new(Used::Paced(pace, self.share(bucket, &name))), 0)
            }
        };
        keys.buckets.insert(name.clone().into_boxed_str(), Arc::clone(&used));
        drop(keys);
        (name, Handle { rule: Arc::clone(self), used, measure: charge.measure, at_once })
    }
}

/// Adds one part to a key. Values come from clients: what divides parts is escaped.
fn part(key: &mut String, name: &str, value: &str) {
    if !key.is_empty() {
        key.push(' ');
    }
    key.push_str(name);
    key.push('=');
    key.extend(value.escape_debug().flat_map(|c| (c == ' ').then_some('\\').into_iter().chain([c])));
}

/// An override's bucket belongs to what it names, as in Kafka: to the user, to the client, or to both.
fn key_of_override(over: &Override, who: &Who<'_>) -> String {
    let mut key = String::from("override");
    if over.principal.is_some() {
        part(&mut key, Key::Principal.name(), who.principal);
    }
    if over.client_id.is_some() {
        part(&mut key, Key::ClientId.name(), who.client_id);
    }
    if over.address.is_some() {
        part(&mut key, Key::Address.name(), &who.address.to_canonical().to_string());
    }
    key
}
