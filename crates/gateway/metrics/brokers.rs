//! How brokers fare, at one moment.

use std::fmt;
use std::sync::Arc;

use policy::breaker::State;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::cluster::Cluster;
use crate::health::{NodeHealth, Through};

/// The brokers of these clusters.
pub struct OfBrokers(pub Vec<Arc<Cluster>>);

impl fmt::Debug for OfBrokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfBrokers").field(&self.0.len()).finish()
    }
}

type Told = fn(&Cluster, &NodeHealth) -> i64;

impl Collector for OfBrokers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let states: [(&str, &str, Told); 3] = [
            ("broker_open", "1 while the broker's circuit breaker is open", |_, node| {
                i64::from(node.state() != State::Closed)
            }),
            ("broker_failures", "Failures in a row to reach the broker", |_, node| {
                i64::from(node.failures())
            }),
            ("broker_draining", "1 while the broker is drained", |cluster, node| {
                i64::from(cluster.is_draining(node.id))
            }),
        ];
        for (name, help, told) in states {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            self.each(|cluster, node| {
                let labels = [("cluster", &*cluster.name), ("node", &*node.id.0.to_string())];
                ConstGauge::new(told(cluster, node)).encode(family.encode_family(&labels)?)
            })?;
        }
        let help = "Times that the broker's circuit breaker opened";
        let mut family = encoder.encode_descriptor("broker_openings", help, None, MetricType::Counter)?;
        self.each(|cluster, node| {
            let labels = [("cluster", &*cluster.name), ("node", &*node.id.0.to_string())];
            ConstCounter::new(node.openings()).encode(family.encode_family(&labels)?)
        })?;
        let help = "Client connections that the broker serves, by the port that they came through";
        let mut family = encoder.encode_descriptor("broker_connections", help, None, MetricType::Gauge)?;
        self.each(|cluster, node| {
            for through in [Through::Bootstrap, Through::Node] {
                let id = node.id.0.to_string();
                let labels = [("cluster", &*cluster.name), ("node", &*id), ("through", through.label())];
                let open = i64::try_from(node.connections(through)).unwrap_or(i64::MAX);
                ConstGauge::new(open).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }
}

impl OfBrokers {
    fn each(&self, mut tell: impl FnMut(&Cluster, &NodeHealth) -> fmt::Result) -> fmt::Result {
        for cluster in &self.0 {
            for node in cluster.health.nodes().values() {
                tell(cluster, node)?;
            }
        }
        Ok(())
    }
}
