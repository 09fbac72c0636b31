//! Who takes part: a producer and a group's consumer of every library, and some of Java's and librdkafka's more.

use std::time::Duration;

use anyhow::Result;
use testkit::steady::{self, Fared, Protocol, Role, Stays, Steady};
use testkit::{Library, NewTopic};

use super::ground::Ground;

const PARTITIONS: i32 = 3;
/// The topic of the transactional producer, and its name.
const TRANSACTIONS: &str = "transactions";
/// A dozen runtimes start at once, on few cores.
const BEGIN_LIMIT: Duration = Duration::from_mins(2);
/// The clients that are on stage, and those that are to come.
pub(crate) struct Cast {
    libraries: Vec<Library>,
    rate: u32,
    on: Vec<Stays>,
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

    /// Ends all, and judges them; pauses count from this moment on.
    pub(crate) fn end_all(self, ground: &Ground, from_us: u64) -> Result<Vec<Fared>> {
        steady::end_all(self.on, &ground.cluster, from_us)
    }
}
