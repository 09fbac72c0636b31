//! What brokers' logs say of a topic whose batches bear the time at which the broker took them: a witness that neither the
//! gateway nor a client has anything to do with.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use testkit::pace::Went;
use testkit::raw::{self, HeadStyle};
use testkit::{KafkaCluster, Pace, RawClient};
use wire::Api;

/// Partitions of each topic: one to each broker.
pub(super) const PARTITIONS: i32 = 3;

/// A topic whose brokers note when they take each batch.
pub(super) fn topic(name: &str) -> NewTopic<'_> {
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
    topic.set("message.timestamp.type", "LogAppendTime")
}

/// Which node leads each partition of a topic.
pub(super) fn leaders(cluster: &KafkaCluster, topic: &str) -> Vec<i32> {
    let internal = cluster.internal();
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", internal).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30)).unwrap();
    let mut partitions: Vec<(i32, i32)> = metadata.topics()[0]
        .partitions()
        .iter()
        .map(|partition| (partition.id(), partition.leader()))
        .collect();
    partitions.sort_unstable();
    partitions.into_iter().map(|(_, leader)| leader).collect()
}

/// Which node coordinates a group.
pub(super) fn coordinator(cluster: &KafkaCluster, group: &str) -> i32 {
    let mut body = Vec::new();
    raw::string(&mut body, group);
    let request = raw::request(Api::FindCoordinator.key(), 0, 0, "e2e", HeadStyle::Classic, &body);
    let mut client = RawClient::connect(cluster.internal().split(',').next().unwrap()).unwrap();
    // Correlation id and error.
    let answer = client.ask(&request).unwrap();
    i32::from_be_bytes(answer[6..10].try_into().unwrap())
}

/// When the records of topics came, in seconds of Unix time.
pub(super) fn records(cluster: &KafkaCluster, topics: &BTreeSet<&str>) -> Pace {
    let partitions = topics.iter().flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition)));
    let logs = partitions.map(|(topic, partition)| {
        let of_node = |id: i32| {
            let directory = cluster.directory().join(format!("node-{id}/data/{topic}-{partition}"));
            fs::read(directory.join("00000000000000000000.log")).unwrap_or_default()
        };
        cluster.ids().into_iter().map(of_node).max_by_key(Vec::len).unwrap_or_default()
    });
    Pace::new(logs.flat_map(|log| batches(&log)))
}

/// base offset i64, length i32, leader epoch i32, magic i8, crc i32, attributes i16, last offset delta i32, first
/// timestamp i64, last timestamp i64, producer id i64, epoch i16, sequence i32, records i32
fn batches(log: &[u8]) -> Vec<Went> {
    let mut batches = Vec::new();
    let mut rest = log;
    while let (Some(length), Some(time), Some(records)) =
        (rest.get(8..12), rest.get(35..43), rest.get(57..61))
    {
        let length = i32::from_be_bytes(length.try_into().unwrap());
        if length <= 0 {
            break;
        }
        let at = i64::from_be_bytes(time.try_into().unwrap());
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this century")]
        let at = at as f64 / 1000.0;
        batches.push(Went { at, units: f64::from(i32::from_be_bytes(records.try_into().unwrap())) });
        rest = rest.get(12 + usize::try_from(length).unwrap()..).unwrap_or_default();
    }
    batches
}
