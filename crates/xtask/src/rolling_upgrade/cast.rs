//! Who takes part: a producer and a group's consumer of every library, and some of Java's and librdkafka's more.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use testkit::steady::{Idempotence, Journal, Log, Protocol, Role, Stays, Steady, Summary, check};
use testkit::{Library, NewTopic};

use super::ground::Ground;
use super::judge::{Fared, Outcome, Verdict};

const PARTITIONS: i32 = 3;
/// The topic of the transactional producer, and its name.
const TRANSACTIONS: &str = "transactions";
/// A dozen runtimes start at once, on few cores.
const BEGIN_LIMIT: Duration = Duration::from_mins(2);
/// A consumer that was thrown out of its group comes back within its session's time.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// The clients that are on stage, and those that are to come.
pub(crate) struct Cast {
    libraries: Vec<Library>,
    rate: u32,
    on: Vec<Stays>,
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Cast {
    /// Makes their topics.
    pub(crate) fn new(ground: &Ground, libraries: &[Library], rate: u32) -> Result<Cast> {
        let cast = Cast { libraries: libraries.to_vec(), rate, on: Vec::new() };
        let topics: Vec<NewTopic> = cast
            .topics()
            .into_iter()
            .map(|(_, name)| NewTopic { name, partitions: PARTITIONS, replicas: 3, in_sync_min: 2 })
            .collect();
        ground.cluster.create_topics(&topics)?;
        // So that no group waits for the topic of groups to be made.
        ground.cluster.coordinator_of("anybody's")?;
        ground.cluster.wait_in_sync()?;
        Ok(cast)
    }

    /// The producers' names, which are their topics', too.
    fn topics(&self) -> Vec<(Library, String)> {
        let mut topics: Vec<_> =
            self.libraries.iter().map(|library| (*library, library.name().to_owned())).collect();
        if self.libraries.contains(&Library::Java) {
            topics.push((Library::Java, TRANSACTIONS.to_owned()));
        }
        topics
    }

    /// Starts all but those of the new protocol of groups, and waits until each has sent or read something.
    pub(crate) fn begin_all(&mut self, ground: &Ground) -> Result<()> {
        for (library, topic) in self.topics() {
            let in_transactions = topic == TRANSACTIONS;
            let producer = Role::Producer {
                name: topic.clone(),
                partitions: PARTITIONS,
                rate: self.rate,
                transactional_id: in_transactions.then(|| topic.clone()),
            };
            let consumer = Role::Consumer {
                group: topic.clone(),
                protocol: Protocol::Classic,
                committed_only: in_transactions,
            };
            for role in [producer, consumer] {
                self.begin(ground, library, &topic, role)?;
            }
        }
        self.wait_begun()
    }

    /// Starts the consumers of the new protocol of groups (KIP-848).
    pub(crate) fn begin_new_groups(&mut self, ground: &Ground) -> Result<()> {
        for library in [Library::Java, Library::Librdkafka] {
            if !self.libraries.contains(&library) {
                continue;
            }
            let role = Role::Consumer {
                group: format!("{}-848", library.name()),
                protocol: Protocol::Consumer,
                committed_only: false,
            };
            self.begin(ground, library, library.name(), role)?;
        }
        self.wait_begun()
    }

    fn begin(&mut self, ground: &Ground, library: Library, topic: &str, role: Role) -> Result<()> {
        let steady = Steady { client: ground.client(library), topic: topic.to_owned(), role };
        self.on.push(steady.begin(&ground.home)?);
        Ok(())
    }

    fn wait_begun(&mut self) -> Result<()> {
        self.on.iter_mut().try_for_each(|client| client.wait_begun(BEGIN_LIMIT))
    }

    /// Ends producers first, lets consumers read what there is, and judges all.
    pub(crate) fn end_all(self, ground: &Ground) -> Result<Outcome> {
        let until_us = now_us();
        let is_producer = |client: &Stays| matches!(client.role, Role::Producer { .. });
        let (mut producers, mut consumers): (Vec<Stays>, Vec<Stays>) =
            self.on.into_iter().partition(is_producer);
        producers.iter_mut().for_each(Stays::stop);
        let mut journals = Vec::new();
        for producer in producers {
            let cast =
                (producer.library, producer.title.clone(), producer.role.clone(), producer.topic.clone());
            journals.push((cast, producer.end()?));
        }
        let mut logs: BTreeMap<String, Log> = BTreeMap::new();
        for ((_, _, _, topic), _) in &journals {
            logs.insert(topic.clone(), Log::read(&ground.cluster, topic)?);
        }
        for consumer in &consumers {
            if let Some(log) = logs.get(&consumer.topic) {
                // Who does not get there has missed something, which the judge will tell.
                consumer.has_read(log, READ_LIMIT)?;
            }
        }
        consumers.iter_mut().for_each(Stays::stop);
        for consumer in consumers {
            let cast =
                (consumer.library, consumer.title.clone(), consumer.role.clone(), consumer.topic.clone());
            journals.push((cast, consumer.end()?));
        }
        let empty = Log::default();
        let judged =
            |((library, title, role, topic), journal): ((Library, String, Role, String), Journal)| {
                let log = logs.get(&topic).unwrap_or(&empty);
                let summary = Summary::of(&journal, until_us);
                let verdict = match role {
                    Role::Producer { name, transactional_id, .. } => {
                        let idempotence =
                            transactional_id.map_or(library.default_idempotence(), |_| Idempotence::On);
                        Verdict::Produced(check::produced(&name, &journal, log), idempotence)
                    }
                    Role::Consumer { .. } => Verdict::Consumed(check::consumed(&journal, log)),
                };
                Fared { library, title, summary, verdict }
            };
        let fared = journals.into_iter().map(judged).collect();
        Ok(Outcome::new(ground.way, fared))
    }
}
