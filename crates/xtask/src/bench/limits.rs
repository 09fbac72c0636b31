//! What limits cost that never trigger: the gateway's own instructions per request without any limit and with a hundred,
//! counted by valgrind. What the kernel does for a request is the same in both, and not counted.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
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
/// Requests of the loads of one run. The first warms up; what connections cost once is in both of the others, whose
/// difference is told.
const REQUESTS: [u32; 3] = [4_000, 20_000, 80_000];

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

/// Instructions of one request, of many on connections of their own.
#[allow(clippy::cast_precision_loss, reason = "counts of seconds' work are below 2^52")]
fn per_request(
    work: &Work,
    limits: usize,
    programs: &Programs,
    leash: &mut Leash,
    sink: SocketAddr,
) -> Result<f64> {
    let place = Place::new(programs, sink, limits)?;
    // Where they stay, for who wants to see what costs so much: the load of many is the last of them.
    let name = format!("callgrind.{}.{limits}", work.name);
    let counts: PathBuf = programs.output.join(format!("{name}.out"));
    let log = programs.output.join(format!("{name}.log"));
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(programs.ours("portcullis").get_program()).arg("run").arg(&place.file);
    let mut gateway = Running::start(leash, &mut command, Some(&log))?;
    let [address, _] = place.nodes;
    wait::until("the gateway under valgrind", START, || {
        ensure!(gateway.runs()?, "it has ended; see {}", log.display());
        Ok(TcpStream::connect(address).ok())
    })?;
    let mut counted = [(0, 0); REQUESTS.len()];
    for (part, (requests, counted)) in REQUESTS.iter().zip(&mut counted).enumerate() {
        let requests = measure::requests(work.kind, *requests, address, programs, leash)?;
        *counted = (dumped(&gateway, &counts, part + 1)?, requests);
    }
    gateway.terminate(leash)?;
    let [_, (few, of_few), (many, of_many)] = counted;
    Ok(many.saturating_sub(few) as f64 / of_many.saturating_sub(of_few).max(1) as f64)
}

/// Instructions since the dump before.
fn dumped(gateway: &Running, counts: &Path, part: usize) -> Result<u64> {
    let dump = Command::new("callgrind_control").arg("--dump").arg(gateway.pid().to_string()).output()?;
    ensure!(dump.status.success(), "callgrind_control: {}", String::from_utf8_lossy(&dump.stderr));
    let path = counts.with_added_extension(part.to_string());
    let told = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let total = told.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.with_context(|| format!("no total in {}", path.display()))
}
