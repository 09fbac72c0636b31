//! The picture: what one producer saw of it over time, directly and through the gateway, as an SVG for light and dark
//! pages. Everything in it is counted in halves of a second, so that it stays small.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::steady::{Entry, Fared, Journal, Verdict};

use super::ground::Way;
use super::judge::Outcome;
use super::play::{Play, Step};
use crate::svg::{self, to_f64};

/// Where time begins and ends.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 846.0;
/// Above the first panel, and from one to the next.
const TOP: f64 = 76.0;
const PANEL: f64 = 250.0;
/// Within a panel: the heights of latency and of throughput, and what is between them.
const LATENCY: f64 = 110.0;
const RATE: f64 = 52.0;
const GAP: f64 = 14.0;
const BIN_US: u64 = 500_000;
/// Before the first broker goes, and after all is over.
const MARGIN_US: u64 = 4_000_000;
/// Latencies that are told apart: from a millisecond on, each line ten times the one below.
const GRID: [(f64, &str); 5] =
    [(1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1e3, "1 s"), (1e4, "10 s")];
const LATENCY_MS_MAX: f64 = 3e4;

/// Draws how the first producer fared in each outcome.
pub(crate) fn draw(outcomes: &[Outcome], play: Play, rate: u32, path: &Path) -> Result<()> {
    let panels = outcomes.iter().map(Panel::of).collect::<Option<Vec<_>>>().context("nothing to draw")?;
    std::fs::write(path, drawn(&panels, play.title(), rate))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// One way.
struct Panel<'o> {
    way: Way,
    client: String,
    steps: &'o [Step],
    begun_us: u64,
    bins: Vec<Bin>,
}

/// Half a second.
#[derive(Clone, Copy, Default)]
struct Bin {
    acknowledged: u32,
    failed: u32,
    /// The longest of the records that were sent in it.
    latency: Option<Duration>,
}

