//! The end of steady clients, and how each fared: by its own journal, and by what the brokers hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::check::{self, Consumed, Produced};
use super::{Idempotence, Journal, Log, Role, Stays, Summary};
use crate::{KafkaCluster, Library};

/// A consumer that was thrown out of its group comes back within its session's time, 45 s at most.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// What the brokers' records say of a client's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A producer's.
    Produced(Produced, Idempotence),
    /// A consumer's.
    Consumed(Consumed),
}

/// How one client fared.
#[derive(Clone, Debug)]
pub struct Fared {
    /// Its library.
    pub library: Library,
    /// What it is called.
    pub title: String,
    /// What it saw, in short.
    pub summary: Summary,
    /// What it saw.
    pub journal: Journal,
    /// What that is worth.
    pub verdict: Verdict,
}

impl Fared {
    /// What is wrong with it, in words. Empty when brokers came and went and nobody noticed.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.told();
        broken.extend(self.records_broken());
        broken
    }

    /// What its program was told of, in words.
    pub fn told(&self) -> Vec<String> {
        let Summary { failed_sends, errors, .. } = &self.summary;
        self.words(vec![
            ("failed sends", *failed_sends),
            ("errors told to the program", errors.values().sum()),
        ])
    }

    /// How the records are not as they should be, in words. A producer that is not idempotent may send twice and out of order.
    pub fn records_broken(&self) -> Vec<String> {
        let mut counts = Vec::new();
        let mut count = |what, list: &[String]| counts.push((what, list.len() as u64));
        match &self.verdict {
            Verdict::Produced(produced, idempotence) => {
                count("acknowledged records lost", &produced.lost);
                count("records that nobody sent", &produced.uncalled);
                if *idempotence == Idempotence::On {
                    count("records twice", &produced.duplicated);
                    count("records out of order", &produced.reordered);
                }
            }
            Verdict::Consumed(consumed) => {
                count("records not read", &consumed.missed);
                count("records read otherwise than held", &consumed.altered);
            }
        }
        if self.summary.records == 0 {
            counts.push(("clients that did nothing", 1));
        }
        self.words(counts)
    }

    fn words(&self, counts: Vec<(&'static str, u64)>) -> Vec<String> {
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(|(what, count)| format!("{}: {count} {what}", self.title)).collect()
    }
}

/// Ends producers first, lets consumers read what there is, and judges all. Pauses are looked for from the moment
/// `from_us` on, in microseconds since 1970, until the producers are told to end.
pub fn end_all(clients: Vec<Stays>, cluster: &KafkaCluster, from_us: u64) -> Result<Vec<Fared>> {
    let window = (from_us, now_us());
    let is_producer = |client: &Stays| matches!(client.role, Role::Producer { .. });
    let (mut producers, mut consumers): (Vec<Stays>, Vec<Stays>) = clients.into_iter().partition(is_producer);
    producers.iter_mut().for_each(Stays::stop);
    let ended: Vec<Ended> = producers.into_iter().map(Ended::of).collect::<Result<_>>()?;
    let topics = ended.iter().map(|client| &client.topic).chain(consumers.iter().map(|client| &client.topic));
    let mut logs: BTreeMap<String, Log> = BTreeMap::new();
    for topic in topics {
        if !logs.contains_key(topic) {
            logs.insert(topic.clone(), Log::read(cluster, topic)?);
        }
    }
    let begun = Instant::now();
    for consumer in &consumers {
        if let Some(log) = logs.get(&consumer.topic) {
            // Who does not get there has missed something, which the judge will tell.
            consumer.has_read(log, READ_LIMIT.saturating_sub(begun.elapsed()))?;
        }
    }
    consumers.iter_mut().for_each(Stays::stop);
    let more: Vec<Ended> = consumers.into_iter().map(Ended::of).collect::<Result<_>>()?;
    Ok(ended.into_iter().chain(more).map(|client| client.judged(&logs, window)).collect())
}

/// A client that has ended.
struct Ended {
    library: Library,
    title: String,
    role: Role,
    topic: String,
    journal: Journal,
}

impl Ended {
    fn of(client: Stays) -> Result<Ended> {
        let (library, title) = (client.library, client.title.clone());
        let (role, topic) = (client.role.clone(), client.topic.clone());
        Ok(Ended { library, title, role, topic, journal: client.end()? })
    }

    fn judged(self, logs: &BTreeMap<String, Log>, (from_us, until_us): (u64, u64)) -> Fared {
        let Ended { library, title, role, topic, journal } = self;
        let empty = Log::default();
        let log = logs.get(&topic).unwrap_or(&empty);
        let verdict = match role {
            Role::Producer { name, transactional_id, .. } => {
                let idempotence = transactional_id.map_or(library.default_idempotence(), |_| Idempotence::On);
                Verdict::Produced(check::produced(&name, &journal, log), idempotence)
            }
            Role::Consumer { .. } => Verdict::Consumed(check::consumed(&journal, log)),
        };
        let summary = Summary::of(&journal, from_us, until_us);
        Fared { library, title, summary, journal, verdict }
    }
}

/// Microseconds since 1970: what journals tell time in.
pub fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
