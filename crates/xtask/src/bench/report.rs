//! The tables for humans, and the file for programs.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Result;
use serde_json::json;

use super::bars::{Bar, Field, Verdict, Weight, judge};
use super::results::Results;
use super::twins::Twin;
use super::works::{Kind, Work};

/// Prints one work's medians and the gateway's ratios.
pub(crate) fn print_work(work: &Work, results: &Results) {
    println!("\n{} — {}", work.name, work.title);
    match work.kind {
        Kind::Stream { .. } | Kind::Connect => print_medians(work, results),
        Kind::Idle => {
            for (twin, kib) in results.memory(work.name) {
                println!("  {:<13} {kib:>8.1} KiB of RSS for each", twin.name());
            }
        }
        Kind::Frames => {
            for (twin, kib) in results.memory(work.name) {
                println!("  {:<13} {:>8.1} MiB of RSS in all", twin.name(), kib / 1024.0);
            }
        }
    }
}

fn print_medians(work: &Work, results: &Results) {
    let medians = results.medians(work.name);
    let counted = medians.iter().any(|(_, median)| median.instructions_per_request.is_some());
    println!(
        "  {:<13} {:>8} {:>10} {:>9} {:>9} {:>10} {:>10} {:>9}{}",
        "",
        "MiB/s",
        "requests/s",
        "p50 µs",
        "p99 µs",
        "CPU ms/GiB",
        "CPU µs/req",
        "RSS MiB",
        if counted { "  instr/req" } else { "" }
    );
    for (twin, median) in medians {
        println!(
            "  {:<13} {:>8.0} {:>10.0} {:>9.1} {:>9.1} {:>10} {:>10} {:>9}{}",
            twin.name(),
            median.mib_per_second,
            median.requests_per_second,
            median.p50_us,
            median.p99_us,
            cell(median.cpu_ms_per_gib, 0),
            cell(median.cpu_us_per_request, 2),
            cell(median.rss_kib.map(|kib| kib / 1024.0), 1),
            median.instructions_per_request.map_or(String::new(), |count| format!(" {count:>10.0}"))
        );
    }
    print_ratios(work, results);
}

fn print_ratios(work: &Work, results: &Results) {
    let fields: [(&str, Field); 4] = [
        ("CPU", |sample| sample.cpu_us_per_request),
        ("p50", |sample| Some(sample.p50_us)),
        ("p99", |sample| Some(sample.p99_us)),
        ("instructions", |sample| sample.instructions_per_request),
    ];
    for twin in [Twin::Haproxy, Twin::Relay, Twin::FloorCopy, Twin::FloorSplice, Twin::Limited] {
        let ratios: Vec<String> = fields
            .iter()
            .filter_map(|(name, field)| {
                Some(format!("{name} {:.2}", results.ratio(work.name, *field, twin)?))
            })
            .collect();
        if !ratios.is_empty() {
            println!("  gateway ÷ {:<13} {}", twin.name(), ratios.join("   "));
        }
    }
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Prints the bars.
pub(crate) fn print_bars(bars: &[Bar]) {
    for (weight, title) in [(Weight::Bar, "Bars"), (Weight::Goal, "Goals")] {
        let mut of_weight = bars.iter().filter(|bar| bar.weight == weight).peekable();
        if of_weight.peek().is_some() {
            println!("\n{title}");
        }
        for bar in of_weight {
            let verdict = match bar.verdict {
                Verdict::Pass => "pass",
                Verdict::Miss => "MISS",
                Verdict::Unmeasured => "not measured",
            };
            println!("  {:<42} {:>7} ≤ {:<5} {verdict}", bar.what, cell(bar.value, 2), bar.limit);
        }
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
