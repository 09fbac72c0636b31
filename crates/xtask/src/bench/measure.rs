//! One load through one way, and the proxy's counters before and after it.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use testkit::leash::Leash;

use super::counters;
use super::instructions::Counting;
use super::programs::{Programs, Running};
use super::twins::{PASSWORD, USER, Way};
use super::works::Kind;

/// Time for what is freed late, and for accepts still under way, before memory is read.
const SETTLE: Duration = Duration::from_millis(300);
const MIB: f64 = 1024.0 * 1024.0;

/// What one run showed. Of the proxy, hence nothing where there is none: CPU, memory, instructions.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) mib_per_second: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_ms_per_gib: Option<f64>,
    pub(crate) cpu_us_per_request: Option<f64>,
    pub(crate) rss_kib: Option<f64>,
    pub(crate) instructions_per_request: Option<f64>,
}

/// The line that a load prints at its end, or of an interval.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
}

/// What a load says when its connections are open.
#[derive(Deserialize)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
}

/// What idle connections say: how many are open.
#[derive(Deserialize)]
pub(crate) struct Open {
    pub(crate) open: u32,
}

fn load(programs: &Programs, mode: &str, address: SocketAddr) -> Command {
    let mut command = programs.ours("load");
    command.arg(mode).arg(address.to_string());
    command
}

/// The entrance with a login, where there is one.
fn load_with_login(programs: &Programs, mode: &str, way: &Way) -> Command {
    let mut command = load(programs, mode, way.login_address.unwrap_or(way.address));
    if way.login_address.is_some() {
        command.args(["--user", USER, "--password", PASSWORD]);
    }
    command
}

/// Runs a work that is measured in CPU time, for `seconds`.
pub(crate) fn run(
    kind: Kind,
    seconds: f64,
    way: &mut Way,
    programs: &Programs,
    leash: &mut Leash,
    counting: Counting,
) -> Result<Sample> {
    let mut command = match kind {
        Kind::Stream { mode, payload_bytes, in_flight } => {
            let mut command = load(programs, mode, way.address);
            command.args(["--payload-bytes", &payload_bytes.to_string()]);
            command.args(["--in-flight", &in_flight.to_string()]);
            command
        }
        Kind::Connect => load_with_login(programs, "connect", way),
        Kind::Idle | Kind::Frames => bail!("this work is measured in memory"),
    };
    command.args(["--seconds", &seconds.to_string(), "--cued"]);
    let mut load = begin(way, &mut command, leash)?;
    let counter = way.pid().map(|pid| counting.begin(pid, leash)).transpose()?.flatten();
    let before = way.pid().map(counters::cpu).transpose()?;
    load.cue()?;
    let outcome: Outcome = load.told()?;
    let after = way.pid().map(counters::cpu).transpose()?;
    let instructions = counter.map(|counter| counter.end(leash)).transpose()?;
    let rss_kib = way.pid().map(counters::rss_kib).transpose()?;
    load.finish(leash)?;
    ensure!(outcome.errors == 0 && outcome.requests > 0, "{} failed connections", outcome.errors);
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok(sample(&outcome, cpu, rss_kib, instructions))
}

/// Runs a work once, for so many requests or some more; tells how many they were.
pub(crate) fn requests(
    kind: Kind,
    requests: u32,
    address: SocketAddr,
    programs: &Programs,
    leash: &mut Leash,
) -> Result<u64> {
    let Kind::Stream { mode, payload_bytes, in_flight } = kind else { bail!("this work has no requests") };
    let mut command = load(programs, mode, address);
    command.args(["--payload-bytes", &payload_bytes.to_string(), "--in-flight", &in_flight.to_string()]);
    command.args(["--requests", &requests.to_string(), "--seconds", "100"]);
    let mut load = Running::start(leash, &mut command, None)?;
    let outcome: Outcome = load.told()?;
    load.finish(leash)?;
    ensure!(outcome.errors == 0 && outcome.requests > 0, "{} failed connections", outcome.errors);
    Ok(outcome.requests)
}

/// Starts the load and waits until its connections are open.
fn begin(way: &mut Way, command: &mut Command, leash: &mut Leash) -> Result<Running> {
    let mut load = Running::start(leash, command, None)?;
    let ready = load.told::<Ready>();
    way.stands()?;
    ensure!(ready.with_context(|| format!("the load through {}", way.twin.name()))?.ready, "not ready");
    Ok(load)
}

