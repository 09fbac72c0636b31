//! What the gateway asks brokers for its limits is understood, and what they answer is read.

use bytes::Bytes;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, MetadataRequest, MetadataResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, StrBytes};
use proptest::prelude::*;
use uuid::Uuid;
use wire::NodeId;
use wire::api::Api;
use wire::ask::{
    DEFAULTS_VERSION, QuotaEntry, Quotas, TOPICS_VERSION, Topic, default_partitions_request, quotas_request,
    read_default_partitions, read_quotas, read_topics, topics_by_id_request, topics_by_name_request,
};

use crate::{ID, frame_of};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Decodes a request of ours with the oracle, to its last byte.
fn asked<Q: Decodable + HeaderVersion>(api: Api, version: i16, frame: &[u8]) -> Q {
    let (size, rest) = frame.split_first_chunk::<4>().unwrap();
    assert_eq!(usize::try_from(i32::from_be_bytes(*size)).unwrap(), rest.len());
    let mut bytes = Bytes::copy_from_slice(rest);
    let header = RequestHeader::decode(&mut bytes, Q::header_version(version)).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (api.key(), version));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (ID.0, Some("gate")));
    let request = Q::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    request
}

#[test]
fn all_quotas_are_asked_for() {
    for version in 0..=1 {
        let frame = quotas_request(version, ID, "gate");
        let request: DescribeClientQuotasRequest = asked(Api::DescribeClientQuotas, version, &frame);
        assert_eq!(request, DescribeClientQuotasRequest::default().with_strict(false));
        assert!(request.components.is_empty());
    }
}

#[test]
fn topics_are_asked_for_by_name_or_by_id_and_none_is_created() {
    let seen = |frame: &[u8]| {
        let request: MetadataRequest = asked(Api::Metadata, TOPICS_VERSION, frame);
        assert!(!request.allow_auto_topic_creation && !request.include_topic_authorized_operations);
        let topics = request.topics.unwrap().into_iter();
        topics.map(|topic| (topic.name.map(|name| name.to_string()), topic.topic_id)).collect::<Vec<_>>()
    };
    let by_name = seen(&topics_by_name_request(ID, "gate", &["a", "zahlungen-ü"]));
    assert_eq!(by_name, [(Some("a".into()), Uuid::nil()), (Some("zahlungen-ü".into()), Uuid::nil())]);
    let by_id = seen(&topics_by_id_request(ID, "gate", &[7_u128.to_be_bytes(), 9_u128.to_be_bytes()]));
    assert_eq!(by_id, [(None, Uuid::from_u128(7)), (None, Uuid::from_u128(9))]);
    // No topic is not all topics, which would be null.
    assert_eq!(seen(&topics_by_name_request(ID, "gate", &[])), []);
}

#[test]
fn a_broker_is_asked_for_its_own_default_and_nothing_else() {
    let frame = default_partitions_request(ID, "gate", NodeId(7));
    let request: DescribeConfigsRequest = asked(Api::DescribeConfigs, DEFAULTS_VERSION, &frame);
    assert!(!request.include_synonyms && !request.include_documentation);
    let [resource] = &request.resources[..] else { panic!("{request:?}") };
    assert_eq!((resource.resource_type, &*resource.resource_name), (4, "7"));
    assert_eq!(resource.configuration_keys, Some(vec![text("num.partitions")]));
}

#[test]
fn the_default_is_read_where_a_broker_tells_it() {
    let read = |results| {
        let answer = DescribeConfigsResponse::default().with_throttle_time_ms(9).with_results(results);
        let frame = frame_of(DEFAULTS_VERSION, &answer, true);
        (0..frame.len()).for_each(|end| assert!(read_default_partitions(&frame[..end]).is_err()));
        read_default_partitions(&frame).unwrap()
    };
    let synonym = DescribeConfigsSynonym::default().with_name(text("k")).with_value(Some(text("3")));
    let entry = |name: &str, value: Option<&str>| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(value.map(text))
            .with_synonyms(vec![synonym.clone(), synonym.clone().with_value(None)])
            .with_documentation(Some(text("words")))
    };
    let result = |configs| DescribeConfigsResult::default().with_resource_type(4).with_configs(configs);
    let default = entry("num.partitions", Some("12"));
    assert_eq!(read(vec![result(vec![default.clone(), entry("other", Some("5"))])]), Some(12));
    assert_eq!(read(vec![result(vec![entry("num.partitions", None)]), result(vec![default])]), Some(12));
    assert_eq!(read(vec![result(vec![entry("num.partitions", Some("-1"))])]), None);
    // A user that may not know.
    let refused = result(Vec::new()).with_error_code(31).with_error_message(Some(text("no")));
    assert_eq!(read(vec![refused]), None);
}

