//! The client libraries that people use, each as a program from tests/clients with the same command line and the same
//! report, so that tests can hold any of them against the same promise. `cargo xtask test` installs and builds them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::kafka::{Dist, Output, Running, Tool, java};
use crate::{KAFKA_NEW, place};

/// How long a program may take to read or write everything unless told otherwise.
const DEADLINE: Duration = Duration::from_mins(2);
/// How often a library may trip over itself.
const STUCK_MOST: u32 = 3;
/// What it may take beyond that: to start, to stay, and to end.
const GRACE: Duration = Duration::from_secs(30);

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Library {
    /// Java's own.
    Java,
    /// By confluent-kafka.
    Librdkafka,
    /// Python's oldest.
    KafkaPython,
    /// Python's asyncio.
    Aiokafka,
    /// Node's.
    KafkaJs,
    /// Go's newer one.
    FranzGo,
    /// Go's older one.
    Sarama,
}

impl Library {
    /// All of them.
    pub const ALL: [Library; 7] = [
        Library::Java,
        Library::Librdkafka,
        Library::KafkaPython,
        Library::Aiokafka,
        Library::KafkaJs,
        Library::FranzGo,
        Library::Sarama,
    ];

    /// Its name, as its report has it.
    pub const fn name(self) -> &'static str {
        match self {
            Library::Java => "kafka-clients",
            Library::Librdkafka => "librdkafka",
            Library::KafkaPython => "kafka-python",
            Library::Aiokafka => "aiokafka",
            Library::KafkaJs => "kafkajs",
            Library::FranzGo => "franz-go",
            Library::Sarama => "sarama",
        }
    }

    /// Its program of this purpose, without arguments.
    pub(crate) fn program(self, purpose: Purpose) -> Result<Tool> {
        match self {
            Library::Java => {
                let classes = place::java_client();
                let path = format!("{}:{}", classes.display(), Dist::fetch(KAFKA_NEW)?.class_path());
                let jvm = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m"];
                let class = match purpose {
                    Purpose::Load => "Load",
                    Purpose::Steady => "Steady",
                };
                exists(&classes.join(format!("{class}.class")))?;
                Ok(Tool::program(self.name(), java()).args(&jvm).args(&["-cp", &path, class]))
            }
            Library::Librdkafka => self.python(purpose, "confluent_kafka"),
            Library::KafkaPython => self.python(purpose, "kafka_python"),
            Library::Aiokafka => self.python(purpose, "aiokafka"),
            Library::KafkaJs => {
                let modules = place::node_modules();
                exists(&modules)?;
                let found = format!("NODE_PATH={}", modules.display());
                let script = place::clients_source().join(format!("node/{}.js", purpose.name()));
                Ok(Tool::program(self.name(), "env")
                    .args(&[&found, "node"])
                    .args(&[&script.to_string_lossy()]))
            }
            Library::FranzGo | Library::Sarama => {
                let program = place::go_clients().join(match purpose {
                    Purpose::Load => self.name().to_owned(),
                    Purpose::Steady => format!("steady-{}", self.name()),
                });
                exists(&program)?;
                Ok(Tool::program(self.name(), program))
            }
        }
    }

    fn python(self, purpose: Purpose, module: &str) -> Result<Tool> {
        let python = place::python();
        exists(&python)?;
        let script = place::clients_source().join(format!("python/{}_{module}.py", purpose.name()));
        // Without what Python would leave beside the sources.
        Ok(Tool::program(self.name(), python).args(&["-B", &script.to_string_lossy()]))
    }
}

/// What the programs on a library are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// So much as fast as it can.
    Load,
    /// Little, and on and on.
    Steady,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Purpose::Load => "load",
            Purpose::Steady => "steady",
        }
    }
}

fn exists(path: &Path) -> Result<()> {
    if !path.exists() {
        bail!("{} is missing: `cargo xtask test` makes it", path.display());
    }
    Ok(())
}

/// A library on its way to a cluster.
#[derive(Clone, Debug)]
pub struct Client {
    library: Library,
    bootstrap: String,
    user: Option<(String, String)>,
}

impl Client {
    /// Plaintext, with SASL/PLAIN when there is a user (name and password).
    pub fn new(library: Library, bootstrap: &str, user: Option<(&str, &str)>) -> Client {
        let user = user.map(|(name, password)| (name.to_owned(), password.to_owned()));
        Client { library, bootstrap: bootstrap.to_owned(), user }
    }

    /// Sends that many records of that many bytes as fast as the library does, and waits until all are acknowledged.
    /// The topic has to exist.
    pub fn produce(&self, topic: &str, records: u64, size: usize) -> Load {
        self.load("produce", topic, records).option("--size", &size.to_string())
    }

    /// Reads that many distinct records as a member of the group, with the classic protocol and sessions of 10 s.
    pub fn consume(&self, topic: &str, group: &str, records: u64) -> Load {
        self.load("consume", topic, records).option("--group", group)
    }

