//! The programs that are run: built in release, tied to our life, talked to in lines.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use testkit::leash::Leash;
use testkit::place;

use super::certificates::TlsFiles;
use crate::cargo;

/// Where the programs are, and what they are given.
pub(crate) struct Programs {
    release: PathBuf,
    /// The gateway.
    pub(crate) gateway: PathBuf,
    /// `HAProxy`, where it is installed.
    pub(crate) haproxy: Option<PathBuf>,
    /// Certificates.
    pub(crate) tls: TlsFiles,
    /// Configurations, logs and the result.
    pub(crate) output: PathBuf,
}

impl Programs {
    /// This gateway, and the others that are built and installed. The directory of this name below `target` takes what they
    /// are given and what they leave: a bench and a soak do not take each other's certificates.
    pub(crate) fn find(gateway: PathBuf, output: &str) -> Result<Programs> {
        ensure!(gateway.exists(), "{} is not built", gateway.display());
        let output = place::target().join(output);
        std::fs::create_dir_all(&output)?;
        let haproxy = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
        let haproxy = haproxy.iter().map(PathBuf::from).find(|path| path.exists());
        let tls = TlsFiles::make(&output)?;
        Ok(Programs { release: release(), gateway, haproxy, tls, output })
    }

    /// Where the program of this name logs.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.output.join(format!("{name}.log"))
    }

    /// A program of ours.
    pub(crate) fn ours(&self, name: &str) -> Command {
        Command::new(self.release.join(name))
    }
}

/// Where cargo puts what it builds in release.
fn release() -> PathBuf {
    place::target().join("release")
}

/// Where `cargo build --release` puts the gateway.
pub(crate) fn plain_gateway() -> PathBuf {
    release().join("portcullis")
}

/// Builds a package's programs.
pub(crate) fn cargo_build(package: &str) -> Result<()> {
    ensure!(cargo::build(package).arg("--release").status()?.success(), "{package} does not build");
    Ok(())
}

/// A running child. It is on the leash as well: what is not ended here ends when we do, however we do.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a program whose stdin and stdout we hold; its stderr goes to the file `log`, or to ours.
    pub(crate) fn start(leash: &mut Leash, command: &mut Command, log: Option<&Path>) -> Result<Running> {
        if let Some(log) = log {
            command.stderr(std::fs::File::create(log)?);
        }
        let mut child = leash.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Running { child, stdin, lines })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of JSON that it prints.
    pub(crate) fn told<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? > 0, "it ended without a word");
        serde_json::from_str(&line).with_context(|| format!("not what was expected: {line}"))
    }

    /// Gives it a cue.
    pub(crate) fn cue(&mut self) -> Result<()> {
        self.stdin.as_mut().context("its stdin is closed")?.write_all(b"\n").context("it has ended")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends its stdin and waits: for the programs that end by that.
    pub(crate) fn finish(mut self, leash: &mut Leash) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        leash.release(self.child.id())?;
        ensure!(status.success(), "it failed: {status}");
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self, leash: &mut Leash) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        leash.release(self.child.id())
    }

    /// Kills it and waits.
    pub(crate) fn end(mut self, leash: &mut Leash) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        leash.release(self.child.id())
    }
}