fn quotas() -> impl Strategy<Value = Quotas> {
    let name = proptest::option::of(".{0,40}");
    let entity = proptest::collection::vec(("user|client-id|ip", name), 0..3);
    let values = proptest::collection::vec(("[a-z_]{1,30}", -1e12..1e12), 0..4);
    let entry = (entity, values).prop_map(|(entity, values)| QuotaEntry { entity, values });
    let message = proptest::option::of(".{0,60}");
    (any::<i16>(), message, proptest::collection::vec(entry, 0..5))
        .prop_map(|(error, message, entries)| Quotas { error, message, entries })
}

/// The oracle's form.
fn quotas_answer(quotas: &Quotas, throttle_ms: i32) -> DescribeClientQuotasResponse {
    let entry = |entry: &QuotaEntry| {
        let entity = entry.entity.iter().map(|(kind, name)| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(name.as_deref().map(text))
        });
        let values = entry
            .values
            .iter()
            .map(|(key, value)| ValueData::default().with_key(text(key)).with_value(*value));
        EntryData::default().with_entity(entity.collect()).with_values(values.collect())
    };
    DescribeClientQuotasResponse::default()
        .with_throttle_time_ms(throttle_ms)
        .with_error_code(quotas.error)
        .with_error_message(quotas.message.as_deref().map(text))
        .with_entries(Some(quotas.entries.iter().map(entry).collect()))
}

fn topics() -> impl Strategy<Value = Vec<Topic>> {
    let topic = (any::<i16>(), proptest::option::of("[a-z]{1,30}"), any::<u128>(), 0..40_usize);
    let topic = topic.prop_map(|(error, name, id, partitions)| Topic {
        error,
        name,
        id: id.to_be_bytes(),
        partitions,
    });
    proptest::collection::vec(topic, 0..5)
}

/// The oracle's form.
fn topics_answer(topics: &[Topic]) -> MetadataResponse {
    let partition = |number: usize| {
        let replicas = |count: usize| (0..3).take(count).map(Into::into).collect::<Vec<_>>();
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(number).unwrap())
            .with_replica_nodes(replicas(number % 4))
            .with_isr_nodes(replicas(number % 3))
            .with_offline_replicas(replicas(number % 2))
    };
    let topic = |topic: &Topic| {
        MetadataResponseTopic::default()
            .with_error_code(topic.error)
            .with_name(topic.name.as_deref().map(|name| TopicName(text(name))))
            .with_topic_id(Uuid::from_bytes(topic.id))
            .with_partitions((0..topic.partitions).map(partition).collect())
    };
    let broker = MetadataResponseBroker::default().with_host(text("host")).with_rack(Some(text("rack")));
    MetadataResponse::default()
        .with_throttle_time_ms(9)
        .with_brokers(vec![broker.clone().with_rack(None), broker])
        .with_cluster_id(Some(text("cluster")))
        .with_topics(topics.iter().map(topic).collect())
}

proptest! {
    #[test]
    fn quotas_are_read_as_they_were_written(
        quotas in quotas(),
        throttle_ms: i32,
        tagged: bool,
        version in 0..=1_i16,
        cut: prop::sample::Index,
    ) {
        let frame = frame_of(version, &quotas_answer(&quotas, throttle_ms), tagged);
        prop_assert!(read_quotas(version, &frame[..cut.index(frame.len())]).is_err());
        prop_assert_eq!(read_quotas(version, &frame), Ok(quotas));
    }

    #[test]
    fn topics_are_read_as_they_were_written(topics in topics(), tagged: bool, cut: prop::sample::Index) {
        let frame = frame_of(TOPICS_VERSION, &topics_answer(&topics), tagged);
        prop_assert!(read_topics(&frame[..cut.index(frame.len())]).is_err());
        prop_assert_eq!(read_topics(&frame), Ok(topics));
    }

    #[test]
    fn hostile_answers_are_refused_without_harm(
        bytes in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300),
    ) {
        let _ = read_topics(&bytes);
        let _ = read_default_partitions(&bytes);
        for version in -1..=2 {
            let _ = read_quotas(version, &bytes);
        }
    }
}

#[test]
fn an_error_comes_without_entries() {
    for version in 0..=1 {
        let refused = Quotas { error: 31, message: Some("no".into()), entries: Vec::new() };
        let answer = quotas_answer(&refused, 0).with_entries(None);
        assert_eq!(read_quotas(version, &frame_of(version, &answer, false)), Ok(refused));
    }
    assert!(read_quotas(2, &[0; 60]).is_err());
}
