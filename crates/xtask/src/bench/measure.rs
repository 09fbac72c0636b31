//! One load through one way, and the proxy's counters before and after it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use testkit::leash::Leash;

use super::counters;
use super::memory::difference_kib;
use super::place::{PASSWORD, USER};
use super::programs::{Programs, Running};
use super::twins::{Entry, Way};
use super::works::{Kind, Stream};

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
    pub(crate) rss_grown_kib: Option<f64>,
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

impl Outcome {
    /// An error where something failed, or nothing was done.
    pub(crate) fn is_whole(&self) -> Result<()> {
        ensure!(self.errors == 0, "{} failed connections", self.errors);
        ensure!(self.requests > 0, "it did nothing");
        Ok(())
    }
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

/// The load in this mode, through this entrance.
pub(crate) fn load(programs: &Programs, mode: &str, (entry, address): (Entry, SocketAddr)) -> Command {
    let mut command = programs.ours("load");
    command.arg(mode).arg(address.to_string());
    if entry.has_login() {
        command.args(["--user", USER, "--password", PASSWORD]);
    }
    if entry.has_tls() {
        command.arg("--tls").arg(&programs.tls.authority);
    }
    command
}

fn streaming(programs: &Programs, stream: Stream, entrance: (Entry, SocketAddr)) -> Command {
    let mut command = load(programs, stream.mode, entrance);
    command.args(["--payload-bytes", &stream.payload_bytes.to_string()]);
    command.args(["--in-flight", &stream.in_flight.to_string()]);
    command.args(["--connections", &stream.connections.to_string()]);
    command
}

/// Runs a work that is measured in CPU time, for `seconds`.
pub(crate) fn run(
    kind: Kind,
    seconds: f64,
    way: &mut Way,
    programs: &Programs,
    leash: &mut Leash,
) -> Result<Sample> {
    let mut command = match kind {
        Kind::Stream(stream) | Kind::Cores(stream) => {
            streaming(programs, stream, way.entrance(way.twin.entry())?)
        }
        Kind::Tls(stream) => streaming(programs, stream, way.entrance(Entry::Tls)?),
        Kind::Connect => load(programs, "connect", way.entrance(Entry::Login)?),
        Kind::Idle(_) | Kind::Frames | Kind::Instructions(_) | Kind::Perf(_) => {
            bail!("this work is not measured so")
        }
    };
    command.args(["--seconds", &seconds.to_string(), "--cued"]);
    let load = begin(way, &mut command, leash)?;
    let before = Counters::read(way)?;
    let (outcome, after) = play(load, leash, || Counters::read(way))?;
    Ok(sample(&outcome, before.zip(after)))
}

/// Lets a load that is ready play to its end, and counts while its connections are still open.
pub(crate) fn play<T>(
    mut load: Running,
    leash: &mut Leash,
    count: impl FnOnce() -> Result<T>,
) -> Result<(Outcome, T)> {
    load.cue()?;
    let outcome: Outcome = load.told()?;
    let counted = count()?;
    load.finish(leash)?;
    outcome.is_whole()?;
    Ok((outcome, counted))
}

/// What the kernel has counted of a proxy.
#[derive(Clone, Copy)]
struct Counters {
    cpu: Duration,
    rss_kib: u64,
}

impl Counters {
    fn read(way: &Way) -> Result<Option<Counters>> {
        let read = |pid| Ok(Counters { cpu: counters::cpu(pid)?, rss_kib: counters::rss_kib(pid)? });
        way.pid().map(read).transpose()
    }
}

/// Runs a stream once, for so many requests or some more; tells how many they were.
pub(crate) fn requests(
    stream: Stream,
    requests: u32,
    entrance: (Entry, SocketAddr),
    programs: &Programs,
    leash: &mut Leash,
) -> Result<u64> {
    let mut command = streaming(programs, stream, entrance);
    command.args(["--requests", &requests.to_string(), "--seconds", "100"]);
    let mut load = Running::start(leash, &mut command, None)?;
    let outcome: Outcome = load.told()?;
    load.finish(leash)?;
    outcome.is_whole()?;
    Ok(outcome.requests)
}

/// Starts the load and waits until its connections are open.
pub(crate) fn begin(way: &mut Way, command: &mut Command, leash: &mut Leash) -> Result<Running> {
    let mut load = Running::start(leash, command, None)?;
    let ready = load.told::<Ready>();
    way.stands()?;
    ensure!(ready.with_context(|| format!("the load through {}", way.twin.name()))?.ready, "not ready");
    Ok(load)
}

#[allow(clippy::cast_precision_loss, reason = "counts of seconds' work are below 2^52")]
fn sample(outcome: &Outcome, counters: Option<(Counters, Counters)>) -> Sample {
    let (requests, bytes) = (outcome.requests as f64, outcome.bytes as f64);
    let cpu = counters.map(|(before, after)| after.cpu.saturating_sub(before.cpu));
    let cpu_ms = cpu.map(|cpu| cpu.as_secs_f64() * 1e3);
    Sample {
        mib_per_second: bytes / MIB / outcome.seconds,
        requests_per_second: requests / outcome.seconds,
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
        cpu_ms_per_gib: cpu_ms.filter(|_| outcome.bytes > 0).map(|ms| ms / (bytes / MIB / 1024.0)),
        cpu_us_per_request: cpu_ms.map(|ms| ms * 1e3 / requests),
        rss_kib: counters.map(|(_, after)| after.rss_kib as f64),
        rss_grown_kib: counters.map(|(before, after)| difference_kib(before.rss_kib, after.rss_kib)),
        instructions_per_request: None,
    }
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

/// The mean; `None` of nothing.
fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0.0);
    for value in values {
        sum += value;
        n += 1.0;
    }
    (n > 0.0).then(|| sum / n)
}

