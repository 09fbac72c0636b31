//! What limits have counted, and how full their fullest keys are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy::quota::rules::Tally;
use policy::quota::{Nanos, Rules};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Keys of one limit whose fullness is shown.
const FULLEST_SHOWN: usize = 5;

/// The limits in force, at one moment.
#[derive(Debug)]
pub(super) struct OfLimits {
    pub(super) rules: Arc<Rules>,
    pub(super) now: Nanos,
}

type Field = fn(&Tally) -> &AtomicU64;

impl Collector for OfLimits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return Ok(());
        }
        let counts: [(&str, &str, Field); 3] = [
            ("limit_throttled", "Requests and connections that had to wait, by limit", |tally| {
                &tally.throttled
            }),
            ("limit_rejected", "Requests answered with an error and connections closed, by limit", |tally| {
                &tally.rejected
            }),
            ("limit_observed", "Requests and connections that would have had to wait, by limit", |tally| {
                &tally.observed
            }),
        ];
        for (name, help, field) in counts {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for rule in self.rules.iter() {
                let count = field(&rule.tally).load(Ordering::Relaxed);
                ConstCounter::new(count).encode(family.encode_family(&[("limit", &*rule.limit.name)])?)?;
            }
        }
        let help = "For how long requests and connections had to wait, by limit";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor("limit_wait", help, unit, MetricType::Counter)?;
        for rule in self.rules.iter() {
            let nanos = rule.tally.throttled_ns.load(Ordering::Relaxed);
            let seconds = Duration::from_nanos(nanos).as_secs_f64();
            ConstCounter::new(seconds).encode(family.encode_family(&[("limit", &*rule.limit.name)])?)?;
        }
        let help = "How much of a limit its fullest keys have used: 1 is all of it, more is debt";
        let mut family = encoder.encode_descriptor("limit_fullness", help, None, MetricType::Gauge)?;
        for rule in self.rules.iter() {
            for (key, fullness) in rule.fullest(FULLEST_SHOWN, self.now) {
                let labels = [("limit", &*rule.limit.name), ("key", key.as_str())];
                ConstGauge::new(fullness).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
