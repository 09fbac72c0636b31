//! The tables for humans, and the file for programs.

use std::path::Path;
use std::thread::available_parallelism;
use std::{fs, iter};

use anyhow::Result;
use serde_json::json;

use super::cast::PARTS;
use super::gate::Sample;
use super::judge::{Judged, RULE, Verdict};
use super::{Interval, Record};

/// A line on how it stands.
pub(crate) fn print_sample(sample: &Sample) {
    println!(
        "{:>7.0} s: RSS {:.1} MiB, {} descriptors, {} threads, CPU {:.0} % of a core, /metrics in {:.1} ms",
        sample.at_s, sample.rss_mib, sample.files, sample.threads, sample.cpu_percent, sample.scrape_ms
    );
}

/// Prints what the loads did and what was judged.
pub(crate) fn print(record: &Record, judged: &[Judged]) {
    println!("\n{:<64} {:>10} {:>7} {:>9} {:>9}", "", "requests", "errors", "p50 µs", "p99 µs");
    for (part, outcome) in iter::zip(&PARTS, &record.outcomes) {
        let title = format!("{}: {}", part.name, part.title);
        match outcome {
            Some(outcome) => println!(
                "{title:<64} {:>10} {:>7} {:>9.0} {:>9.0}",
                outcome.requests, outcome.errors, outcome.p50_us, outcome.p99_us
            ),
            None => println!("{title:<64} failed"),
        }
    }
    println!("\n{} reloads, {} scrapes\n{RULE}\n", record.reloads, record.samples.len());
    println!("{:<30} {:>10} {:>10} {:>10}", "", "second", "last", "allowed");
    for Judged { what, early, late, limit, verdict } in judged {
        let verdict = match verdict {
            Verdict::Flat => "flat",
            Verdict::Grows => "GROWS",
            Verdict::Unmeasured => "NOT MEASURED",
        };
        println!("{what:<30} {:>10} {:>10} {:>10}  {verdict}", cell(*early), cell(*late), cell(*limit));
    }
    for error in &record.errors {
        println!("error: {error}");
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// Writes everything to `path`.
pub(crate) fn write(record: &Record, judged: &[Judged], path: &Path) -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let loads: Vec<_> = iter::zip(&PARTS, iter::zip(&record.parts, &record.outcomes))
        .map(|(part, (intervals, outcome))| {
            let intervals: &[Interval] = intervals;
            json!({ "name": part.name, "title": part.title, "outcome": outcome, "intervals": intervals })
        })
        .collect();
    let file = json!({
        "machine": { "cores": available_parallelism()?.get(), "kernel": kernel.trim() },
        "seconds": record.seconds,
        "reloads": record.reloads,
        "files_at_rest": record.files_at_rest,
        "errors": record.errors,
        "rule": RULE,
        "judged": judged,
        "samples": record.samples,
        "loads": loads,
    });
    fs::write(path, serde_json::to_string_pretty(&file)?)?;
    Ok(())
}
