//! `cargo xtask bench`: the same works directly, through the gateway and through its twins, taking turns.
//!
//! Sink, load and relays are programs of the package `benches`. Everything is on loopback and bounded in count and
//! time; all children are on a leash that ends them with us.

mod bars;
mod certificates;
pub(crate) mod counters;
mod instructions;
pub(crate) mod measure;
mod memory;
mod perf;
mod pin;
mod place;
pub(crate) mod programs;
mod report;
mod results;
pub(crate) mod twins;
pub(crate) mod works;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::leash::Leash;

use crate::release::Measured;
use bars::{Bar, Verdict};
use instructions::Depth;
use measure::{Sample, mean_sample};
use perf::Broker;
use programs::Programs;
use results::Results;
use twins::{Twin, Way};
use works::{Kind, Stream, Tool, WORKS, Work};

/// Turns of each twin in a round. Where the kernel puts threads and connections is chance, and the machine's mood changes within
/// seconds: many short turns make both alike for all.
const TURNS: u32 = 4;
/// Nothing takes this long, unless something hangs.
const LONGEST: Duration = Duration::from_hours(1);

/// What to measure
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Only works whose name begins so; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Every work: also those that take minutes, or need valgrind or a JDK with Maven
    #[arg(long, conflicts_with = "only")]
    all: bool,
    /// Count, with valgrind, the instructions of requests, and measure nothing else: as --only instructions
    #[arg(long, conflicts_with_all = ["only", "all"])]
    instructions: bool,
    /// The ways that take turns, where a work has them; those that its bars compare unless told otherwise
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TWIN")]
    twins: Vec<Twin>,
    /// The blocking relays take turns as well
    #[arg(long, conflicts_with = "twins")]
    floor: bool,
    /// Rounds, of which the medians are told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each twin in a round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Two short rounds: to see that it runs, not to judge by
    #[arg(long)]
    quick: bool,
    /// Connections of the works `idle` and `idle-tls`
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=5_500))]
    idle_connections: u32,
    /// Fail where a bar is missed
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    measured: Measured,
    /// Tell the names of the works and do nothing; those with a star are done with --all or --only
    #[arg(long)]
    list: bool,
}

