//! The bars: what the gateway may cost at most, compared with its twins in the same run.

use serde::Serialize;

use super::measure::Sample;
use super::results::Results;
use super::twins::{Security, Twin};
use super::works::{Kind, Tool, WORKS};

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

/// What the value is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// It may be as much as this.
    AtMost(f64),
    /// It has to be as much as this.
    AtLeast(f64),
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) value: Option<f64>,
    pub(crate) limit: Limit,
    pub(crate) verdict: Verdict,
}

/// A figure of a sample.
pub(crate) type Field = fn(&Sample) -> Option<f64>;

pub(crate) const CPU: Field = |sample| sample.cpu_us_per_request;
pub(crate) const P50: Field = |sample| Some(sample.p50_us);
pub(crate) const P99: Field = |sample| Some(sample.p99_us);
pub(crate) const INSTRUCTIONS: Field = |sample| sample.instructions_per_request;
pub(crate) const MIB_PER_SECOND: Field = |sample| Some(sample.mib_per_second);
const GROWN: Field = |sample| sample.rss_grown_kib;

/// Judged by what it takes longer than through the relay: what an answer of this size takes is not the gateway's.
const LARGE_ANSWER: &str = "metadata-10k";
const LARGE: [&str; 2] = ["produce-1m", "fetch-1m"];

/// Judges the bars of the works that were run.
pub(crate) fn judge(results: &Results) -> Vec<Bar> {
    let mut bars = Bars { results, bars: Vec::new() };
    for work in WORKS.iter().filter(|work| results.has(work.name)) {
        let name = work.name;
        match work.kind {
            Kind::Stream(_) if name == LARGE_ANSWER => bars.large_answer(name),
            Kind::Stream(_) => bars.stream(name),
            Kind::Tls(_) => {
                bars.ratio(name, ("CPU", CPU), (Twin::Gateway, Twin::Haproxy), Limit::AtMost(1.0));
            }
            Kind::Connect => {
                bars.ratio(name, ("CPU", CPU), (Twin::Gateway, Twin::Haproxy), Limit::AtMost(2.0));
            }
            Kind::Idle(Security::Plain) => bars.memory(name, 5.0),
            Kind::Idle(Security::Tls) => bars.memory(name, 20.0),
            Kind::Frames => bars.memory(name, 64.0),
            Kind::Instructions(_) => {
                let twins = (Twin::Limited, Twin::Gateway);
                bars.ratio(name, ("instructions", INSTRUCTIONS), twins, Limit::AtMost(1.03));
            }
            Kind::Cores(_) => bars.cores(name),
            Kind::Perf(tool) => {
                let least = match tool {
                    Tool::Producer => 0.97,
                    Tool::Consumer => 0.90,
                };
                let twins = (Twin::Gateway, Twin::Direct);
                bars.ratio(name, ("throughput", MIB_PER_SECOND), twins, Limit::AtLeast(least));
            }
        }
    }
    bars.bars
}

struct Bars<'a> {
    results: &'a Results,
    bars: Vec<Bar>,
}

impl Bars<'_> {
    fn stream(&mut self, work: &str) {
        self.ratio(work, ("CPU", CPU), (Twin::Gateway, Twin::Haproxy), Limit::AtMost(1.0));
        for figure in [("CPU", CPU), ("p50", P50), ("p99", P99)] {
            self.ratio(work, figure, (Twin::Gateway, Twin::Relay), Limit::AtMost(1.1));
        }
        if LARGE.contains(&work) {
            self.ratio(work, ("CPU", CPU), (Twin::Gateway, Twin::FloorSplice), Limit::AtMost(1.15));
        }
    }

    fn large_answer(&mut self, work: &str) {
        for (name, field) in [("p50", P50), ("CPU", CPU)] {
            let of = |twin| self.results.median(work, field, twin);
            let value = of(Twin::Gateway).zip(of(Twin::Relay)).map(|(gateway, relay)| gateway - relay);
            self.push(format!("{work}: {name} − relay, µs"), value, Limit::AtMost(20.0));
        }
        // Some pages come and go; an answer has hundreds of KiB, and a run thousands of answers.
        let grown = self.results.median(work, GROWN, Twin::Gateway);
        self.push(format!("{work}: KiB of RSS grown in a turn"), grown, Limit::AtMost(64.0));
    }

    /// Nothing is shared for a request: it takes as many instructions, and the second core makes it dearer by no more than a
    /// relay's, whose threads have nothing to share.
    fn cores(&mut self, work: &str) {
        let twins = (Twin::TwoCores, Twin::OneCore);
        self.ratio(work, ("instructions", INSTRUCTIONS), twins, Limit::AtMost(1.03));
        let dearer = |two, one| self.results.ratio(work, CPU, two, one);
        let gateway = dearer(Twin::TwoCores, Twin::OneCore);
        let relay = dearer(Twin::RelayTwoCores, Twin::RelayOneCore);
        let value = gateway.zip(relay).map(|(gateway, relay)| gateway / relay);
        self.push(format!("{work}: CPU, 2-cores ÷ 1-core, ÷ that of relay"), value, Limit::AtMost(1.1));
    }

    fn memory(&mut self, work: &str, kib_max: f64) {
        let value = self.results.memory_kib(work, Twin::Gateway);
        self.push(format!("{work}: KiB of RSS for each connection"), value, Limit::AtMost(kib_max));
    }

    fn ratio(&mut self, work: &str, (name, field): (&str, Field), (of, by): (Twin, Twin), limit: Limit) {
        let value = self.results.ratio(work, field, of, by);
        let what = if of == Twin::Gateway {
            format!("{work}: {name} ÷ {}", by.name())
        } else {
            format!("{work}: {name}, {} ÷ {}", of.name(), by.name())
        };
        self.push(what, value, limit);
    }

    fn push(&mut self, what: String, value: Option<f64>, limit: Limit) {
        let is_met = |value: f64| match limit {
            Limit::AtMost(most) => value <= most,
            Limit::AtLeast(least) => value >= least,
        };
        let verdict = match value {
            None => Verdict::Unmeasured,
            Some(value) if is_met(value) => Verdict::Pass,
            Some(_) => Verdict::Miss,
        };
        self.bars.push(Bar { what, value, limit, verdict });
    }
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

    #[test]
    fn throughput_has_to_be_as_much_and_latency_may_be_more_by_so_much() {
        let mut results = Results::default();
        for (twin, mib_per_second, p50_us) in [(Twin::Direct, 100.0, 0.0), (Twin::Gateway, 96.0, 0.0)] {
            results.add("perf-produce", twin, Sample { mib_per_second, p50_us, ..Sample::default() });
        }
        for (twin, p50_us) in [(Twin::Relay, 400.0), (Twin::Gateway, 419.0)] {
            results.add("metadata-10k", twin, Sample { p50_us, ..Sample::default() });
        }
        let verdicts: Vec<_> = judge(&results).into_iter().map(|bar| (bar.value, bar.verdict)).collect();
        assert_eq!(verdicts.first(), Some(&(Some(19.0), Verdict::Pass)));
        assert_eq!(verdicts.last(), Some(&(Some(0.96), Verdict::Miss)));
    }
}
