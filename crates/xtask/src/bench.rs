//! `cargo xtask bench`: the same works directly, through the gateway and through its twins, taking turns.
//!
//! Sink, load and relays are programs of the package `benches`. Everything is on loopback and bounded in count and
//! time; all children are on a leash that ends them with us.

mod bars;
pub(crate) mod counters;
mod instructions;
mod limits;
pub(crate) mod measure;
pub(crate) mod programs;
mod report;
mod results;
pub(crate) mod twins;
mod works;

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::leash::Leash;

use bars::{Bar, Verdict, Weight};
use instructions::Counting;
use programs::Programs;
use results::Results;
use twins::{Twin, Way};
use works::{Kind, WORKS, Work};

/// Nothing takes this long, unless something hangs.
const LONGEST: Duration = Duration::from_mins(30);

/// What to measure
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Only works whose name begins so; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The ways that take turns
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TWIN",
          default_values_t = [Twin::Direct, Twin::Haproxy, Twin::Relay, Twin::Gateway])]
    twins: Vec<Twin>,
    /// The blocking relays take turns as well
    #[arg(long)]
    floor: bool,
    /// Rounds, of which the medians are told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each run
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Two short rounds: to see that it runs, not to judge by
    #[arg(long)]
    quick: bool,
    /// Connections of the work `idle`
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    idle_connections: u32,
    /// Count the proxies' instructions with perf, where this machine can
    #[arg(long)]
    instructions: bool,
    /// Only count, with valgrind, what a hundred limits cost that never trigger
    #[arg(long)]
    limits: bool,
    /// Fail where a bar is missed
    #[arg(long)]
    strict: bool,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
    /// Tell the names of the works and do nothing
    #[arg(long)]
    list: bool,
}

/// Measures, prints, and writes `target/bench/last.json`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let works: Vec<&Work> = WORKS
        .iter()
        .filter(|work| options.only.is_empty() || options.only.iter().any(|only| work.name.starts_with(only)))
        .collect();
    if options.list {
        for work in works {
            println!("{:<16} {}", work.name, work.title);
        }
        return Ok(());
    }
    ensure!(!works.is_empty(), "no work is named so; --list tells the names");
    ensure!(options.seconds > 0.0 && options.seconds <= 60.0, "--seconds is between 0 and 60");
    thread::spawn(|| {
        thread::sleep(LONGEST);
        eprintln!("bench: something hangs");
        process::exit(1);
    });
    raise_file_limit(options.idle_connections)?;
    let wanted = wanted_twins(options);
    let has_gateway =
        options.limits || wanted.iter().any(|twin| matches!(twin, Twin::Gateway | Twin::Limited));
    let packages: &[&str] = match (options.no_build, has_gateway) {
        (true, _) => &[],
        (false, true) => &["portcullis-bench", "portcullis"],
        (false, false) => &["portcullis-bench"],
    };
    if options.limits {
        return limits::run(&works, &Programs::build(packages)?, &mut Leash::new(None)?);
    }
    let mut bench = Bench {
        programs: Programs::build(packages)?,
        leash: Leash::new(None)?,
        rounds: if options.quick { 2 } else { options.rounds },
        seconds: if options.quick { options.seconds.min(0.3) } else { options.seconds },
        idle_connections: options.idle_connections,
        counting: counting(options),
        twins: wanted,
        results: Results::default(),
    };
    if bench.programs.haproxy.is_none() && bench.twins.contains(&Twin::Haproxy) {
        println!("haproxy is not installed (apt-get install haproxy): left out");
        bench.twins.retain(|twin| *twin != Twin::Haproxy);
    }
    let bars = bench.works(&works)?;
    let missed = bars.iter().filter(|bar| bar.weight == Weight::Bar && bar.verdict == Verdict::Miss).count();
    ensure!(!options.strict || missed == 0, "{missed} bars are missed");
    Ok(())
}

fn wanted_twins(options: &Options) -> Vec<Twin> {
    let mut wanted = options.twins.clone();
    if options.floor {
        wanted.extend([Twin::FloorCopy, Twin::FloorSplice]);
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn counting(options: &Options) -> Counting {
    if !options.instructions {
        return Counting::Off;
    }
    Counting::probe().unwrap_or_else(|reason| {
        println!("instructions: not available: {reason}");
        Counting::Off
    })
}

/// Children inherit it. A proxy needs two sockets for each connection.
fn raise_file_limit(connections: u32) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let needed = u64::from(connections) * 2 + 500;
    if maximum.is_some_and(|maximum| maximum < needed) {
        bail!("{needed} open files are needed; raise the limit (ulimit -n) or lower --idle-connections");
    }
    Ok(())
}

struct Bench {
    programs: Programs,
    leash: Leash,
    rounds: u32,
    seconds: f64,
    idle_connections: u32,
    counting: Counting,
    twins: Vec<Twin>,
    results: Results,
}

impl Bench {
    fn works(&mut self, works: &[&Work]) -> Result<Vec<Bar>> {
        let begin = Instant::now();
        let (sink, address) = twins::sink(&self.programs, &mut self.leash)?;
        println!("medians of {} rounds of {} s each", self.rounds, self.seconds);
        for work in works {
            match work.kind {
                Kind::Stream { .. } | Kind::Connect => self.turns(work, address)?,
                Kind::Idle | Kind::Frames => self.memory(work, address)?,
            }
            report::print_work(work, &self.results);
        }
        sink.finish(&mut self.leash)?;
        let path = self.programs.output.join("last.json");
        let bars = report::write(&self.results, &path, self.rounds, self.seconds)?;
        report::print_bars(&bars);
        println!("\n{:.0} s; {}", begin.elapsed().as_secs_f64(), path.display());
        Ok(bars)
    }

    /// The twins take turns in every round.
    fn turns(&mut self, work: &Work, sink: SocketAddr) -> Result<()> {
        let mut ways = Vec::new();
        for twin in &self.twins {
            ways.push(Way::open(*twin, &self.programs, &mut self.leash, sink)?);
        }
        for _ in 0..self.rounds {
            for way in &mut ways {
                let (programs, leash) = (&self.programs, &mut self.leash);
                let sample = measure::run(work.kind, self.seconds, way, programs, leash, self.counting)?;
                self.results.add(work.name, way.twin, sample);
            }
        }
        ways.into_iter().try_for_each(|way| way.close(&mut self.leash))
    }

    /// Each proxy once and newly started, so that nothing earlier hides in its memory.
    fn memory(&mut self, work: &Work, sink: SocketAddr) -> Result<()> {
        // The blocking relays have two threads for each connection, which is not what is asked here.
        let is_measured = |twin: &&Twin| !matches!(twin, Twin::Direct | Twin::FloorCopy | Twin::FloorSplice);
        for twin in self.twins.iter().filter(is_measured) {
            let mut way = Way::open(*twin, &self.programs, &mut self.leash, sink)?;
            let (programs, leash) = (&self.programs, &mut self.leash);
            let kib = if work.kind == Kind::Idle {
                measure::idle(self.idle_connections, &mut way, programs, leash)?
            } else {
                measure::frames(&mut way, programs, leash)?
            };
            self.results.set_memory(work.name, *twin, kib);
            way.close(&mut self.leash)?;
        }
        Ok(())
    }
}
