//! Clients that go on while brokers come and go: programs of tests/clients on the libraries that people use, each
//! producing or consuming steadily until it is told to end, and writing down what happens to it.
//!
//! A [`Journal`] tells what a client saw, [`Log`] what the brokers hold, and [`check`] whether the two agree.

pub mod check;
mod fared;
mod journal;
mod log;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

pub use fared::{Fared, Verdict, end_all, now_us};
pub use journal::{Entry, Journal, Line, Whence};
pub use log::{Held, Log};
pub use summary::Summary;

use crate::clients::{Client, Purpose};
use crate::kafka::Running;
use crate::{Library, wait};

/// From being told to end to its end: what a program waits for its last answers, and some more.
const END_LIMIT: Duration = Duration::from_mins(1);
/// No play is longer; then a program ends by itself.
const DEADLINE: Duration = Duration::from_mins(20);

/// Whether a producer of the library tells brokers who it is and how many records it has sent, so that what it sends
/// twice is held once, and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// It does.
    On,
    /// It does not: after a lost answer records may be held twice, or out of order.
    Off,
}

impl Library {
    /// What the library does unless told otherwise.
    pub const fn default_idempotence(self) -> Idempotence {
        match self {
            Library::Java | Library::KafkaPython | Library::FranzGo => Idempotence::On,
            Library::Librdkafka | Library::Aiokafka | Library::KafkaJs | Library::Sarama => Idempotence::Off,
        }
    }
}

/// The protocol of a consumer's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `JoinGroup`, `SyncGroup`, Heartbeat.
    Classic,
    /// KIP-848: `ConsumerGroupHeartbeat`. Java and librdkafka have it.
    Consumer,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sends records of this name.
    Producer {
        /// What its records begin with.
        name: String,
        /// The partitions of its topic; they take turns.
        partitions: i32,
        /// Records per second.
        rate: u32,
        /// In transactions of ten, of which some are aborted; Java's only.
        transactional_id: Option<String>,
    },
    /// It reads as the only member of this group.
    Consumer {
        /// The group.
        group: String,
        /// The group's protocol.
        protocol: Protocol,
        /// Whether it waits for transactions to be committed; of Java's only, others do as they do by default.
        committed_only: bool,
    },
}

/// A client that is to go on.
#[derive(Clone, Debug)]
pub struct Steady {
    /// On which library, and to which cluster.
    pub client: Client,
    /// The topic. It has to exist.
    pub topic: String,
    /// What it does.
    pub role: Role,
}

impl Steady {
    /// Starts it; its journal is a file in this directory.
    pub fn begin(self, directory: &Path) -> Result<Stays> {
        let library = self.client.library();
        let title = match &self.role {
            Role::Producer { name, .. } => format!("{name}-producer"),
            Role::Consumer { group, .. } => format!("{group}-consumer"),
        };
        let path = directory.join(format!("{title}.journal"));
        let mode = match &self.role {
            Role::Producer { .. } => "produce",
            Role::Consumer { .. } => "consume",
        };
        let mut arguments = self.client.arguments(mode, &self.topic);
        let mut option = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        option("--journal", &path.to_string_lossy());
        option("--deadline-seconds", &DEADLINE.as_secs().to_string());
        match &self.role {
            Role::Producer { name, partitions, rate, transactional_id } => {
                option("--name", name);
                option("--partitions", &partitions.to_string());
                option("--rate", &rate.to_string());
                if let Some(id) = transactional_id {
                    option("--transactional-id", id);
                }
            }
            Role::Consumer { group, protocol, committed_only } => {
                option("--group", group);
                if *protocol == Protocol::Consumer {
                    option("--protocol", "consumer");
                }
                if *committed_only {
                    option("--isolation", "read_committed");
                }
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let running =
            library.program(Purpose::Steady)?.args(&arguments).limit(END_LIMIT).hold_input().begin()?;
        Ok(Stays { library, title, role: self.role, topic: self.topic, path, running })
    }
}

/// A started client; it is killed at drop.
#[derive(Debug)]
pub struct Stays {
    /// Its library.
    pub library: Library,
    /// What it is called.
    pub title: String,
    /// What it does.
    pub role: Role,
    /// The topic that it does it to.
    pub topic: String,
    path: PathBuf,
    running: Running,
}

impl Stays {
    /// What it has written down so far.
    pub fn journal(&self) -> Result<Journal> {
        Journal::load(&self.path)
    }

    /// Waits until it has sent or read something.
    pub fn wait_begun(&mut self, limit: Duration) -> Result<()> {
        wait::until(&format!("the first record of {}", self.title), limit, || {
            if !self.running.runs()? {
                bail!("{} has ended already", self.title);
            }
            Ok(self.journal().is_ok_and(|journal| journal.has_begun()).then_some(()))
        })
    }

    /// Waits until it has read every partition of this log to its end, and tells whether it did.
    pub fn has_read(&self, log: &Log, limit: Duration) -> Result<bool> {
        let read = wait::until(&format!("{} at the end", self.title), limit, || {
            let journal = self.journal()?;
            Ok(log.ends().into_iter().all(|(partition, end)| journal.has_read(partition, end)).then_some(()))
        });
        Ok(read.is_ok())
    }

    /// Tells it to end; [`Stays::end`] waits for that.
    pub fn stop(&mut self) {
        self.running.close_input();
    }

    /// Tells it to end, and waits until it has; what it wrote down, and how it ended where that is not as it should.
    pub fn end(mut self) -> Result<Journal> {
        self.stop();
        let output = self.running.end()?;
        let mut journal = Journal::load(&self.path)?;
        if output.code != Some(0) || !journal.has_ended() {
            let said = output.stderr.lines().next_back().unwrap_or_default();
            journal.add_error(Whence::End, format!("the program ended with {:?}: {said}", output.code));
        }
        Ok(journal)
    }
}
