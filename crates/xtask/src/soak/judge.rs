//! What flat means: the median of the last quarter of the time against that of the second quarter.
//!
//! Medians, so that a minute in which the machine did something else decides nothing; the second quarter, so that what is
//! allocated once is not taken for growth. What a latency has grown by past the gateway as well is the machine's doing.

use serde::Serialize;

use super::cast::Entrance;
use super::{PARTS, Record};
use crate::bench::measure::median;

/// The rule, for humans.
pub(crate) const RULE: &str = "flat: the median of the last quarter of the time is at most that of the second quarter, plus what is \
allowed;\nlatencies may grow by as much again as their like past the gateway";

/// Fewer samples in a quarter than this tell nothing.
const SAMPLES_MIN: usize = 4;

/// What became of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It did not grow.
    Flat,
    /// It did.
    Grows,
    /// Too little was seen of it.
    Unmeasured,
}

/// A curve that was judged.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) what: String,
    /// Of the second quarter,
    pub(crate) early: Option<f64>,
    /// of the last one,
    pub(crate) late: Option<f64>,
    /// and what that may be.
    pub(crate) limit: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// What a curve may grow by: a share, and so much in its own unit.
#[derive(Clone, Copy)]
struct Allowed {
    share: f64,
    more: f64,
}

/// A curve: seconds since the beginning, and a value.
pub(crate) type Points = Vec<(f64, f64)>;

/// Medians of the second and of the last quarter.
fn quarters(points: &[(f64, f64)], seconds: f64) -> Option<(f64, f64)> {
    let of = |from: f64, to: f64| {
        let within: Vec<f64> = points
            .iter()
            .filter(|(at, _)| (from..to).contains(&(at / seconds)))
            .map(|(_, value)| *value)
            .collect();
        (within.len() >= SAMPLES_MIN).then(|| median(within)).flatten()
    };
    // What is seen last is seen a little late.
    of(0.25, 0.5).zip(of(0.75, 1.1))
}

fn curve(what: String, points: &[(f64, f64)], seconds: f64, allowed: Allowed, slower: f64) -> Judged {
    let Some((early, late)) = quarters(points, seconds) else {
        return Judged { what, early: None, late: None, limit: None, verdict: Verdict::Unmeasured };
    };
    let limit = early * slower * (1.0 + allowed.share) + allowed.more;
    let verdict = if late <= limit { Verdict::Flat } else { Verdict::Grows };
    Judged { what, early: Some(early), late: Some(late), limit: Some(limit), verdict }
}

/// Judges all curves.
pub(crate) fn judge(record: &Record) -> Vec<Judged> {
    let seconds = record.seconds;
    let of = |what: &str, points: &Points, share: f64, more: f64| {
        curve(what.to_owned(), points, seconds, Allowed { share, more }, 1.0)
    };
    let mut judged = vec![
        of("RSS, MiB", &record.samples(|sample| sample.rss_mib), 0.1, 1.0),
        of("descriptors", &record.samples(|sample| f64::from(sample.files)), 0.05, 8.0),
        of("threads", &record.samples(|sample| f64::from(sample.threads)), 0.0, 4.0),
        of("CPU, % of a core", &record.samples(|sample| sample.cpu_percent), 0.3, 3.0),
        of("scrape, ms", &record.samples(|sample| sample.scrape_ms), 1.0, 2.0),
    ];
    let (before, after) = record.files_at_rest;
    let (early, late) = (f64::from(before), f64::from(after));
    judged.push(Judged {
        what: "descriptors without clients".to_owned(),
        early: Some(early),
        late: Some(late),
        limit: Some(early + 2.0),
        verdict: if late <= early + 2.0 { Verdict::Flat } else { Verdict::Grows },
    });
    for (name, field, allowed) in [
        ("p50", super::p50 as super::Field, Allowed { share: 0.5, more: 50.0 }),
        ("p99", super::p99, Allowed { share: 1.0, more: 1000.0 }),
    ] {
        for (nth, part) in PARTS.iter().enumerate().filter(|(_, part)| part.entrance != Entrance::Direct) {
            let direct = part.control().and_then(|direct| quarters(&record.latency(direct, field), seconds));
            let slower = direct.map_or(1.0, |(early, late)| (late / early).max(1.0));
            let what = format!("{} {name}, µs", part.name);
            judged.push(curve(what, &record.latency(nth, field), seconds, allowed, slower));
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::{Allowed, Verdict, curve};

    const RSS: Allowed = Allowed { share: 0.1, more: 1.0 };

    /// An hour of samples, five seconds apart.
    fn verdict(allowed: Allowed, slower: f64, value: impl Fn(u32) -> f64) -> Verdict {
        let points: Vec<_> = (0..720).map(|n| (f64::from(n) * 5.0, value(n))).collect();
        curve("it".to_owned(), &points, 3600.0, allowed, slower).verdict
    }

    /// Between -1 and 1, without order.
    fn noise(n: u32) -> f64 {
        f64::from(n.wrapping_mul(2_654_435_761) >> 16) / 32768.0 - 1.0
    }

    #[test]
    fn a_curve_that_leaks_grows() {
        // 20 MiB, and 10 MiB more in an hour.
        assert_eq!(verdict(RSS, 1.0, |n| 20.0 + f64::from(n) / 72.0 + noise(n)), Verdict::Grows);
        // Steps, as an allocator makes them.
        assert_eq!(verdict(RSS, 1.0, |n| 20.0 + f64::from(n / 180) * 4.0), Verdict::Grows);
    }

    #[test]
    fn a_flat_curve_is_flat_with_noise_with_bursts_and_after_a_warm_up() {
        assert_eq!(verdict(RSS, 1.0, |n| 20.0 + 3.0 * noise(n)), Verdict::Flat);
        assert_eq!(verdict(RSS, 1.0, |n| if n > 700 { 400.0 } else { 20.0 }), Verdict::Flat);
        assert_eq!(verdict(RSS, 1.0, |n| 20.0 + f64::from(n.min(170)) / 10.0), Verdict::Flat);
        // And one that falls.
        assert_eq!(verdict(RSS, 1.0, |n| 40.0 - f64::from(n) / 40.0), Verdict::Flat);
    }

    #[test]
    fn a_latency_is_not_to_blame_for_what_the_machine_does_to_others_too() {
        let p50 = Allowed { share: 0.25, more: 50.0 };
        let doubles = |n: u32| if n < 500 { 300.0 } else { 600.0 };
        assert_eq!(verdict(p50, 1.0, doubles), Verdict::Grows);
        assert_eq!(verdict(p50, 2.0, doubles), Verdict::Flat);
    }

    #[test]
    fn too_few_samples_are_no_verdict() {
        let points = [(10.0, 1.0), (30.0, 1.0), (50.0, 1.0)];
        assert_eq!(curve("it".to_owned(), &points, 60.0, RSS, 1.0).verdict, Verdict::Unmeasured);
    }
}
