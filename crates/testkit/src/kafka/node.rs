//! One node's process and directory: formatting, starting, ending.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::dist::{Dist, java};
use super::islands;
use super::plan::{NodePlan, Plan};
use crate::leash::Leash;
use crate::place;
use crate::wait;

/// A broker that was asked to stop has this long.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// Cheap to start: one compiler, one collector, a small heap.
pub(super) const JVM: [&str; 4] =
    ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"];

const LOG4J_1: &str = "log4j.rootLogger=INFO, stdout\n\
    log4j.appender.stdout=org.apache.log4j.ConsoleAppender\n\
    log4j.appender.stdout.layout=org.apache.log4j.PatternLayout\n\
    log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n\n";
const LOG4J_2: &str = "rootLogger.level=INFO\n\
    rootLogger.appenderRef.stdout.ref=STDOUT\n\
    appender.stdout.type=Console\n\
    appender.stdout.name=STDOUT\n\
    appender.stdout.layout.type=PatternLayout\n\
    appender.stdout.layout.pattern=[%d] %p %m (%c)%n\n";

/// Where a node keeps its things.
pub(super) fn node_directory(cluster: &Path, id: i32) -> PathBuf {
    cluster.join(format!("node-{id}"))
}

/// Formats the node's log directory.
///
/// `StorageTool` runs once per version; its result is kept and copied, with the cluster's and the directory's id
/// put in. What it writes depends on nothing else.
pub(super) fn format(dist: &Dist, plan: &Plan, node: &NodePlan, cluster: &Path) -> Result<()> {
    let template = template(dist)?;
    let data = node_directory(cluster, node.id).join("data");
    fs::create_dir_all(&data)?;
    for entry in fs::read_dir(&template)? {
        let entry = entry?;
        fs::copy(entry.path(), data.join(entry.file_name()))?;
    }
    let meta = format!(
        "version=1\nnode.id={}\ncluster.id={}\ndirectory.id={}\n",
        node.id, plan.cluster_id, node.directory_id
    );
    fs::write(data.join("meta.properties"), meta)?;
    Ok(())
}

fn template(dist: &Dist) -> Result<PathBuf> {
    let home = place::target().join("kafka-dist");
    let template = home.join(format!("{}.formatted", dist.version));
    if template.is_dir() {
        return Ok(template);
    }
    let lock = File::create(home.join(format!("{}.lock", dist.version)))?;
    lock.lock()?;
    if template.is_dir() {
        return Ok(template);
    }
    let work = tempfile::tempdir_in(&home)?;
    let data = work.path().join("data");
    let properties = work.path().join("server.properties");
    fs::write(
        &properties,
        format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
             listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\n",
            data.display()
        ),
    )?;
    let output = Command::new(java())
        .args(JVM)
        .args(["-cp", &dist.class_path(), "kafka.tools.StorageTool", "format", "-t", &random_id()?, "-c"])
        .arg(&properties)
        .output()
        .context("cannot start java; a JDK of 17 or newer is needed")?;
    if !output.status.success() {
        bail!("StorageTool: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
    fs::rename(&data, &template)?;
    Ok(template)
}

/// Starts the node; a leash ties it to us, without one it outlives us.
pub(super) fn start(
    dist: &Dist,
    plan: &Plan,
    node: &NodePlan,
    cluster: &Path,
    leash: Option<&mut Leash>,
) -> Result<Child> {
    let home = node_directory(cluster, node.id);
    let properties = home.join("server.properties");
    fs::write(&properties, plan.properties_of(node, &home.join("data")))?;
    let mut command = if plan.on_islands { islands::on(node.id, java()) } else { Command::new(java()) };
    command
        .args(JVM)
        .args(["-Xms192m", "-Xmx512m"])
        .args(log_arguments(dist, &home)?)
        .args(["-cp", &dist.class_path(), "kafka.Kafka"])
        .arg(&properties)
        .current_dir(&home)
        .stdin(Stdio::null());
    let log = File::options().create(true).append(true).open(home.join("log"))?;
    command.stderr(log.try_clone()?).stdout(log);
    match leash {
        Some(leash) => leash.spawn(&mut command),
        None => command.process_group(0).spawn().context("cannot start java"),
    }
}

/// The arguments that make Kafka's log go to standard output, in this directory's own file.
fn log_arguments(dist: &Dist, directory: &Path) -> Result<Vec<String>> {
    let (name, text, property) = if dist.is_before_4() {
        ("log4j.properties", LOG4J_1, "log4j.configuration")
    } else {
        ("log4j2.properties", LOG4J_2, "log4j2.configurationFile")
    };
    let path = directory.join(name);
    fs::write(&path, text)?;
    Ok(vec![format!("-D{property}=file:{}", path.display())])
}

/// A node's process: a child of ours, or one that an earlier command started.
#[derive(Debug)]
pub(super) enum Process {
    Ours(Child),
    Earlier { pid: u32, properties: PathBuf },
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        match self {
            Process::Ours(child) => child.id(),
            Process::Earlier { pid, .. } => *pid,
        }
    }

    /// Whether it still runs; otherwise how it ended.
    pub(super) fn ended(&mut self) -> Result<Option<String>> {
        match self {
            Process::Ours(child) => Ok(child.try_wait()?.map(|status| match status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => status.to_string(),
            })),
            Process::Earlier { pid, properties } => {
                // A number alone might by now be another process.
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                let alive = line.contains(&*properties.to_string_lossy());
                Ok((!alive).then(|| "it is gone".to_owned()))
            }
        }
    }

    /// SIGKILL, and its end.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        wait::until("the end of a killed node", STOP_LIMIT, || self.ended()).map(drop)
    }

    /// SIGTERM: a controlled shutdown, killed when it takes too long.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        match wait::until("the end of a stopped node", STOP_LIMIT, || self.ended()) {
            Ok(_) => Ok(()),
            Err(_) => self.kill(),
        }
    }

    /// SIGSTOP.
    pub(super) fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(super) fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for one that was killed.
    pub(super) fn reap(&mut self) {
        if let Process::Ours(child) = self
            && let Err(error) = child.wait()
        {
            eprintln!("node: {error}");
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("cannot signal a node")
    }
}

/// The last lines of a node's log.
pub(super) fn log_tail(cluster: &Path, id: i32) -> String {
    let text = fs::read(node_directory(cluster, id).join("log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(25)..).unwrap_or_default().join("\n")
}

/// A Kafka Uuid: 16 random bytes in base64 for URLs, not beginning with a dash (tools would read an option).
pub(super) fn random_id() -> Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; 21];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
    // 22 digits carry 132 bits; the last four bits of the last digit must be zero: `A`.
    let text: String = digits.map(|digit| char::from(*digit)).chain(['A']).collect();
    Ok(format!("K{}", text.get(1..).unwrap_or_default()))
}
