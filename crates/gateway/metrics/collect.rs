//! The exposition: families of the registry, then the threads' counts, summed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::quota::{Nanos, Rules};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use wire::Api;

use super::brokers::OfBrokers;
use super::limits::OfLimits;
use super::shard::{BUCKETS, Count, Histogram, PerApi, Shard};
use super::{Metrics, Shards};

/// All metrics in the text format of `OpenMetrics`, which Prometheus reads.
pub fn exposition(
    metrics: &Metrics,
    shards: Shards,
    brokers: OfBrokers,
    rules: Arc<Rules>,
    now: Nanos,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("portcullis");
    metrics.register(&mut registry);
    registry.register_collector(Box::new(Sums(shards)));
    registry.register_collector(Box::new(brokers));
    registry.register_collector(Box::new(OfLimits { rules, now }));
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
        let help = "Connections to brokers that were lost while their clients' stayed";
        let mut family =
            encoder.encode_descriptor("broker_connections_lost", help, None, MetricType::Counter)?;
        for (cluster, shards) in &self.0 {
            let total = sum(shards, |shard| shard.lost.get());
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
        let help = "Requests asked again after their broker's connection was lost, by API";
        let family = encoder.encode_descriptor("requests_repeated", help, None, MetricType::Counter)?;
        self.by_api(family, |api| &api.repeated)?;
        let help = "Requests answered in the place of a broker whose connection was lost, by API";
        let family = encoder.encode_descriptor("requests_stood_in", help, None, MetricType::Counter)?;
        self.by_api(family, |api| &api.stood_in)?;
        let help = "Answers in which a broker told an error, of all or of a partition, by API";
        let family = encoder.encode_descriptor("requests_failed", help, None, MetricType::Counter)?;
        self.by_api(family, |api| &api.failed)?;
        let help =
            "Time of a request by API and part: spent in the broker, and added by the gateway on both ways";
        let unit = Unit::Seconds;
        let mut family = encoder.encode_descriptor("request", help, Some(&unit), MetricType::Histogram)?;
        self.times(&mut family, "broker", |api| &api.broker)?;
        self.times(&mut family, "gateway", |api| &api.gateway)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use policy::sasl::Refused;
    use wire::NodeId;

    use super::*;
    use crate::ended::{Ended, Side, Why};
    use crate::metrics::{ByEnd, ByListener, Counts, Reloaded, Turned};

    /// Families by name, with the labels that they have.
    type Families = BTreeMap<String, BTreeSet<String>>;

    const LIMITED: &str = "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\nbind = \"127.0.0.1:19092\"\n\
                           node_port_base = 19100\n[[limit]]\nname = \"a\"\nkind = \"leaky-bucket\"\nrate = 1\n";

    /// One event of everything that is counted.
    fn something_of_everything() -> String {
        let metrics = Metrics::default();
        let (cluster, listener) = ("main".to_owned(), "[::]:9092".to_owned());
        let door = ByListener { cluster: cluster.clone(), listener: listener.clone() };
        metrics.accepted.get_or_create(&door).inc();
        metrics.open.get_or_create(&door).inc();
        let Ended { side, why, .. } = Ended::client(Why::Closed);
        let end = ByEnd { cluster, listener, side: side.label(), reason: why.label() };
        metrics.ended.get_or_create(&end).inc();
        metrics.turned_away("main", Turned::Backlog);
        metrics.login("main", Some(&Refused::Password));
        metrics.dialled("main", NodeId(1), None);
        metrics.probed("main", NodeId(1), None);
        metrics.node("main", NodeId(1), true);
        metrics.left_out("main", &[NodeId(1)]);
        metrics.look_failed("main");
        metrics.reloaded(Reloaded::Applied);
        metrics.fleet.set("portcullis", true, 2);
        metrics.fleet.failed("portcullis");
        metrics.fleet.unread("portcullis");
        metrics.set_ready(true);
        let shards = vec![Arc::<Shard>::default()];
        let counts = Counts::new(&shards, 0);
        counts.requests(Api::Fetch, 1);
        counts.refused(Api::Fetch);
        counts.repeated(Api::Fetch);
        counts.stood_in(Api::Fetch);
        counts.failed(Api::Fetch);
        counts.owed(1);
        counts.answered(Api::Fetch, 5_000, 1);
        counts.spent(Api::Fetch, 5_000, 1);
        let model = config::parse(LIMITED, std::path::Path::new("")).unwrap();
        let rules = Rules::new(&model.limits, &Rules::default());
        let who = policy::quota::Who {
            principal: "alice",
            client_id: "",
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            cluster: "main",
            listener: std::net::SocketAddr::from(([127, 0, 0, 1], 19092)),
            topic: None,
            group: None,
            api: Some(Api::Fetch),
        };
        for handle in rules.applying(&who, 1) {
            let policy::quota::rules::Used::Paced(pace, bucket) = &*handle.used else { continue };
            bucket.take(*pace, 1, 1);
        }
        let spec = crate::cluster::Spec { config: Arc::clone(&model.clusters[0]), tls: None };
        let (cluster, _) = crate::cluster::Cluster::new(spec, 1);
        cluster.health.node(NodeId(1));
        let brokers = OfBrokers(vec![Arc::new(cluster)]);
        exposition(&metrics, vec![(Arc::from("main"), shards)], brokers, Arc::new(rules), 1).unwrap()
    }

    fn exposed(text: &str) -> Families {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let mut families: Families = types.map(|name| (name.to_owned(), BTreeSet::new())).collect();
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            let name = sample.split([' ', '{']).next().unwrap_or_default();
            let family = ["", "_total", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|name| families.contains_key(*name)))
                .unwrap_or(name);
            let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
            let labels = labels.split("=\"").filter_map(|part| part.rsplit(['"', ',', '}']).next());
            let labels = labels.filter(|label| !label.is_empty() && *label != "le" && !label.contains(' '));
            let known = families.entry(family.to_owned()).or_default();
            known.extend(labels.map(ToOwned::to_owned));
        }
        families
    }

    /// The rows of the first table of `docs/metrics.md`: name, type, labels, meaning.
    fn documented() -> Families {
        let rows = include_str!("../../../docs/metrics.md").lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `portcullis_")?.split('|');
            let name = format!("portcullis_{}", cells.next()?.trim().trim_end_matches('`'));
            let labels = cells.nth(1)?.split_whitespace().map(|label| label.trim_matches('`').to_owned());
            Some((name, labels.collect()))
        });
        rows.collect()
    }

    #[test]
    fn every_metric_is_documented_with_its_labels() {
        assert_eq!(exposed(&something_of_everything()), documented());
    }

    /// The values in the table of `docs/metrics.md` under a heading.
    fn values_under(heading: &str) -> BTreeSet<&'static str> {
        let sections = include_str!("../../../docs/metrics.md").split("\n## ");
        let rows = sections.filter(|section| section.starts_with(heading)).flat_map(str::lines);
        rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next())
            .filter(|value| !["reason", "result"].contains(value))
            .collect()
    }

    /// The texts to which the enum `owner` is matched in a source.
    fn labels_in(source: &'static str, owner: &str) -> BTreeSet<&'static str> {
        let arms = source.lines().filter(|line| line.trim_start().starts_with(&format!("{owner}::")));
        arms.filter_map(|arm| arm.split_once(" => \"")?.1.strip_suffix("\",")).collect()
    }

    #[test]
    fn every_reason_is_documented_and_every_documented_one_exists() {
        let mut ends = labels_in(include_str!("../ended.rs"), "Self");
        for side in [Side::Client, Side::Broker, Side::Gateway] {
            ends.remove(side.label());
        }
        assert_eq!(values_under("Why connections end"), ends);
        let refused = labels_in(include_str!("../../policy/src/sasl/step.rs"), "Refused");
        assert_eq!(values_under("Why logins are refused"), refused);
    }
}