    /// Its library.
    pub fn library(&self) -> Library {
        self.library
    }

    /// What every program is told first.
    pub(crate) fn arguments(&self, mode: &str, topic: &str) -> Vec<String> {
        let (user, password) =
            self.user.as_ref().map_or(("-", "-"), |(user, password)| (user.as_str(), password.as_str()));
        [mode, &self.bootstrap, user, password, topic].map(str::to_owned).to_vec()
    }

    fn load(&self, mode: &str, topic: &str, records: u64) -> Load {
        let arguments = self.arguments(mode, topic);
        let load = Load { library: self.library, arguments, deadline: DEADLINE, stays: Duration::ZERO };
        load.option("--records", &records.to_string())
    }
}

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct Load {
    library: Library,
    arguments: Vec<String>,
    deadline: Duration,
    stays: Duration,
}

impl Load {
    /// One more option: `--seconds`, `--acks` and `--batch-bytes` of produce, `--session-ms` of consume, `--client-id` of both.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Load {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// How long it may take; two minutes unless told otherwise.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Load {
        self.deadline = deadline;
        self
    }

    /// How long a consumer stays in its group after its last record; not at all unless told otherwise.
    #[must_use]
    pub fn staying(mut self, stays: Duration) -> Load {
        self.stays = stays;
        self.option("--linger-seconds", &stays.as_secs_f64().to_string())
    }

    /// Starts it.
    pub fn begin(self) -> Result<Loading> {
        let load = self.clone().option("--deadline-seconds", &self.deadline.as_secs_f64().to_string());
        let arguments: Vec<&str> = load.arguments.iter().map(String::as_str).collect();
        let limit = load.deadline + load.stays + GRACE;
        Ok(Loading(load.library.program(Purpose::Load)?.args(&arguments).limit(limit).begin()?))
    }

    /// Does it to its end. Where a library trips over itself, it may try again, a few times.
    pub fn run(self) -> Result<Report> {
        let mut load = self;
        for _ in 0..STUCK_MOST {
            let report = load.clone().begin()?.end()?;
            if !report.is_stuck() {
                return Ok(report);
            }
            load = load.in_another_group();
        }
        load.begin()?.end()
    }

    fn in_another_group(mut self) -> Load {
        let place = self.arguments.iter().position(|argument| argument == "--group");
        if let Some(group) = place.and_then(|place| self.arguments.get_mut(place + 1)) {
            group.push_str("-again");
        }
        self
    }
}

/// A started client; it is killed at drop.
#[derive(Debug)]
pub struct Loading(Running);

impl Loading {
    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        self.0.runs()
    }

    /// Waits for its end.
    pub fn end(self) -> Result<Report> {
        Report::of(self.0.end()?)
    }
}

/// What a client says at its end.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// The library's name.
    pub library: String,
    /// The library's version.
    pub version: String,
    /// `produce` or `consume`.
    pub mode: String,
    /// Records that were acknowledged, or distinct records that were read.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// From the first send or poll to the last acknowledgement or record.
    pub seconds: f64,
    /// What error callbacks, failed sends and the library's log of errors said; the first twenty.
    pub errors: Vec<String>,
    /// Revocations or joins after the first assignment, until it leaves.
    pub rebalances: u64,
    /// How often the library told of being throttled; none where it does not tell. kafka-clients and kafka-python tell
    /// only whether they were: 0 or 1.
    pub throttled: Option<u64>,
    /// Whether everything was done.
    #[serde(skip)]
    pub done: bool,
}

impl Report {
    fn of(output: Output) -> Result<Report> {
        let Some(mut report) =
            output.stdout.lines().find_map(|line| serde_json::from_str::<Report>(line).ok())
        else {
            output.ok()?;
            bail!("a client without a report");
        };
        report.done = output.code == Some(0);
        Ok(report)
    }

    /// Whether it has never asked for a record: so it goes with kafka-python 3.0 on a busy machine, with nothing but brokers
    /// before it, once in a dozen times. It has joined its group by then, and says nothing any more.
    fn is_stuck(&self) -> bool {
        self.library == Library::KafkaPython.name()
            && self.mode == "consume"
            && self.records == 0
            && !self.done
    }

    /// What a user would have noticed: work left undone, errors, rebalances. Empty when all went well.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.errors.clone();
        if !self.done {
            faults.push(format!("only {} records", self.records));
        }
        if self.rebalances > 0 {
            faults.push(format!("{} rebalances", self.rebalances));
        }
        faults
            .iter()
            .map(|fault| format!("{} {} {}: {fault}", self.library, self.version, self.mode))
            .collect()
    }

    /// Bytes of values each second.
    pub fn bytes_per_second(&self) -> Result<f64> {
        let bytes = u32::try_from(self.bytes).context("more bytes than a test sends")?;
        Ok(f64::from(bytes) / self.seconds)
    }
}
