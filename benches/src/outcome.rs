//! What a load tells at its end.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

const LONGEST_NANOS: u64 = 120_000_000_000;

/// Latencies in nanoseconds, three digits.
pub type Latencies = Histogram<u32>;

/// An empty histogram.
pub fn latencies() -> Result<Latencies> {
    Ok(Histogram::new_with_bounds(1_000, LONGEST_NANOS, 3)?)
}

/// Adds a latency.
pub fn record(latencies: &mut Latencies, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NANOS));
}

/// The line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Requests answered well.
    pub requests: u64,
    /// Bytes of records carried.
    pub bytes: u64,
    /// From the first to the last byte.
    pub seconds: f64,
    /// Median latency, microseconds.
    pub p50_us: f64,
    /// 99th percentile, microseconds.
    pub p99_us: f64,
    /// Connections that ended badly or were answered wrongly.
    pub errors: u64,
}

impl Outcome {
    /// From what the threads of a load have counted.
    #[allow(clippy::cast_precision_loss, reason = "latencies are below 2^52 ns")]
    pub fn new(latencies: &Latencies, bytes: u64, elapsed: Duration, errors: u64) -> Outcome {
        Outcome {
            requests: latencies.len(),
            bytes,
            seconds: elapsed.as_secs_f64(),
            p50_us: latencies.value_at_quantile(0.5) as f64 / 1e3,
            p99_us: latencies.value_at_quantile(0.99) as f64 / 1e3,
            errors,
        }
    }
}