#[allow(clippy::cast_precision_loss, reason = "counts of seconds' work are below 2^52")]
fn sample(
    outcome: &Outcome,
    cpu: Option<Duration>,
    rss_kib: Option<u64>,
    instructions: Option<u64>,
) -> Sample {
    let (requests, bytes) = (outcome.requests as f64, outcome.bytes as f64);
    let cpu_ms = cpu.map(|cpu| cpu.as_secs_f64() * 1e3);
    Sample {
        mib_per_second: bytes / MIB / outcome.seconds,
        requests_per_second: requests / outcome.seconds,
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
        cpu_ms_per_gib: cpu_ms.filter(|_| outcome.bytes > 0).map(|ms| ms / (bytes / MIB / 1024.0)),
        cpu_us_per_request: cpu_ms.map(|ms| ms * 1e3 / requests),
        rss_kib: rss_kib.map(|kib| kib as f64),
        instructions_per_request: instructions.map(|count| count as f64 / requests),
    }
}

/// Memory that each of `connections` idle ones costs, KiB.
pub(crate) fn idle(connections: u32, way: &mut Way, programs: &Programs, leash: &mut Leash) -> Result<f64> {
    let pid = way.pid().context("there is no proxy")?;
    // What is allocated once is not the connections'.
    let mut warm_up = load_with_login(programs, "connect", way);
    warm_up.args(["--requests", "40", "--seconds", "5", "--cued"]);
    let mut warm_up = begin(way, &mut warm_up, leash)?;
    warm_up.cue()?;
    warm_up.told::<Outcome>()?;
    warm_up.finish(leash)?;
    thread::sleep(SETTLE);
    let before = counters::rss_kib(pid)?;
    let mut command = load_with_login(programs, "idle", way);
    let mut load = Running::start(leash, command.args(["--connections", &connections.to_string()]), None)?;
    load.told::<Open>()?;
    thread::sleep(SETTLE);
    let after = counters::rss_kib(pid)?;
    load.cue()?;
    let Open { open } = load.told()?;
    load.finish(leash)?;
    way.stands()?;
    ensure!(open == connections, "{open} of {connections} connections are still open");
    Ok(difference_kib(before, after) / f64::from(connections))
}

/// Memory that frames of 100 MiB on 20 connections cost at most, KiB.
pub(crate) fn frames(way: &mut Way, programs: &Programs, leash: &mut Leash) -> Result<f64> {
    let pid = way.pid().context("there is no proxy")?;
    let mut command = load(programs, "frames", way.address);
    let mut load = begin(way, command.arg("--cued"), leash)?;
    thread::sleep(SETTLE);
    counters::forget_rss_max(pid)?;
    let before = counters::rss_kib(pid)?;
    load.cue()?;
    let outcome: Outcome = load.told()?;
    let most = counters::rss_max_kib(pid)?;
    load.finish(leash)?;
    ensure!(outcome.errors == 0 && outcome.requests > 0, "{} failed connections", outcome.errors);
    Ok(difference_kib(before, most))
}

#[allow(clippy::cast_precision_loss, reason = "KiB of a process are below 2^52")]
fn difference_kib(before: u64, after: u64) -> f64 {
    after as f64 - before as f64
}

/// The median; of an even number the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(middle.checked_sub(1)?)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// The median of every field.
pub(crate) fn median_sample(samples: &[Sample]) -> Sample {
    let of = |field: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(field));
    Sample {
        mib_per_second: of(|sample| Some(sample.mib_per_second)).unwrap_or(0.0),
        requests_per_second: of(|sample| Some(sample.requests_per_second)).unwrap_or(0.0),
        p50_us: of(|sample| Some(sample.p50_us)).unwrap_or(0.0),
        p99_us: of(|sample| Some(sample.p99_us)).unwrap_or(0.0),
        cpu_ms_per_gib: of(|sample| sample.cpu_ms_per_gib),
        cpu_us_per_request: of(|sample| sample.cpu_us_per_request),
        rss_kib: of(|sample| sample.rss_kib),
        instructions_per_request: of(|sample| sample.instructions_per_request),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Outcome, median, sample};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median([9.0, 1.0, 5.0, 6.0]), Some(5.5));
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "powers of two divide exactly")]
    fn cpu_time_is_told_by_gib_and_by_request() {
        let outcome =
            Outcome { requests: 512, bytes: 512 << 20, seconds: 2.0, p50_us: 1.0, p99_us: 2.0, errors: 0 };
        let sample = sample(&outcome, Some(Duration::from_millis(128)), Some(10), None);
        assert_eq!((sample.mib_per_second, sample.requests_per_second), (256.0, 256.0));
        assert_eq!((sample.cpu_ms_per_gib, sample.cpu_us_per_request), (Some(256.0), Some(250.0)));
    }
}
