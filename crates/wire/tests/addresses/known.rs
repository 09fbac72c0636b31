//! Answers about the cluster from what the gateway knows itself, read by the oracle.

use kafka_protocol::messages::{
    DescribeClusterResponse, MetadataRequest, MetadataResponse, metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;
use wire::address::{Advertised, Book, CorrelationId, NodeId};
use wire::answer::{Front, metadata_front};
use wire::known::{Known, cluster, metadata};

use crate::messages::{decode, encode};

fn book() -> Book {
    Book::new([1, 2].map(|node| (NodeId(node), Advertised { host: "gateway".into(), port: 19_092 })))
}

fn body_of(frame: &[u8], flexible: bool) -> &[u8] {
    let (size, rest) = frame.split_at(4);
    assert_eq!(size, u32::try_from(rest.len()).unwrap().to_be_bytes());
    &rest[if flexible { 5 } else { 4 }..]
}

fn named(version: i16) -> Vec<MetadataRequestTopic> {
    let mut topics: Vec<_> = ["orders", "zahlungen"]
        .map(|name| MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str(name).into())))
        .into();
    if version >= 12 {
        topics.push(MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_u128(7)));
    }
    topics
}

#[test]
fn with_every_broker_down_each_topic_has_no_leader_and_each_broker_its_address() {
    let book = book();
    for version in 0..=13 {
        let request = MetadataRequest::default().with_topics(Some(named(version)));
        let known = Known { book: &book, cluster: Some("id"), controller: Some(NodeId(2)) };
        let frame = metadata(version, CorrelationId(7), &encode(&request, version), known, 3).unwrap();
        let answer: MetadataResponse = decode(body_of(&frame, version >= 9), version);
        let nodes: Vec<_> =
            answer.brokers.iter().map(|one| (one.node_id.0, one.host.as_str(), one.port)).collect();
        assert_eq!(nodes, [(1, "gateway", 19_092), (2, "gateway", 19_092)]);
        assert_eq!(answer.topics.len(), request.topics.as_ref().unwrap().len());
        for (topic, asked) in answer.topics.iter().zip(request.topics.as_ref().unwrap()) {
            assert_eq!((&topic.name, topic.topic_id, topic.error_code), (&asked.name, asked.topic_id, 5));
            assert!(topic.partitions.is_empty());
        }
        assert_eq!(answer.error_code, 0);
        assert_eq!(answer.throttle_time_ms, if version >= 3 { 3 } else { 0 });
        assert_eq!(answer.controller_id.0, if version >= 1 { 2 } else { -1 });
        assert_eq!(answer.cluster_id.as_deref(), (version >= 2).then_some("id"));
        // What rewrites the answers of brokers has nothing to say against it.
        let Front::Done { consumed, replacement } =
            metadata_front(version, &frame[4..], &book, &mut Vec::new()).unwrap()
        else {
            panic!("all of it is here")
        };
        assert_eq!(replacement, frame[4..4 + consumed]);
    }
}

#[test]
fn nobody_is_told_that_there_are_no_topics() {
    let book = book();
    let known = Known { book: &book, cluster: None, controller: None };
    for version in 0..=13 {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let all = encode(&MetadataRequest::default().with_topics(all), version);
        let frame = metadata(version, CorrelationId(7), &all, known, 0).unwrap();
        let answer: MetadataResponse = decode(body_of(&frame, version >= 9), version);
        assert!(answer.brokers.is_empty() && answer.topics.is_empty());
        if version >= 1 {
            let none = encode(&MetadataRequest::default().with_topics(Some(Vec::new())), version);
            let frame = metadata(version, CorrelationId(7), &none, known, 0).unwrap();
            let answer: MetadataResponse = decode(body_of(&frame, version >= 9), version);
            assert_eq!((answer.brokers.len(), answer.topics.len()), (2, 0));
        }
    }
}

#[test]
fn a_cluster_is_described_where_its_id_is_known_and_names_no_controller_that_cannot_be_reached() {
    let book = book();
    for version in 0..=2 {
        for (id, error) in [(Some("id"), 0), (None, 7)] {
            let known = Known { book: &book, cluster: id, controller: Some(NodeId(9)) };
            let frame = cluster(version, CorrelationId(7), known, 3).unwrap();
            let answer: DescribeClusterResponse = decode(body_of(&frame, true), version);
            assert_eq!((answer.error_code, answer.throttle_time_ms, answer.controller_id.0), (error, 3, -1));
            assert_eq!(answer.cluster_id.as_str(), id.unwrap_or_default());
            assert_eq!(answer.brokers.len(), 2);
            assert!(answer.brokers.iter().all(|one| one.host.as_str() == "gateway" && !one.is_fenced));
        }
    }
}

#[test]
fn a_body_that_lies_is_answered_by_nobody() {
    let book = book();
    let known = Known { book: &book, cluster: None, controller: None };
    assert!(metadata(8, CorrelationId(7), &[0x7f, 0xff, 0xff, 0xff], known, 0).is_err());
    assert!(metadata(14, CorrelationId(7), &[], known, 0).is_err());
    assert!(cluster(3, CorrelationId(7), known, 0).is_err());
}
