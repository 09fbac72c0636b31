//! What a proxy's memory grows by.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::leash::Leash;

use super::counters;
use super::measure::{Open, Outcome, begin, load, play};
use super::programs::{Programs, Running};
use super::twins::{Entry, Security, Way};

/// Connections of the work `frames` that go as fast as they can,
const FRAMES_QUICK: u32 = 60;
/// and those beside them that read slowly.
const FRAMES_SLOW: u32 = 40;
/// Time for what is freed late, and for accepts still under way, before memory is read.
const SETTLE: Duration = Duration::from_millis(300);

/// Memory that each of `connections` idle ones costs, KiB.
pub(crate) fn idle(
    security: Security,
    connections: u32,
    way: &mut Way,
    programs: &Programs,
    leash: &mut Leash,
) -> Result<f64> {
    let pid = way.pid().context("there is no proxy")?;
    let entrance = way.entrance(match security {
        Security::Plain => Entry::Login,
        Security::Tls => Entry::TlsLogin,
    })?;
    // What is allocated once is not the connections'.
    let mut warm_up = load(programs, "connect", entrance);
    warm_up.args(["--requests", "40", "--seconds", "5", "--cued"]);
    let mut warm_up = begin(way, &mut warm_up, leash)?;
    warm_up.cue()?;
    warm_up.told::<Outcome>()?;
    warm_up.finish(leash)?;
    thread::sleep(SETTLE);
    let before = counters::rss_kib(pid)?;
    let mut command = load(programs, "idle", entrance);
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

/// Memory that frames of 100 MiB cost each connection at most, KiB.
pub(crate) fn frames(way: &mut Way, programs: &Programs, leash: &mut Leash) -> Result<f64> {
    let pid = way.pid().context("there is no proxy")?;
    let mut command = load(programs, "frames", way.entrance(way.twin.entry())?);
    command.args(["--connections", &FRAMES_QUICK.to_string()]);
    command.args(["--slow-connections", &FRAMES_SLOW.to_string(), "--cued"]);
    let load = begin(way, &mut command, leash)?;
    thread::sleep(SETTLE);
    counters::forget_rss_max(pid)?;
    let before = counters::rss_kib(pid)?;
    let (_, most) = play(load, leash, || counters::rss_max_kib(pid))?;
    Ok(difference_kib(before, most) / f64::from(FRAMES_QUICK + FRAMES_SLOW))
}

#[allow(clippy::cast_precision_loss, reason = "KiB of a process are below 2^52")]
pub(crate) fn difference_kib(before: u64, after: u64) -> f64 {
    after as f64 - before as f64
}
