//! Instructions that a proxy retires, counted by `perf stat`: they do not depend on the machine's mood.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use testkit::leash::Leash;

/// perf says nothing when it has attached.
const ATTACH: Duration = Duration::from_millis(150);

/// Whether instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Yes, user and kernel together.
    On,
    /// No.
    Off,
}

impl Counting {
    /// On, if this machine can; else the reason.
    pub(crate) fn probe() -> Result<Counting, String> {
        let output = perf(&["--", "true"]).output().map_err(|error| format!("cannot run perf: {error}"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        match count(&told) {
            Some(_) => Ok(Counting::On),
            None => Err(format!("perf stat cannot count instructions here: {}", told.trim())),
        }
    }

    /// Attaches to a process, where counting is on.
    pub(crate) fn begin(self, pid: u32, leash: &mut Leash) -> Result<Option<Counter>> {
        if self == Counting::Off {
            return Ok(None);
        }
        let perf = leash.spawn(perf(&["--pid", &pid.to_string()]).stderr(Stdio::piped()))?;
        thread::sleep(ATTACH);
        Ok(Some(Counter { perf }))
    }
}

fn perf(arguments: &[&str]) -> Command {
    let mut command = Command::new("perf");
    command.args(["stat", "--field-separator", ",", "--event", "instructions"]).args(arguments);
    command
}

/// Counts until `end`.
pub(crate) struct Counter {
    perf: Child,
}

impl Counter {
    /// Detaches and tells the count.
    pub(crate) fn end(mut self, leash: &mut Leash) -> Result<u64> {
        kill_process(Pid::from_child(&self.perf), Signal::INT)?;
        let mut told = String::new();
        self.perf.stderr.take().context("no stderr")?.read_to_string(&mut told)?;
        self.perf.wait()?;
        leash.release(self.perf.id())?;
        count(&told).with_context(|| format!("perf said: {told}"))
    }
}

/// The first field of the line of `instructions`.
fn count(told: &str) -> Option<u64> {
    told.lines().find(|line| line.contains("instructions"))?.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_count_that_is_not_supported_is_none() {
        assert_eq!(count("123456,,instructions,1000,100.00,,\n"), Some(123_456));
        assert_eq!(count("<not supported>,,instructions:u,0,100.00,,\n"), None);
    }
}