impl<'o> Panel<'o> {
    fn of(outcome: &'o Outcome) -> Option<Panel<'o>> {
        let is_producer = |fared: &&Fared| matches!(fared.verdict, Verdict::Produced(..));
        let fared = outcome.fared.iter().find(is_producer)?;
        let begun_us = outcome.steps.first()?.begun_us.saturating_sub(MARGIN_US);
        let ended_us = outcome.steps.last()?.ended_us + MARGIN_US;
        let bins = bins(&fared.journal, begun_us, ended_us);
        let client = format!("{} {}", fared.library.name(), fared.summary.version);
        Some(Panel { way: outcome.way, client, steps: &outcome.steps, begun_us, bins })
    }
}

fn bins(journal: &Journal, begun_us: u64, ended_us: u64) -> Vec<Bin> {
    let count = usize::try_from((ended_us - begun_us).div_ceil(BIN_US)).unwrap_or(0);
    let mut bins = vec![Bin::default(); count];
    let place = |at_us: u64| usize::try_from(at_us.checked_sub(begun_us)? / BIN_US).ok();
    for line in &journal.lines {
        if let Entry::Ack { latency_us, .. } = &line.entry {
            if let Some(bin) = place(line.at_us).and_then(|at| bins.get_mut(at)) {
                bin.acknowledged += 1;
            }
            if let Some(bin) = place(line.at_us - latency_us).and_then(|at| bins.get_mut(at)) {
                bin.latency = bin.latency.max(Some(Duration::from_micros(*latency_us)));
            }
        } else if matches!(line.entry, Entry::Failed { .. })
            && let Some(bin) = place(line.at_us).and_then(|at| bins.get_mut(at))
        {
            bin.failed += 1;
        }
    }
    bins
}

fn drawn(panels: &[Panel<'_>], what: &str, rate: u32) -> String {
    let longest = panels.iter().map(|panel| panel.bins.len()).max().unwrap_or(1).max(1);
    let height = TOP + PANEL * f64::from(u32::try_from(panels.len()).unwrap_or(1)) - 8.0;
    let client = panels.first().map_or("", |panel| panel.client.as_str());
    let title = format!("{what}, as a producer sees it");
    let subtitle =
        format!("{client}, acks=all, {rate} records per second; the longest of each half a second");
    let mut out = svg::begin(height, &title, &subtitle);
    let mut top = TOP;
    for panel in panels {
        Drawing { out: &mut out, panel, top, longest, rate }.draw();
        top += PANEL;
    }
    out + svg::END
}

/// A panel on its way to the picture.
struct Drawing<'d> {
    out: &'d mut String,
    panel: &'d Panel<'d>,
    top: f64,
    /// Bins of the longest panel: all share one scale of time.
    longest: usize,
    rate: u32,
}

impl Drawing<'_> {
    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{what}");
    }

    fn draw(&mut self) {
        let (x, y) = (LEFT, self.top - 6.0);
        let title = match self.panel.way {
            Way::Direct => "Connected to the brokers",
            Way::Gateway => "Connected to the gateway",
        };
        self.add(format_args!("<text class=\"ink\" x=\"{x}\" y=\"{y}\" font-weight=\"bold\">{title}</text>"));
        self.bands();
        self.grid();
        self.latency();
        self.throughput();
    }

    fn x_of(&self, bin: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * bin / to_f64(self.longest)
    }

    fn x_at(&self, at_us: u64) -> f64 {
        let since = Duration::from_micros(at_us.saturating_sub(self.panel.begun_us));
        self.x_of(since.as_secs_f64() / Duration::from_micros(BIN_US).as_secs_f64())
    }

    fn y_of(&self, latency_ms: f64) -> f64 {
        let share = latency_ms.clamp(1.0, LATENCY_MS_MAX).log10() / LATENCY_MS_MAX.log10();
        self.top + LATENCY * (1.0 - share)
    }

    /// When something happened to the brokers.
    fn bands(&mut self) {
        let (top, height) = (self.top, LATENCY + GAP + RATE);
        for (number, step) in self.panel.steps.iter().enumerate() {
            let (begin, end) = (self.x_at(step.begun_us), self.x_at(step.ended_us));
            let width = end - begin;
            self.add(format_args!(
                "<rect class=\"band\" x=\"{begin:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"/>"
            ));
            // Names take turns in height: they are longer than what they name.
            let y = top + height + if number % 2 == 0 { 28.0 } else { 40.0 };
            let (x, name) = (f64::midpoint(begin, end), &step.title);
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x:.1}\" y=\"{y}\" font-size=\"10\" text-anchor=\"middle\">{name}</text>"
            ));
        }
    }

    fn grid(&mut self) {
        let x = LEFT - 6.0;
        for (latency_ms, name) in GRID {
            let y = self.y_of(latency_ms);
            self.add(format_args!("<path class=\"line\" d=\"M{LEFT},{y:.1}H{RIGHT}\"/>"));
            let y = y + 4.0;
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x}\" y=\"{y:.1}\" font-size=\"10\" text-anchor=\"end\">{name}</text>"
            ));
        }
        let floor = self.top + LATENCY + GAP + RATE;
        self.add(format_args!("<path class=\"line\" d=\"M{LEFT},{floor}H{RIGHT}\"/>"));
        for (y, name) in [(floor - RATE + 8.0, format!("{}/s", 2 * self.rate)), (floor, "0".to_owned())] {
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x}\" y=\"{y}\" font-size=\"10\" text-anchor=\"end\">{name}</text>"
            ));
        }
        let y = floor + 12.0;
        for second in (0..self.longest / 2).step_by(20) {
            let x = self.x_of(to_f64(second * 2));
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x:.1}\" y=\"{y}\" font-size=\"10\">{second} s</text>"
            ));
        }
    }

    /// The longest latency of each bin, broken where nothing was sent that was ever acknowledged; a mark where sends failed.
    fn latency(&mut self) {
        let mut path = String::new();
        let mut pen = 'M';
        let mut failed = String::new();
        for (number, bin) in self.panel.bins.iter().enumerate() {
            let x = self.x_of(to_f64(number) + 0.5);
            match bin.latency {
                Some(latency) => {
                    let _ = write!(path, "{pen}{x:.1},{:.1}", self.y_of(latency.as_secs_f64() * 1e3));
                    pen = 'L';
                }
                None => pen = 'M',
            }
            if bin.failed > 0 {
                let _ = write!(failed, "M{x:.1},{}v8", self.top);
            }
        }
        self.add(format_args!("<path class=\"latency\" d=\"{path}\"/>"));
        if !failed.is_empty() {
            self.add(format_args!("<path class=\"failed\" d=\"{failed}\"/>"));
        }
    }

    /// Acknowledgements of each bin, up to twice what is sent.
    fn throughput(&mut self) {
        let floor = self.top + LATENCY + GAP + RATE;
        let mut path = format!("M{LEFT},{floor}");
        for (number, bin) in self.panel.bins.iter().enumerate() {
            // Half a second at the full rate is half the height.
            let share = (f64::from(bin.acknowledged) / f64::from(self.rate)).min(1.0);
            let _ = write!(path, "V{:.1}H{:.1}", floor - RATE * share, self.x_of(to_f64(number + 1)));
        }
        self.add(format_args!("<path class=\"rate\" d=\"{path}V{floor}Z\"/>"));
        let y = self.top + LATENCY + GAP - 3.0;
        self.add(format_args!(
            "<text class=\"faint\" x=\"{RIGHT}\" y=\"{y}\" font-size=\"10\" text-anchor=\"end\">acknowledgements</text>"
        ));
        let y = self.top - 6.0;
        self.add(format_args!(
            "<text class=\"faint\" x=\"{RIGHT}\" y=\"{y}\" font-size=\"10\" text-anchor=\"end\">latency</text>"
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Journal, Panel, Play, Step, Way, bins, drawn};

    #[test]
    fn latency_is_drawn_where_a_record_was_sent_and_throughput_where_it_was_acknowledged() {
        let text =
            "ack\t1100.000\t0\tt\t0\t0\t5.000\nack\t3100.000\t1\tt\t0\t1\t1900.000\nfailed\t2600.000\t2\tx\n";
        let bins = bins(&Journal::parse(text).unwrap(), 1_000_000, 4_000_000);
        let seen: Vec<_> =
            bins.iter().map(|bin| (bin.acknowledged, bin.failed, bin.latency.is_some())).collect();
        let (nothing, ack) = ((0, 0, false), (1, 0, false));
        assert_eq!(seen, [(1, 0, true), nothing, nothing, (0, 1, false), ack, nothing]);
        let steps = [Step { title: "broker 1".to_owned(), begun_us: 2_000_000, ended_us: 3_000_000 }];
        let panel =
            Panel { way: Way::Direct, client: "java".to_owned(), steps: &steps, begun_us: 1_000_000, bins };
        let drawn = drawn(&[panel], Play::Upgrade.title(), 2);
        assert!(drawn.contains("prefers-color-scheme") && drawn.contains(">broker 1</text>"), "{drawn}");
        assert_eq!(drawn.matches("class=\"failed\"").count(), 1, "{drawn}");
    }
}
