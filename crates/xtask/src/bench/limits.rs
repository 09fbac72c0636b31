//! What limits cost that never trigger: the gateway's own instructions per request without any limit and with a hundred,
//! counted by valgrind. What the kernel does for a request is the same in both, and not counted.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::leash::Leash;
use testkit::wait;

use super::measure;
use super::programs::{Programs, Running};
use super::twins::{self, LIMITS, Place};
use super::works::{Kind, Work};

/// Starting under valgrind takes its time.
const START: Duration = Duration::from_mins(1);
/// Requests of the two runs whose difference is told: what the start costs is in both.
const REQUESTS: [u32; 2] = [2_000, 22_000];

/// Counts and prints, for all works of small requests.
pub(super) fn run(works: &[&Work], programs: &Programs, leash: &mut Leash) -> Result<()> {
    let found = Command::new("valgrind").arg("--version").output();
    ensure!(
        found.is_ok_and(|output| output.status.success()),
        "valgrind is missing (apt-get install valgrind)"
    );
    let (sink, address) = twins::sink(programs, leash)?;
    println!("instructions of the gateway in user mode, per request");
    println!("{:<30} {:>10} {:>12} {:>7}", "", "no limit", format!("{LIMITS} limits"), "ratio");
    for work in works {
        let Kind::Stream { payload_bytes, .. } = work.kind else { continue };
        if payload_bytes > 64 * 1024 {
            continue;
        }
        let mut counts = [0.0; 2];
        for (count, limits) in counts.iter_mut().zip([0, LIMITS]) {
            *count = per_request(work, limits, programs, leash, address)?;
        }
        let [without, with] = counts;
        println!("{:<30} {without:>10.0} {with:>12.0} {:>7.3}", work.title, with / without);
    }
    sink.finish(leash)
}

#[allow(clippy::cast_precision_loss, reason = "counts of seconds' work are below 2^52")]
fn per_request(
    work: &Work,
    limits: usize,
    programs: &Programs,
    leash: &mut Leash,
    sink: SocketAddr,
) -> Result<f64> {
    let mut few = [(0, 0); 2];
    for (run, requests) in few.iter_mut().zip(REQUESTS) {
        *run = counted(work, limits, requests, programs, leash, sink)?;
    }
    let [(few, of_few), (many, of_many)] = few;
    Ok(many.saturating_sub(few) as f64 / of_many.saturating_sub(of_few).max(1) as f64)
}

/// Instructions of one run, and its requests.
fn counted(
    work: &Work,
    limits: usize,
    requests: u32,
    programs: &Programs,
    leash: &mut Leash,
    sink: SocketAddr,
) -> Result<(u64, u64)> {
    let place = Place::new(programs, sink, limits)?;
    let counts: PathBuf = programs.output.join("callgrind.out");
    let log = programs.output.join("callgrind.log");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(programs.ours("portcullis").get_program()).arg("run").arg(&place.file);
    let mut gateway = Running::start(leash, &mut command, Some(&log))?;
    let [address, _] = place.nodes;
    wait::until("the gateway under valgrind", START, || {
        ensure!(gateway.runs()?, "it has ended; see {}", log.display());
        Ok(TcpStream::connect(address).ok())
    })?;
    let requests = measure::requests(work.kind, requests, address, programs, leash)?;
    gateway.terminate(leash)?;
    let told = fs::read_to_string(&log)?;
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    Ok((collected.with_context(|| format!("no count in {}", log.display()))?, requests))
}
