//! The picture: what was seen over time, in small panels of one scale of time. Points are thinned out to the largest of
//! each bin, so that the picture stays small and no peak is lost.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::cast::PARTS;
use super::judge::Points;
use super::{Record, p50, p99};
use crate::svg::{self, to_f64};

/// Panels: two beside each other.
const LEFTS: [f64; 2] = [64.0, 496.0];
const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 70.0;
/// Above the first panels, and from one row to the next.
const TOP: f64 = 78.0;
const ROW: f64 = 116.0;
/// Points of a curve, at most.
const BINS: usize = 150;

/// How values become heights.
#[derive(Clone, Copy)]
enum Scale {
    /// From 0 to a round number above all values.
    Linear,
    /// From a power of ten µs to another one.
    Latency,
}

struct Panel {
    title: String,
    scale: Scale,
    /// The class of each curve, and its points.
    curves: Vec<(&'static str, Points)>,
}

/// Draws all curves.
pub(crate) fn draw(record: &Record, path: &Path) -> Result<()> {
    let text = drawn(&panels(record), record.seconds);
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn panels(record: &Record) -> Vec<Panel> {
    let of_gateway = |title: &str, points| Panel {
        title: title.to_owned(),
        scale: Scale::Linear,
        curves: vec![("usual", points)],
    };
    let mut panels = vec![
        of_gateway("RSS, MiB", record.samples(|sample| sample.rss_mib)),
        of_gateway("Descriptors", record.samples(|sample| f64::from(sample.files))),
        of_gateway("CPU, % of a core", record.samples(|sample| sample.cpu_percent)),
        of_gateway("Threads", record.samples(|sample| f64::from(sample.threads))),
    ];
    panels.extend(PARTS.iter().enumerate().map(|(nth, part)| Panel {
        title: part.title.to_owned(),
        scale: Scale::Latency,
        curves: vec![("latency", record.latency(nth, p99)), ("usual", record.latency(nth, p50))],
    }));
    panels
}

fn drawn(panels: &[Panel], seconds: f64) -> String {
    let rows = panels.len().div_ceil(LEFTS.len());
    let height = TOP + ROW * to_f64(rows) - 14.0;
    let title = format!("The gateway under a mixed load for {}", time(seconds));
    let subtitle = "of each load the latency: median (green) and 99th percentile (orange); the shaded quarters are compared";
    let mut out = svg::begin(height, &title, subtitle);
    for (number, panel) in panels.iter().enumerate() {
        let top = TOP + ROW * to_f64(number / LEFTS.len());
        let left = LEFTS.get(number % LEFTS.len()).copied().unwrap_or_default();
        let (low, high) = panel.range();
        Drawing { out: &mut out, panel, left, top, seconds, low, high }.draw();
    }
    out + svg::END
}

fn time(seconds: f64) -> String {
    if seconds < 600.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// The next number above that is 1, 2 or 5 times a power of ten.
fn round_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-3).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|times| times * power)
        .into_iter()
        .find(|round| *round > value)
        .unwrap_or(10.0 * power)
}

impl Panel {
    /// The least and the largest value that there is place for.
    fn range(&self) -> (f64, f64) {
        let values = || self.curves.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
        let most = values().fold(1.0, f64::max);
        match self.scale {
            Scale::Linear => (0.0, round_above(most)),
            Scale::Latency => {
                let least = values().fold(most, f64::min).max(1.0);
                (10_f64.powf(least.log10().floor()), 10_f64.powf((most.log10() + 1e-9).ceil()))
            }
        }
    }
}

/// The largest of each bin, at the bin's middle.
fn thinned(points: &[(f64, f64)], seconds: f64) -> Points {
    let mut bins: [Option<f64>; BINS] = [None; BINS];
    let width = seconds / to_f64(BINS);
    let mut bin = 0;
    for (at, value) in points {
        while bin + 1 < BINS && *at >= width * to_f64(bin + 1) {
            bin += 1;
        }
        if let Some(most) = bins.get_mut(bin) {
            *most = Some(most.map_or(*value, |most| most.max(*value)));
        }
    }
    let middle = |bin: usize| width * (to_f64(bin) + 0.5);
    bins.iter().enumerate().filter_map(|(bin, most)| Some((middle(bin), (*most)?))).collect()
}