/// Measures, prints, and writes `target/bench/last.json`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let works: Vec<&Work> = WORKS.iter().filter(|work| options.wants(work)).collect();
    if options.list {
        for work in &WORKS {
            println!("{:<29}{} {}", work.name, if work.is_ordinary() { " " } else { "*" }, work.title);
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
    let mut bench = Bench {
        programs: options.measured.programs("bench")?,
        leash: Leash::new(None)?,
        rounds: if options.quick { 2 } else { options.rounds },
        seconds: if options.quick { options.seconds.min(0.3) } else { options.seconds },
        depth: if options.quick { Depth::Quick } else { Depth::Full },
        idle_connections: options.idle_connections,
        twins: options.twins.clone(),
        floor: if options.floor { &[Twin::FloorCopy, Twin::FloorSplice] } else { &[] },
        results: Results::default(),
    };
    if bench.programs.haproxy.is_none() {
        println!("haproxy is not installed (apt-get install haproxy): left out");
    }
    let bars = bench.works(&works)?;
    let missed = bars.iter().filter(|bar| bar.verdict == Verdict::Miss).count();
    ensure!(!options.strict || missed == 0, "{missed} bars are missed");
    Ok(())
}

impl Options {
    fn wants(&self, work: &Work) -> bool {
        if self.instructions {
            return matches!(work.kind, Kind::Instructions(_));
        }
        if self.only.is_empty() {
            return self.all || work.is_ordinary();
        }
        self.only.iter().any(|only| work.name.starts_with(only))
    }
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
    depth: Depth,
    idle_connections: u32,
    /// Those that were asked for; none where each work has its own.
    twins: Vec<Twin>,
    /// Those that are added where they make sense.
    floor: &'static [Twin],
    results: Results,
}

impl Bench {
    fn works(&mut self, works: &[&Work]) -> Result<Vec<Bar>> {
        let begin = Instant::now();
        let (sink, address) = twins::sink(&self.programs, &mut self.leash)?;
        println!("medians of {} rounds of {TURNS} turns, {} s in all", self.rounds, self.seconds);
        let mut broker = None;
        for work in works {
            match work.kind {
                Kind::Stream(_) | Kind::Tls(_) | Kind::Connect => self.turns(work, address)?,
                Kind::Idle(_) | Kind::Frames => self.memory(work, address)?,
                Kind::Instructions(stream) => self.count(work, stream, address)?,
                Kind::Cores(stream) => {
                    self.turns(work, address)?;
                    self.count(work, stream, address)?;
                }
                Kind::Perf(tool) => {
                    let broker = match &mut broker {
                        Some(broker) => broker,
                        none => none.insert(Broker::start(self.depth)?),
                    };
                    self.perf(work, tool, broker)?;
                }
            }
            report::print_work(work, &self.results);
        }
        drop(broker);
        sink.finish(&mut self.leash)?;
        let path = self.programs.output.join("last.json");
        let bars = report::write(&self.results, &path, self.rounds, self.seconds)?;
        report::print_bars(&bars);
        println!("\n{:.0} s; {}", begin.elapsed().as_secs_f64(), path.display());
        Ok(bars)
    }

    fn twins(&self, work: &Work) -> Vec<Twin> {
        let mut twins = work.twins(&self.twins);
        if !self.floor.is_empty() {
            twins.extend(work.twins(self.floor));
        }
        twins.sort_unstable();
        twins.dedup();
        twins.retain(|twin| *twin != Twin::Haproxy || self.programs.haproxy.is_some());
        twins
    }

    fn open(&mut self, work: &Work, broker: SocketAddr) -> Result<Vec<Way>> {
        let twins = self.twins(work).into_iter();
        twins.map(|twin| Way::open(twin, &self.programs, &mut self.leash, broker)).collect()
    }

    /// The twins take turns, several in every round, each with new connections; each is the first by turns.
    fn turns(&mut self, work: &Work, sink: SocketAddr) -> Result<()> {
        let mut ways = self.open(work, sink)?;
        let seconds = self.seconds / f64::from(TURNS);
        for _ in 0..self.rounds {
            let mut turns = BTreeMap::<Twin, Vec<Sample>>::new();
            for _ in 0..TURNS {
                for way in &mut ways {
                    let sample = measure::run(work.kind, seconds, way, &self.programs, &mut self.leash)?;
                    turns.entry(way.twin).or_default().push(sample);
                }
                ways.rotate_left(1);
            }
            for (twin, turns) in turns {
                self.results.add(work.name, twin, mean_sample(&turns));
            }
        }
        ways.into_iter().try_for_each(|way| way.close(&mut self.leash))
    }

    /// Each proxy once and newly started, so that nothing earlier hides in its memory.
    fn memory(&mut self, work: &Work, sink: SocketAddr) -> Result<()> {
        for twin in self.twins(work) {
            let mut way = Way::open(twin, &self.programs, &mut self.leash, sink)?;
            let (programs, leash) = (&self.programs, &mut self.leash);
            let kib = if let Kind::Idle(security) = work.kind {
                memory::idle(security, self.idle_connections, &mut way, programs, leash)?
            } else {
                memory::frames(&mut way, programs, leash)?
            };
            self.results.set_memory(work.name, twin, kib);
            way.close(&mut self.leash)?;
        }
        Ok(())
    }

    /// Each twin once: what is counted is the same in every round. On how many cores a relay runs makes no difference.
    fn count(&mut self, work: &Work, stream: Stream, sink: SocketAddr) -> Result<()> {
        if let Err(reason) = instructions::probe() {
            println!("{}: instructions are not counted: {reason}", work.name);
            return Ok(());
        }
        let is_counted = |twin: &Twin| matches!(work.kind, Kind::Instructions(_)) || twin.is_gateway();
        for twin in self.twins(work).into_iter().filter(is_counted) {
            let (programs, leash) = (&self.programs, &mut self.leash);
            let counted =
                instructions::per_request(work.name, stream, twin, self.depth, programs, leash, sink)?;
            self.results.set_instructions(work.name, twin, counted);
        }
        Ok(())
    }

    /// As `turns`, by Kafka's own clients on a real broker.
    fn perf(&mut self, work: &Work, tool: Tool, broker: &Broker) -> Result<()> {
        broker.prepare(tool)?;
        let mut ways = self.open(work, broker.address)?;
        for _ in 0..self.rounds {
            for way in &mut ways {
                self.results.add(work.name, way.twin, broker.run(tool, way)?);
            }
            ways.rotate_left(1);
        }
        ways.into_iter().try_for_each(|way| way.close(&mut self.leash))
    }
}
