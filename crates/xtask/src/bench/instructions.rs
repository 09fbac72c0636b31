//! Instructions in user mode of one request, counted by valgrind: they do not depend on the machine's mood. What the
//! kernel does for a request is not counted.
//!
//! Under valgrind a request takes three to six times as long, so that what limits take in advance for a moment covers fewer
//! requests than in earnest: what limits cost is told a little too high.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::leash::Leash;
use testkit::wait;

use super::measure;
use super::place::Place;
use super::programs::{Programs, Running};
use super::twins::{self, Entry, Twin};
use super::works::Stream;

/// Starting under valgrind takes its time.
const START: Duration = Duration::from_mins(1);
/// Requests of the loads of one run. The first warms up; what connections cost once is in both of the others, whose
/// difference is told.
const REQUESTS: [u32; 3] = [4_000, 10_000, 40_000];
/// The same in a quick run.
const REQUESTS_QUICK: [u32; 3] = [400, 1_000, 4_000];

/// How many requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Enough to judge by.
    Full,
    /// Enough to see that it runs.
    Quick,
}

/// Whether valgrind is there; the reason where it is not.
pub(crate) fn probe() -> Result<(), &'static str> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("valgrind is not installed (apt-get install valgrind)"),
    }
}

/// Instructions of one request through this twin, of many on connections of their own. `name` is that of the files in
/// which the counts stay by function, for who wants to see what costs so much: the load of many is the last of them.
#[allow(clippy::cast_precision_loss, reason = "counts of seconds' work are below 2^52")]
pub(crate) fn per_request(
    name: &str,
    stream: Stream,
    twin: Twin,
    depth: Depth,
    programs: &Programs,
    leash: &mut Leash,
    sink: SocketAddr,
) -> Result<f64> {
    let counts = programs.output.join(format!("callgrind.{name}.{}.out", twin.name()));
    let mut proxy = Counted::start(twin, &counts, programs, leash, sink)?;
    let mut counted = [(0, 0); REQUESTS.len()];
    let requests = if depth == Depth::Full { REQUESTS } else { REQUESTS_QUICK };
    for (part, (requests, counted)) in requests.iter().zip(&mut counted).enumerate() {
        let requests = measure::requests(stream, *requests, proxy.entrance, programs, leash)?;
        *counted = (dumped(&proxy.running, &counts, part + 1)?, requests);
    }
    ensure!(proxy.running.runs()?, "{} has ended", twin.name());
    proxy.running.terminate(leash)?;
    let [_, (few, of_few), (many, of_many)] = counted;
    Ok(many.saturating_sub(few) as f64 / of_many.saturating_sub(of_few).max(1) as f64)
}

/// A proxy under valgrind.
struct Counted {
    running: Running,
    entrance: (Entry, SocketAddr),
    _place: Option<Place>,
}

impl Counted {
    fn start(
        twin: Twin,
        counts: &Path,
        programs: &Programs,
        leash: &mut Leash,
        sink: SocketAddr,
    ) -> Result<Counted> {
        let place = if twin.is_gateway() { Some(Place::new(programs, twin, sink)?) } else { None };
        let proxy = match &place {
            Some(place) => place.command(programs),
            None if twin == Twin::Relay => {
                let mut relay = programs.ours("relay");
                relay.arg(sink.to_string());
                relay
            }
            None => bail!("{} is not counted", twin.name()),
        };
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(proxy.get_program()).args(proxy.get_args());
        let log = counts.with_extension("log");
        let mut running = Running::start(leash, &mut command, Some(&log))?;
        let address = match &place {
            Some(place) => {
                let entrance = place.entrances.iter().find(|(entry, _)| *entry == twin.entry());
                entrance.context("the gateway is not entered so")?.1
            }
            None => twins::first(&mut running)?,
        };
        wait::until("the proxy under valgrind", START, || {
            ensure!(running.runs()?, "it has ended; see {}", log.display());
            Ok(std::net::TcpStream::connect(address).ok())
        })?;
        Ok(Counted { running, entrance: (twin.entry(), address), _place: place })
    }
}

/// Instructions since the dump before.
fn dumped(proxy: &Running, counts: &Path, part: usize) -> Result<u64> {
    let dump = Command::new("callgrind_control").arg("--dump").arg(proxy.pid().to_string()).output()?;
    ensure!(dump.status.success(), "callgrind_control: {}", String::from_utf8_lossy(&dump.stderr));
    let path = counts.with_added_extension(part.to_string());
    let told = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let total = told.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.with_context(|| format!("no total in {}", path.display()))
}
