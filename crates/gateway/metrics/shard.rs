//! Counts that belong to one thread: written by it alone, so that a request costs no shared cache line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wire::Api;
use wire::api::API_COUNT;

/// Upper bounds of the buckets of all latencies, in nanoseconds.
pub(super) const BUCKETS: [u64; 16] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
];

/// A count with one writer: a load and a store, no locked instruction.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// The count as of now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations in buckets.
#[derive(Default)]
pub struct Histogram {
    /// One count per bound of [`BUCKETS`], and one for all above.
    pub buckets: [Count; BUCKETS.len() + 1],
    /// The sum, in nanoseconds.
    pub sum: Count,
}

impl Histogram {
    /// The same duration, so many times.
    fn observe(&self, nanos: u64, times: u64) {
        let bucket = BUCKETS.partition_point(|bound| *bound < nanos);
        if let Some(count) = self.buckets.get(bucket) {
            count.add(times);
        }
        self.sum.add(nanos.wrapping_mul(times));
    }
}

/// What is counted per API.
#[derive(Default)]
pub struct PerApi {
    /// Requests taken.
    pub requests: Count,
    /// Requests that the gateway answered with an error itself.
    pub refused: Count,
    /// Answers in which a broker told an error.
    pub failed: Count,
    /// Requests that were asked again, since their broker's connection was lost.
    pub repeated: Count,
    /// Requests that the gateway answered in the place of a broker that was lost.
    pub stood_in: Count,
    /// From the request's last byte sent to the answer's first byte read.
    pub broker: Histogram,
    /// What the gateway added, on both ways.
    pub gateway: Histogram,
}

/// The counts of one thread for one cluster.
pub struct Shard {
    /// By [`Api::index`].
    pub apis: Box<[PerApi]>,
    /// Bytes read from clients.
    pub from_client: Count,
    /// Bytes written to clients.
    pub to_client: Count,
    /// Bytes read from brokers.
    pub from_broker: Count,
    /// Bytes written to brokers.
    pub to_broker: Count,
    /// Requests that a broker has not begun to answer.
    pub in_flight: Count,
    /// Streamed answers whose addresses were masked, since they did not fit.
    pub masked: Count,
    /// Connections to brokers that were lost, and the client's connection stayed.
    pub lost: Count,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            apis: (0..API_COUNT).map(|_| PerApi::default()).collect(),
            from_client: Count::default(),
            to_client: Count::default(),
            from_broker: Count::default(),
            to_broker: Count::default(),
            in_flight: Count::default(),
            masked: Count::default(),
            lost: Count::default(),
        }
    }
}

/// A connection's handle on its thread's counts.
pub struct Counts(Arc<Shard>);

impl Counts {
    /// The counts of thread `worker`, which is the one that calls the methods below.
    pub fn new(shards: &[Arc<Shard>], worker: usize) -> Self {
        Self(shards.get(worker).map_or_else(Arc::default, Arc::clone))
    }

    fn api(&self, api: Api, count: impl FnOnce(&PerApi)) {
        if let Some(per_api) = self.0.apis.get(api.index()) {
            count(per_api);
        }
    }

    /// Bytes came from the client.
    pub fn from_client(&self, n: usize) {
        self.0.from_client.add(n as u64);
    }

    /// Bytes go to the client.
    pub fn to_client(&self, n: usize) {
        self.0.to_client.add(n as u64);
    }

    /// Bytes came from the broker.
    pub fn from_broker(&self, n: usize) {
        self.0.from_broker.add(n as u64);
    }

    /// Bytes go to the broker.
    pub fn to_broker(&self, n: usize) {
        self.0.to_broker.add(n as u64);
    }

    /// Requests were taken.
    pub fn requests(&self, api: Api, n: u64) {
        self.api(api, |counts| counts.requests.add(n));
    }

    /// A request was answered with an error by the gateway.
    pub fn refused(&self, api: Api) {
        self.api(api, |counts| counts.refused.add(1));
    }

    /// A broker told an error.
    pub fn failed(&self, api: Api) {
        self.api(api, |counts| counts.failed.add(1));
    }

    /// A broker owes so many answers more.
    pub fn owed(&self, n: u64) {
        self.0.in_flight.add(n);
    }

    /// So many answers will not come any more.
    pub fn given_up(&self, n: usize) {
        self.0.in_flight.sub(n as u64);
    }

    /// A broker has begun so many answers, each so long after its question left.
    pub fn answered(&self, api: Api, nanos: u64, n: u64) {
        self.0.in_flight.sub(n);
        self.api(api, |counts| counts.broker.observe(nanos, n));
    }

    /// The gateway spent so long on each of so many requests and their answers.
    pub fn spent(&self, api: Api, nanos: u64, n: u64) {
        self.api(api, |counts| counts.gateway.observe(nanos, n));
    }

    /// A request has left for another connection of its broker.
    pub fn repeated(&self, api: Api) {
        self.api(api, |counts| counts.repeated.add(1));
    }

    /// A request was answered in the place of a broker that was lost.
    pub fn stood_in(&self, api: Api) {
        self.0.in_flight.sub(1);
        self.api(api, |counts| counts.stood_in.add(1));
    }

    /// A connection to a broker was lost.
    pub fn lost(&self) {
        self.0.lost.add(1);
    }

    /// A streamed answer's addresses were masked.
    pub fn masked(&self) {
        self.0.masked.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::default();
        for (micros, times) in [(10, 1), (11, 3), (6_000_000, 1)] {
            histogram.observe(micros * 1000, times);
        }
        let counts: Vec<u64> = histogram.buckets.iter().map(Count::get).collect();
        assert_eq!((counts[0], counts[1], counts[16]), (1, 3, 1));
        assert_eq!(histogram.sum.get(), 6_000_043_000);
    }
}
