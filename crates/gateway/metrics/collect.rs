//! The exposition: families of the registry, then the threads' counts, summed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use wire::Api;

use super::shard::{BUCKETS, Count, Histogram, PerApi, Shard};
use super::{Metrics, Shards};

/// All metrics in the text format of `OpenMetrics`, which Prometheus reads.
pub fn exposition(metrics: &Metrics, shards: Shards) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("portcullis");
    metrics.register(&mut registry);
    registry.register_collector(Box::new(Sums(shards)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The threads' counts of all clusters.
#[derive(Debug)]
struct Sums(Shards);

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

type Field = fn(&Shard) -> &Count;
type ApiCount = fn(&PerApi) -> &Count;
type ApiTimes = fn(&PerApi) -> &Histogram;

fn sum(shards: &[Arc<Shard>], field: impl Fn(&Shard) -> u64) -> u64 {
    shards.iter().fold(0, |total, shard| total.wrapping_add(field(shard)))
}

/// Nanoseconds as the seconds that Prometheus wants.
fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

impl Sums {
    fn bytes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let fields: [(&str, &str, Field); 4] = [
            ("client", "in", |shard| &shard.from_client),
            ("client", "out", |shard| &shard.to_client),
            ("broker", "in", |shard| &shard.from_broker),
            ("broker", "out", |shard| &shard.to_broker),
        ];
        let help = "Bytes read from (in) and written to (out) clients and brokers";
        let mut family = encoder.encode_descriptor("bytes", help, None, MetricType::Counter)?;
        for (cluster, shards) in &self.0 {
            for (peer, direction, field) in fields {
                let labels = [("cluster", &**cluster), ("peer", peer), ("direction", direction)];
                let total = sum(shards, |shard| field(shard).get());
                ConstCounter::new(total).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn per_cluster(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests that a broker has not begun to answer";
        let mut family = encoder.encode_descriptor("in_flight", help, None, MetricType::Gauge)?;
        for (cluster, shards) in &self.0 {
            let total = i64::try_from(sum(shards, |shard| shard.in_flight.get())).unwrap_or(0);
            ConstGauge::new(total).encode(family.encode_family(&[("cluster", &**cluster)])?)?;
        }
        let help = "Streamed answers whose addresses did not fit and were masked";
        let mut family = encoder.encode_descriptor("tails_masked", help, None, MetricType::Counter)?;
        for (cluster, shards) in &self.0 {
            let total = sum(shards, |shard| shard.masked.get());
            ConstCounter::new(total).encode(family.encode_family(&[("cluster", &**cluster)])?)?;
        }
        Ok(())
    }

    fn by_api(&self, mut family: MetricEncoder<'_>, count: ApiCount) -> fmt::Result {
        for (cluster, shards) in &self.0 {
            for api in Api::ALL {
                let total =
                    sum(shards, |shard| shard.apis.get(api.index()).map_or(0, |api| count(api).get()));
                if total > 0 {
                    let labels = [("cluster", &**cluster), ("api", api.name())];
                    ConstCounter::new(total).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn times(&self, family: &mut MetricEncoder<'_>, part: &str, times: ApiTimes) -> fmt::Result {
        for (cluster, shards) in &self.0 {
            for api in Api::ALL {
                let of = |pick: &dyn Fn(&Histogram) -> u64| {
                    sum(shards, |shard| shard.apis.get(api.index()).map_or(0, |api| pick(times(api))))
                };
                let bound = |n: usize| BUCKETS.get(n).map_or(f64::MAX, |nanos| seconds(*nanos));
                let buckets: Vec<(f64, u64)> = (0..=BUCKETS.len())
                    .map(|n| (bound(n), of(&|times| times.buckets.get(n).map_or(0, Count::get))))
                    .collect();
                let count = buckets.iter().map(|(_, count)| count).sum();
                if count > 0 {
                    let labels = [("cluster", &**cluster), ("api", api.name()), ("part", part)];
                    let total = seconds(of(&|times| times.sum.get()));
                    let mut times = family.encode_family(&labels)?;
                    times.encode_histogram::<NoLabelSet>(total, count, &buckets, None)?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for Sums {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.bytes(&mut encoder)?;
        self.per_cluster(&mut encoder)?;
        let help = "Requests taken, by API";
        let family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        self.by_api(family, |api| &api.requests)?;
        let help = "Requests that the gateway itself answered with an error, by API";
        let family = encoder.encode_descriptor("requests_refused", help, None, MetricType::Counter)?;
        self.by_api(family, |api| &api.refused)?;
        let help =
            "Time of a request by API and part: spent in the broker, and added by the gateway on both ways";
        let unit = Unit::Seconds;
        let mut family = encoder.encode_descriptor("request", help, Some(&unit), MetricType::Histogram)?;
        self.times(&mut family, "broker", |api| &api.broker)?;
        self.times(&mut family, "gateway", |api| &api.gateway)?;
        Ok(())
    }
}