/// A panel on its way to the picture.
struct Drawing<'d> {
    out: &'d mut String,
    panel: &'d Panel,
    left: f64,
    top: f64,
    seconds: f64,
    low: f64,
    high: f64,
}

impl Drawing<'_> {
    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{what}");
    }

    fn x_of(&self, share: f64) -> f64 {
        self.left + WIDTH * share
    }

    fn y_of(&self, value: f64) -> f64 {
        let share = match self.panel.scale {
            Scale::Linear => value / self.high,
            Scale::Latency => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        self.top + HEIGHT * (1.0 - share.clamp(0.0, 1.0))
    }

    fn draw(&mut self) {
        let (left, y, title) = (self.left, self.top - 7.0, &self.panel.title);
        self.add(format_args!(
            "<text class=\"ink\" x=\"{left}\" y=\"{y}\" font-weight=\"bold\">{title}</text>"
        ));
        self.axes();
        for (class, points) in &self.panel.curves {
            let mut path = String::new();
            for (at, value) in thinned(points, self.seconds) {
                let pen = if path.is_empty() { 'M' } else { 'L' };
                let (x, y) = (self.x_of((at / self.seconds).min(1.0)), self.y_of(value));
                let _ = write!(path, "{pen}{x:.1},{y:.1}");
            }
            self.add(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }

    fn axes(&mut self) {
        let (left, top) = (self.left, self.top);
        for share in [0.25, 0.75] {
            let (x, width) = (self.x_of(share), WIDTH / 4.0);
            self.add(format_args!(
                "<rect class=\"band\" x=\"{x:.1}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\"/>"
            ));
        }
        for (value, name) in self.marks() {
            let (right, y) = (left + WIDTH, self.y_of(value));
            self.add(format_args!("<path class=\"line\" d=\"M{left},{y:.1}H{right}\"/>"));
            let (x, y) = (left - 6.0, y + 4.0);
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x}\" y=\"{y:.1}\" font-size=\"10\" text-anchor=\"end\">{name}</text>"
            ));
        }
        let y = top + HEIGHT + 13.0;
        for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let (x, name) = (self.x_of(share), time(self.seconds * share));
            self.add(format_args!(
                "<text class=\"faint\" x=\"{x}\" y=\"{y}\" font-size=\"10\" text-anchor=\"{anchor}\">{name}</text>"
            ));
        }
    }

    /// Values that have a line and a name.
    fn marks(&self) -> Vec<(f64, String)> {
        match self.panel.scale {
            Scale::Linear => {
                [0.0, 0.5, 1.0].map(|share| self.high * share).map(|at| (at, format!("{at}"))).into()
            }
            Scale::Latency => {
                let decades = std::iter::successors(Some(self.low), |at| Some(at * 10.0));
                let within = decades.take_while(|at| *at <= self.high * 1.01);
                within.map(|at| (at, latency_name(at))).collect()
            }
        }
    }
}

fn latency_name(us: f64) -> String {
    match us {
        _ if us < 999.0 => format!("{us:.0} µs"),
        _ if us < 999e3 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.0} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::{Panel, Scale, drawn, round_above, thinned};

    #[test]
    fn no_peak_is_lost_when_points_are_thinned_out() {
        let points: Vec<_> = (0..3600).map(|n| (f64::from(n), if n == 1234 { 9.0 } else { 1.0 })).collect();
        let thin = thinned(&points, 3600.0);
        assert_eq!(thin.len(), 150);
        let peaks: Vec<_> = thin.iter().filter(|(_, value)| *value > 1.0).collect();
        assert_eq!(peaks, [&(1236.0, 9.0)]);
    }

    #[test]
    fn scales_are_round_and_the_picture_knows_the_dark() {
        assert!(
            [(0.7, 1.0), (1.0, 2.0), (21.3, 50.0), (430.0, 500.0), (999.0, 1000.0)]
                .iter()
                .all(|(value, round)| (round_above(*value) - round).abs() < 1e-9)
        );
        let curves = vec![("usual", vec![(1.0, 70.0), (2.0, 4000.0)])];
        let panel = Panel { title: "it".to_owned(), scale: Scale::Latency, curves };
        assert_eq!(panel.range(), (10.0, 10_000.0));
        let drawn = drawn(&[panel], 3600.0);
        for part in ["prefers-color-scheme", ">10 µs<", ">10 ms<", ">60 min<", "class=\"usual\""] {
            assert!(drawn.contains(part), "{part} in {drawn}");
        }
    }
}