/// The median of every field.
pub(crate) fn median_sample(samples: &[Sample]) -> Sample {
    fold(samples, median)
}

/// The mean of every field: what the turns of a round showed.
pub(crate) fn mean_sample(samples: &[Sample]) -> Sample {
    fold(samples, mean)
}

fn fold(samples: &[Sample], reduce: fn(Vec<f64>) -> Option<f64>) -> Sample {
    let of = |field: fn(&Sample) -> Option<f64>| reduce(samples.iter().filter_map(field).collect());
    Sample {
        mib_per_second: of(|sample| Some(sample.mib_per_second)).unwrap_or(0.0),
        requests_per_second: of(|sample| Some(sample.requests_per_second)).unwrap_or(0.0),
        p50_us: of(|sample| Some(sample.p50_us)).unwrap_or(0.0),
        p99_us: of(|sample| Some(sample.p99_us)).unwrap_or(0.0),
        cpu_ms_per_gib: of(|sample| sample.cpu_ms_per_gib),
        cpu_us_per_request: of(|sample| sample.cpu_us_per_request),
        rss_kib: of(|sample| sample.rss_kib),
        rss_grown_kib: of(|sample| sample.rss_grown_kib),
        instructions_per_request: of(|sample| sample.instructions_per_request),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Counters, Outcome, mean, median, sample};

    #[test]
    fn the_median_is_in_the_middle_and_the_mean_is_not() {
        assert_eq!(median([]), None);
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median([9.0, 1.0, 5.0, 6.0]), Some(5.5));
        assert_eq!((mean([]), mean([9.0, 1.0, 5.0])), (None, Some(5.0)));
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "powers of two divide exactly")]
    fn cpu_time_is_told_by_gib_and_by_request() {
        let outcome =
            Outcome { requests: 512, bytes: 512 << 20, seconds: 2.0, p50_us: 1.0, p99_us: 2.0, errors: 0 };
        let counters = |cpu, rss_kib| Counters { cpu: Duration::from_millis(cpu), rss_kib };
        let sample = sample(&outcome, Some((counters(100, 4), counters(228, 10))));
        assert_eq!((sample.mib_per_second, sample.requests_per_second), (256.0, 256.0));
        assert_eq!((sample.cpu_ms_per_gib, sample.cpu_us_per_request), (Some(256.0), Some(250.0)));
        assert_eq!((sample.rss_kib, sample.rss_grown_kib), (Some(10.0), Some(6.0)));
    }
}
