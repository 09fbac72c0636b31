//! `cargo xtask soak`: the gateway before the bench's sink, under a mixed load at a moderate and fixed pace, for an hour.
//!
//! Small and large frames, few and many at once, with and without a login, connections that come and go and others that
//! rest; now and then a reload, every few seconds a scrape. What grows that should not is found by its curve: memory,
//! descriptors, threads, CPU and latency. Everything is on loopback; all children are on leashes that end them with us.

mod cast;
mod gate;
mod judge;
mod picture;
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use testkit::leash::Leash;

use crate::bench::measure::Outcome;
use crate::bench::programs::Programs;
use crate::bench::twins;
use crate::release::Measured;
use cast::{Cast, Entrances, Line, PARTS, Playing};
use gate::{Gate, Sample};
use judge::{Judged, Points, Verdict};

/// What it may take longer than asked for, unless something hangs.
const GRACE: Duration = Duration::from_mins(3);
/// Between two reloads, at most.
const RELOAD_EVERY_MAX: Duration = Duration::from_mins(1);
/// How the connections of clients end that were not disturbed.
const USUAL_END: (&str, &str) = ("client", "closed");

/// For how long, and what is drawn
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Minutes of load
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Draw the curves over time, as an SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

/// What was seen.
#[derive(Serialize)]
pub(crate) struct Record {
    pub(crate) seconds: f64,
    samples: Vec<Sample>,
    /// Of each load of [`PARTS`], its intervals.
    parts: Vec<Vec<Interval>>,
    outcomes: Vec<Option<Outcome>>,
    reloads: u32,
    /// Of the gateway without clients: before the first and after the last.
    pub(crate) files_at_rest: (u32, u32),
    errors: Vec<String>,
}

/// How a load fared in an interval that ended so many seconds after the beginning.
#[derive(Serialize)]
struct Interval {
    at_s: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

/// A figure of an interval.
pub(crate) type Field = fn(&Outcome) -> f64;

/// The median latency.
pub(crate) fn p50(outcome: &Outcome) -> f64 {
    outcome.p50_us
}

/// The 99th percentile of latency.
pub(crate) fn p99(outcome: &Outcome) -> f64 {
    outcome.p99_us
}

impl Record {
    /// The curve of something that the kernel counted.
    pub(crate) fn samples(&self, of: impl Fn(&Sample) -> f64) -> Points {
        self.samples.iter().map(|sample| (sample.at_s, of(sample))).collect()
    }

    /// The curve of a load's latency, µs.
    pub(crate) fn latency(&self, part: usize, of: Field) -> Points {
        let intervals = self.parts.get(part).map_or(&[][..], Vec::as_slice);
        let asked = intervals.iter().filter(|interval| interval.outcome.requests > 0);
        asked.map(|interval| (interval.at_s, of(&interval.outcome))).collect()
    }
}

/// Soaks, judges, draws, and writes `target/soak/last.json`.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.minutes >= 0.5 && options.minutes <= 1e4, "--minutes is between 0.5 and 10000");
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    thread::spawn(move || {
        thread::sleep(duration + GRACE);
        eprintln!("soak: something hangs");
        process::exit(1);
    });
    let programs = options.measured.programs("soak")?;
    let record = soak(&programs, duration)?;
    let judged = judge::judge(&record);
    report::print(&record, &judged);
    let path = programs.output.join("last.json");
    report::write(&record, &judged, &path)?;
    if let Some(picture) = &options.picture {
        picture::draw(&record, picture)?;
    }
    println!("\n{}", path.display());
    verdict(&record, &judged, &programs.output)
}

fn verdict(record: &Record, judged: &[Judged], output: &Path) -> Result<()> {
    let missed = judged.iter().filter(|judged| judged.verdict != Verdict::Flat).count();
    ensure!(record.errors.is_empty(), "{} errors; see {}", record.errors.len(), output.display());
    ensure!(missed == 0, "{missed} curves are not flat");
    Ok(())
}

fn soak(programs: &Programs, duration: Duration) -> Result<Record> {
    let mut leash = Leash::new(None)?;
    let (sink, direct) = twins::sink(programs, &mut leash)?;
    let (mut gate, [plain, login]) = Gate::open(programs, direct)?;
    // Sixty samples at least, so that quarters are worth comparing.
    let every = (duration / 60).clamp(Duration::from_millis(500), Duration::from_secs(5));
    let entrances = Entrances { plain, login, direct };
    let playing = Cast::open(programs, &mut leash, entrances, duration, every)?.play()?;
    let mut record = Record {
        seconds: duration.as_secs_f64(),
        samples: Vec::new(),
        parts: PARTS.iter().map(|_| Vec::new()).collect(),
        outcomes: Vec::new(),
        reloads: 0,
        files_at_rest: (0, 0),
        errors: Vec::new(),
    };
    let watched = watch(&mut record, &playing, &mut gate, duration, every);
    // Kept before anything may fail: it says why.
    fs::write(programs.output.join("gateway.log"), gate.log()).context("the gateway's log")?;
    watched?;
    (record.outcomes, record.errors) = playing.end(&mut leash)?;
    record.files_at_rest = gate.files_at_rest()?;
    record.reloads = gate.reloads;
    for ((side, reason), count) in gate.ends()? {
        if (side.as_str(), reason.as_str()) != USUAL_END {
            record.errors.push(format!("{count} connections ended by the {side}: {reason}"));
        }
    }
    drop(gate);
    sink.finish(&mut leash)?;
    Ok(record)
}

/// Looks at the gateway again and again, and hears how the loads fare, until the time is over.
fn watch(
    record: &mut Record,
    playing: &Playing,
    gate: &mut Gate,
    duration: Duration,
    every: Duration,
) -> Result<()> {
    let begin = Instant::now();
    let reload_every = (duration / 10).min(RELOAD_EVERY_MAX);
    let (mut next_look, mut next_reload, mut next_word) = (begin + every, begin + reload_every, begin);
    // A load that ends early has failed; its own words say how.
    while begin.elapsed() < duration && !playing.has_ended() {
        thread::sleep(next_look.saturating_duration_since(Instant::now()));
        next_look += every;
        let sample = gate.sample(begin)?;
        record.samples.push(sample);
        for Line { part, at, outcome } in playing.lines.try_iter() {
            if let Some(intervals) = record.parts.get_mut(part) {
                intervals.push(Interval { at_s: (at - begin).as_secs_f64(), outcome });
            }
        }
        if Instant::now() >= next_reload {
            next_reload += reload_every;
            gate.reload()?;
        }
        if Instant::now() >= next_word {
            next_word += duration / 10;
            report::print_sample(&sample);
        }
    }
    Ok(())
}
