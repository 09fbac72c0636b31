//! The tables for humans, and the file for programs.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Result;
use serde_json::json;

use super::bars::{Bar, CPU, Field, INSTRUCTIONS, Limit, MIB_PER_SECOND, P50, P99, Verdict, judge};
use super::measure::Sample;
use super::results::Results;
use super::twins::Twin;
use super::works::{Kind, Work};

/// A column: its title, its figure, and its decimals.
type Column = (&'static str, Field, usize);

const COLUMNS: [Column; 9] = [
    ("MiB/s", |sample| some(sample.mib_per_second), 0),
    ("requests/s", |sample| some(sample.requests_per_second), 0),
    ("p50 µs", |sample| some(sample.p50_us), 1),
    ("p99 µs", |sample| some(sample.p99_us), 1),
    ("CPU ms/GiB", |sample| sample.cpu_ms_per_gib, 0),
    ("CPU µs/req", CPU, 2),
    ("RSS MiB", |sample| sample.rss_kib.map(|kib| kib / 1024.0), 1),
    ("grown KiB", |sample| sample.rss_grown_kib, 0),
    ("instr/req", INSTRUCTIONS, 0),
];

/// Nothing is zero that was measured.
fn some(value: f64) -> Option<f64> {
    Some(value).filter(|value| *value > 0.0)
}

/// Prints one work's medians and the gateway's ratios.
pub(crate) fn print_work(work: &Work, results: &Results) {
    println!("\n{} — {}", work.name, work.title);
    match work.kind {
        Kind::Stream(_)
        | Kind::Tls(_)
        | Kind::Connect
        | Kind::Instructions(_)
        | Kind::Cores(_)
        | Kind::Perf(_) => {
            print_medians(&results.medians(work.name));
            print_ratios(work, results);
        }
        Kind::Idle(_) | Kind::Frames => {
            for (twin, kib) in results.memory(work.name) {
                println!("  {:<13} {kib:>8.1} KiB of RSS for each connection", twin.name());
            }
        }
    }
}

fn print_medians(medians: &[(Twin, Sample)]) {
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|(_, field, _)| medians.iter().any(|(_, median)| field(median).is_some()))
        .collect();
    print!("  {:<13}", "");
    for (title, ..) in &columns {
        print!(" {title:>10}");
    }
    println!();
    for (twin, median) in medians {
        print!("  {:<13}", twin.name());
        for (_, field, decimals) in &columns {
            print!(" {:>10}", cell(field(median), *decimals));
        }
        println!();
    }
}

fn print_ratios(work: &Work, results: &Results) {
    let fields: [(&str, Field); 5] = [
        ("throughput", MIB_PER_SECOND),
        ("CPU", CPU),
        ("p50", P50),
        ("p99", P99),
        ("instructions", INSTRUCTIONS),
    ];
    let pairs = match work.kind {
        Kind::Cores(_) => vec![(Twin::TwoCores, Twin::OneCore), (Twin::RelayTwoCores, Twin::RelayOneCore)],
        Kind::Instructions(_) => vec![(Twin::Gateway, Twin::Relay), (Twin::Limited, Twin::Gateway)],
        Kind::Stream(_) | Kind::Tls(_) | Kind::Connect | Kind::Idle(_) | Kind::Frames | Kind::Perf(_) => {
            results.medians(work.name).into_iter().map(|(twin, _)| (Twin::Gateway, twin)).collect()
        }
    };
    for (of, by) in pairs.into_iter().filter(|(of, by)| of != by) {
        let ratios: Vec<String> = fields
            .iter()
            .filter_map(|(name, field)| {
                Some(format!("{name} {:.2}", results.ratio(work.name, *field, of, by)?))
            })
            .collect();
        if !ratios.is_empty() {
            println!("  {} ÷ {:<13} {}", of.name(), by.name(), ratios.join("   "));
        }
    }
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Prints the bars.
pub(crate) fn print_bars(bars: &[Bar]) {
    println!("\nBars");
    for bar in bars {
        let verdict = match bar.verdict {
            Verdict::Pass => "pass",
            Verdict::Miss => "MISS",
            Verdict::Unmeasured => "not measured",
        };
        let limit = match bar.limit {
            Limit::AtMost(limit) => format!("≤ {limit}"),
            Limit::AtLeast(limit) => format!("≥ {limit}"),
        };
        println!("  {:<62} {:>8} {limit:<6} {verdict}", bar.what, cell(bar.value, 3));
    }
}

/// Judges the bars and writes everything to `path`.
pub(crate) fn write(results: &Results, path: &Path, rounds: u32, seconds: f64) -> Result<Vec<Bar>> {
    let bars = judge(results);
    let (lines, memory) = results.lines();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let file = json!({
        "machine": { "cores": available_parallelism()?.get(), "kernel": kernel.trim() },
        "rounds": rounds,
        "seconds": seconds,
        "works": lines,
        "memory": memory,
        "bars": bars,
    });
    fs::write(path, serde_json::to_string_pretty(&file)?)?;
    Ok(bars)
}
