//! The bars: what the gateway may cost at most, compared with its twins in the same run.

use serde::Serialize;

use super::measure::Sample;
use super::results::Results;
use super::twins::Twin;

/// Whether it must be met today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weight {
    /// It must.
    Bar,
    /// It is where the way leads.
    Goal,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Met.
    Pass,
    /// Not met.
    Miss,
    /// Something that it needs was not measured.
    Unmeasured,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bar {
    pub(crate) weight: Weight,
    pub(crate) what: String,
    pub(crate) value: Option<f64>,
    pub(crate) limit: f64,
    pub(crate) verdict: Verdict,
}

/// A figure of a sample.
pub(crate) type Field = fn(&Sample) -> Option<f64>;

const CPU: Field = |sample| sample.cpu_us_per_request;
const P50: Field = |sample| Some(sample.p50_us);
const P99: Field = |sample| Some(sample.p99_us);

/// The works whose bar against `HAProxy` must be met.
const MUST: [&str; 6] = ["produce-1m", "fetch-1m", "produce-16k", "fetch-16k", "produce-1k", "fetch-1k"];
const DEEP: [&str; 2] = ["produce-1k-deep", "fetch-1k-deep"];
const LARGE: [&str; 2] = ["produce-1m", "fetch-1m"];

/// Judges the bars of the works that were run.
pub(crate) fn judge(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut compare = |weight, work: &str, name: &str, field: Field, twin, limit| {
        if results.has(work) {
            let value = results.ratio(work, field, twin);
            bars.push(bar(weight, format!("{work}: {name} ÷ {}", Twin::name(twin)), value, limit));
        }
    };
    for work in MUST {
        compare(Weight::Bar, work, "CPU", CPU, Twin::Haproxy, 1.0);
    }
    for work in DEEP {
        compare(Weight::Goal, work, "CPU", CPU, Twin::Haproxy, 1.0);
    }
    for work in MUST.iter().chain(&DEEP) {
        compare(Weight::Goal, work, "CPU", CPU, Twin::Relay, 1.1);
        compare(Weight::Goal, work, "p50", P50, Twin::Relay, 1.1);
        compare(Weight::Goal, work, "p99", P99, Twin::Relay, 1.1);
    }
    for work in LARGE {
        compare(Weight::Goal, work, "CPU", CPU, Twin::FloorSplice, 1.15);
    }
    compare(Weight::Goal, "connect", "CPU", CPU, Twin::Haproxy, 2.0);
    let memory = |work: &str| results.memory_kib(work, Twin::Gateway);
    if results.has("idle") {
        let what = "idle: KiB of RSS for each connection";
        bars.push(bar(Weight::Bar, what.into(), memory("idle"), 12.0));
        bars.push(bar(Weight::Goal, what.into(), memory("idle"), 5.0));
    }
    if results.has("frames") {
        let mib = memory("frames").map(|kib| kib / 1024.0);
        bars.push(bar(Weight::Bar, "frames: MiB of RSS in all".into(), mib, 32.0));
    }
    bars
}

fn bar(weight: Weight, what: String, value: Option<f64>, limit: f64) -> Bar {
    let verdict = match value {
        None => Verdict::Unmeasured,
        Some(value) if value <= limit => Verdict::Pass,
        Some(_) => Verdict::Miss,
    };
    Bar { weight, what, value, limit, verdict }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use crate::bench::measure::Sample;
    use crate::bench::results::Results;
    use crate::bench::twins::Twin;

    #[test]
    fn a_bar_compares_medians_of_the_same_run() {
        let cpu = |us| Sample { cpu_us_per_request: Some(us), ..Sample::default() };
        let mut results = Results::default();
        for us in [8.0, 10.0, 100.0] {
            results.add("produce-16k", Twin::Haproxy, cpu(us));
            results.add("produce-16k", Twin::Gateway, cpu(us / 2.0));
        }
        let bars = judge(&results);
        assert_eq!(bars.first().map(|bar| (bar.value, bar.verdict)), Some((Some(0.5), Verdict::Pass)));
        assert!(bars.iter().any(|bar| bar.what.contains("relay") && bar.verdict == Verdict::Unmeasured));
        assert!(!bars.iter().any(|bar| bar.what.contains("fetch")));
    }
}
