//! The tables for humans.

use std::time::Duration;

use testkit::steady::check::{Consumed, Produced};
use testkit::steady::{Fared, Idempotence, Verdict};

use super::ground::Way;
use super::judge::Outcome;

/// Of what was said, and of what is wrong with records, so many are shown.
const SHOWN: usize = 4;
const WIDTH: usize = 150;

/// Prints how clients fared, the ways side by side, and then what is to be said of each way.
pub(crate) fn print(outcomes: &[Outcome]) {
    println!(
        "\n{:<28} {:<8} {:>7} {:>7} {:>8} {:>8} {:>8}  what the brokers hold",
        "", "", "records", "errors", "pause s", "in part.", "rejoins"
    );
    let Some(first) = outcomes.first() else { return };
    for client in &first.fared {
        for (place, outcome) in outcomes.iter().enumerate() {
            let twin = outcome.fared.iter().find(|other| other.title == client.title);
            if let Some(fared) = twin {
                println!("{}", row(if place == 0 { &client.title } else { "" }, outcome.way, fared));
            }
        }
    }
    for outcome in outcomes {
        print_way(outcome);
    }
}

fn row(title: &str, way: Way, fared: &Fared) -> String {
    let summary = &fared.summary;
    format!(
        "{title:<28} {:<8} {:>7} {:>7} {:>8} {:>8} {:>8}  {}",
        way.name(),
        summary.records,
        summary.faults(),
        seconds(summary.pause),
        seconds(summary.partition_pause),
        summary.rejoins,
        records(fared)
    )
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.2}", time.as_secs_f64()))
}

/// What the brokers' records say, where there is something to say.
fn records(fared: &Fared) -> String {
    let counts: Vec<(&str, usize)> = match &fared.verdict {
        Verdict::Produced(produced, _) => vec![
            ("lost", produced.lost.len()),
            ("twice", produced.duplicated.len()),
            ("out of order", produced.reordered.len()),
            ("uncalled for", produced.uncalled.len()),
            ("acknowledged without an offset", produced.placeless),
        ],
        Verdict::Consumed(consumed) => vec![
            ("missed", consumed.missed.len()),
            ("altered", consumed.altered.len()),
            ("read again", consumed.read_again),
        ],
    };
    let told: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let idempotence = match &fared.verdict {
        Verdict::Produced(_, Idempotence::Off) => " (not idempotent)",
        Verdict::Produced(_, Idempotence::On) | Verdict::Consumed(_) => "",
    };
    if told.is_empty() { format!("fine{idempotence}") } else { told.join(", ") + idempotence }
}

fn print_way(outcome: &Outcome) {
    println!("\n{} — {:.0} s", outcome.way.name(), outcome.took.as_secs_f64());
    for step in &outcome.steps {
        let time = Duration::from_micros(step.ended_us - step.begun_us).as_secs_f64();
        println!("  {:<40} {time:>5.1} s", step.title);
    }
    for ((side, reason), count) in outcome.connections_ended.iter().filter(|(_, count)| **count > 0) {
        println!("  {count} client connections ended meanwhile: {side}, {reason}");
    }
    for fared in &outcome.fared {
        print_said(outcome, fared);
    }
    for excused in outcome.excused() {
        println!("  its library's own doing — {excused}");
    }
    let broken = outcome.broken();
    if broken.is_empty() {
        println!("  all that is promised was kept");
    } else {
        println!(
            "  {}",
            if outcome.way == Way::Gateway { "NOT KEPT" } else { "what a gateway is to spare clients" }
        );
        for what in broken {
            println!("    {what}");
        }
    }
}

/// What a program was told, what is wrong with its records, and during what it paused longest.
fn print_said(outcome: &Outcome, fared: &Fared) {
    let summary = &fared.summary;
    let pause_ended_us = summary.pause_begun_us
        + summary.pause.map_or(0, |pause| u64::try_from(pause.as_micros()).unwrap_or(u64::MAX / 2));
    let during = outcome
        .steps
        .iter()
        .find(|step| step.begun_us <= pause_ended_us && step.ended_us >= summary.pause_begun_us);
    println!(
        "  {} ({} {}): longest pause {} s, {}; {} errors logged",
        fared.title,
        fared.library.name(),
        summary.version,
        seconds(summary.pause),
        during.map_or("between the steps", |step| step.title.as_str()),
        summary.logged
    );
    let mut said: Vec<(&String, &u64)> = summary.said.iter().collect();
    said.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (what, count) in said.iter().take(SHOWN) {
        println!("    {count} × {}", short(what));
    }
    if said.len() > SHOWN {
        println!("    and {} more", said.len() - SHOWN);
    }
    if let Some(text) = &summary.first_logged {
        println!("    logged: {}", short(text));
    }
    let lists: Vec<&Vec<String>> = match &fared.verdict {
        Verdict::Produced(Produced { lost, duplicated, reordered, uncalled, .. }, _) => {
            vec![lost, duplicated, reordered, uncalled]
        }
        Verdict::Consumed(Consumed { missed, altered, .. }) => vec![missed, altered],
    };
    for list in lists {
        for what in list.iter().take(SHOWN) {
            println!("    {}", short(what));
        }
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(WIDTH).collect();
    if text.chars().count() > WIDTH {
        short.push('…');
    }
    short
}
