//! Kafka's own command-line tools, run by class name in a small JVM.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::dist::{Dist, java};
use super::node::JVM;
use crate::leash::Leash;
use crate::wait;

/// How long a tool may take unless told otherwise.
const LIMIT: Duration = Duration::from_secs(90);

/// A tool to be run.
#[derive(Debug)]
pub struct Tool {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    input: Input,
    limit: Duration,
}

/// What standard input holds.
#[derive(Debug)]
enum Input {
    /// This, and then it ends.
    Bytes(Vec<u8>),
    /// Nothing, until it ends.
    Held,
}

/// How a tool ended and what it said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The tool, for messages.
    pub name: String,
    /// The exit code; none when it took too long or a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output when the tool succeeded, an error with everything otherwise.
    pub fn ok(self) -> Result<String> {
        match self.code {
            Some(0) => Ok(self.stdout),
            code => {
                let how =
                    code.map_or("no exit code (limit or signal)".to_owned(), |code| format!("code {code}"));
                bail!("{}: {how}\n--- stdout\n{}\n--- stderr\n{}", self.name, self.stdout, self.stderr)
            }
        }
    }
}

impl Tool {
    /// One of Kafka's tools by the name of its script, e.g. `kafka-topics`.
    pub fn new(dist: &Dist, name: &str) -> Result<Tool> {
        let class = class_of(name, dist.is_before_4())
            .with_context(|| format!("Kafka {} has no {name}", dist.version))?;
        let tool = Tool::program(name, java()).args(&JVM).args(&["-Xmx192m"]);
        // Without a configuration log4j 2 says errors only and reload4j complains once; both to standard error.
        Ok(tool.args(&["-cp", &dist.class_path(), class]))
    }

    /// Any other program, with the same care: limit, captured output, no survivor.
    pub fn program(name: &str, program: impl Into<OsString>) -> Tool {
        Tool {
            name: name.to_owned(),
            program: program.into(),
            arguments: Vec::new(),
            input: Input::Bytes(Vec::new()),
            limit: LIMIT,
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Tool {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// An option with a path.
    #[must_use]
    pub fn path(mut self, option: &str, path: &Path) -> Tool {
        self.arguments.push(option.into());
        self.arguments.push(path.into());
        self
    }

    /// What standard input holds; nothing unless told otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Tool {
        self.input = Input::Bytes(input.into());
        self
    }

    /// Standard input holds nothing, and ends with [`Running::close_input`]: for programs that go on until then.
    #[must_use]
    pub fn hold_input(mut self) -> Tool {
        self.input = Input::Held;
        self
    }

    /// How long it may take, then it is killed; 90 s unless told otherwise.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Tool {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Output> {
        self.begin()?.end()
    }

    /// Starts it; it ends at [`Running::end`], or is killed at drop.
    pub fn begin(self) -> Result<Running> {
        let mut leash = Leash::new(None)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = leash.spawn(&mut command)?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        let stdin = match self.input {
            Input::Held => Some(stdin),
            Input::Bytes(input) => {
                // A tool that does not read to the end breaks the pipe, which is its right.
                thread::spawn(move || drop(stdin.write_all(&input)));
                None
            }
        };
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Running { name: self.name, limit: self.limit, child, stdin, stdout, stderr, leash: Some(leash) })
    }
}

/// A started tool.
#[derive(Debug)]
pub struct Running {
    name: String,
    limit: Duration,
    child: Child,
    /// Where it is held.
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    leash: Option<Leash>,
}

impl Running {
    /// Asks it to end (SIGTERM), as a user would; then [`Running::end`].
    pub fn terminate(&self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("cannot signal a tool")
    }

    /// Ends its standard input, where that was held.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end, or kills it after the limit.
    pub fn end(mut self) -> Result<Output> {
        let status = wait::until(&self.name, self.limit, || Ok(self.child.try_wait()?)).ok();
        if status.is_none() {
            drop(self.leash.take());
            self.child.wait()?;
        }
        let text = |thread: Option<JoinHandle<String>>| {
            thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        Ok(Output {
            name: self.name.clone(),
            code: status.and_then(|status| status.code()),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.leash.take());
        // Reaped, so that nothing is left in the process table; it is dead or was waited for already.
        if let Err(error) = self.child.wait() {
            eprintln!("{}: {error}", self.name);
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        drop(pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The class behind a tool's script.
pub fn class_of(name: &str, before_4: bool) -> Option<&'static str> {
    let class = match (name, before_4) {
        ("kafka-acls", true) => "kafka.admin.AclCommand",
        ("kafka-acls", false) => "org.apache.kafka.tools.AclCommand",
        ("kafka-broker-api-versions", true) => "kafka.admin.BrokerApiVersionsCommand",
        ("kafka-broker-api-versions", false) => "org.apache.kafka.tools.BrokerApiVersionsCommand",
        ("kafka-client-metrics", _) => "org.apache.kafka.tools.ClientMetricsCommand",
        ("kafka-cluster", _) => "org.apache.kafka.tools.ClusterTool",
        ("kafka-configs", _) => "kafka.admin.ConfigCommand",
        ("kafka-console-consumer", _) => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        ("kafka-console-producer", true) => "kafka.tools.ConsoleProducer",
        ("kafka-console-producer", false) => "org.apache.kafka.tools.ConsoleProducer",
        ("kafka-console-share-consumer", false) => "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        ("kafka-consumer-groups", _) => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        ("kafka-consumer-perf-test", _) => "org.apache.kafka.tools.ConsumerPerformance",
        ("kafka-delete-records", _) => "org.apache.kafka.tools.DeleteRecordsCommand",
        ("kafka-e2e-latency", _) => "org.apache.kafka.tools.EndToEndLatency",
        ("kafka-features", _) => "org.apache.kafka.tools.FeatureCommand",
        ("kafka-get-offsets", _) => "org.apache.kafka.tools.GetOffsetShell",
        ("kafka-groups", false) => "org.apache.kafka.tools.GroupsCommand",
        ("kafka-leader-election", _) => "org.apache.kafka.tools.LeaderElectionCommand",
        ("kafka-log-dirs", _) => "org.apache.kafka.tools.LogDirsCommand",
        ("kafka-metadata-quorum", _) => "org.apache.kafka.tools.MetadataQuorumCommand",
        ("kafka-producer-perf-test", _) => "org.apache.kafka.tools.ProducerPerformance",
        ("kafka-reassign-partitions", _) => "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        ("kafka-share-consumer-perf-test", false) => "org.apache.kafka.tools.ShareConsumerPerformance",
        ("kafka-share-groups", false) => "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
        ("kafka-streams-groups", false) => "org.apache.kafka.tools.streams.StreamsGroupCommand",
        ("kafka-topics", _) => "org.apache.kafka.tools.TopicCommand",
        ("kafka-transactions", _) => "org.apache.kafka.tools.TransactionsCommand",
        ("kafka-verifiable-consumer", _) => "org.apache.kafka.tools.VerifiableConsumer",
        ("kafka-verifiable-producer", _) => "org.apache.kafka.tools.VerifiableProducer",
        ("kafka-verifiable-share-consumer", false) => "org.apache.kafka.tools.VerifiableShareConsumer",
        _ => return None,
    };
    Some(class)
}
