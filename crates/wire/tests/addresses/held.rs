//! Random answers of every API and version that is held and rewritten.

use kafka_protocol::messages::{
    describe_cluster_response as cluster, describe_configs_response as configs,
    describe_quorum_response as quorum, find_coordinator_response as coordinator,
    metadata_response as metadata,
};

use crate::dice::Dice;
use crate::messages::many;

pub fn metadata_response(dice: &mut Dice, version: i16) -> metadata::MetadataResponse {
    let flexible = version >= 9;
    let mut message = metadata::MetadataResponse::default();
    message.throttle_time_ms = dice.i32();
    message.brokers = many(dice, 6, |dice| {
        let mut broker = metadata::MetadataResponseBroker::default();
        broker.node_id = dice.node().into();
        broker.host = dice.host();
        broker.port = dice.port();
        broker.rack = if version >= 1 { dice.maybe_text() } else { None };
        broker.unknown_tagged_fields = dice.tags(flexible);
        broker
    });
    message.cluster_id = if version >= 2 { dice.maybe_text() } else { None };
    message.controller_id = if version >= 1 { dice.node().into() } else { (-1).into() };
    message.topics = many(dice, 3, |dice| {
        let mut topic = metadata::MetadataResponseTopic::default();
        topic.error_code = dice.i16();
        topic.name = Some(dice.text().into());
        topic.unknown_tagged_fields = dice.tags(flexible);
        topic
    });
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

pub fn find_coordinator_response(dice: &mut Dice, version: i16) -> coordinator::FindCoordinatorResponse {
    let flexible = version >= 3;
    let mut message = coordinator::FindCoordinatorResponse::default();
    message.throttle_time_ms = dice.i32();
    if version >= 4 {
        message.coordinators = many(dice, 5, |dice| {
            let mut one = coordinator::Coordinator::default();
            one.key = dice.text();
            one.error_message = dice.maybe_text();
            one.unknown_tagged_fields = dice.tags(flexible);
            if dice.below(4) == 0 {
                (one.node_id, one.port, one.error_code) = ((-1).into(), -1, dice.i16());
            } else {
                (one.node_id, one.host, one.port) = (dice.node().into(), dice.host(), dice.port());
            }
            one
        });
    } else {
        message.error_message = if version >= 1 { dice.maybe_text() } else { None };
        if dice.below(4) == 0 {
            (message.node_id, message.port, message.error_code) = ((-1).into(), -1, dice.i16());
        } else {
            (message.node_id, message.host, message.port) = (dice.node().into(), dice.host(), dice.port());
        }
    }
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

pub fn describe_cluster_response(dice: &mut Dice, version: i16) -> cluster::DescribeClusterResponse {
    let mut message = cluster::DescribeClusterResponse::default();
    message.throttle_time_ms = dice.i32();
    message.error_code = dice.i16();
    message.error_message = dice.maybe_text();
    message.cluster_id = dice.text();
    message.controller_id = dice.node().into();
    message.brokers = many(dice, 6, |dice| {
        let mut broker = cluster::DescribeClusterBroker::default();
        broker.broker_id = dice.node().into();
        broker.host = dice.host();
        broker.port = dice.port();
        broker.rack = dice.maybe_text();
        broker.is_fenced = version >= 2 && dice.yes();
        broker.unknown_tagged_fields = dice.tags(true);
        broker
    });
    message.cluster_authorized_operations = dice.i32();
    message.unknown_tagged_fields = dice.tags(true);
    message
}

pub fn describe_quorum_response(dice: &mut Dice) -> quorum::DescribeQuorumResponse {
    fn replica(dice: &mut Dice) -> quorum::ReplicaState {
        let mut replica = quorum::ReplicaState::default();
        replica.replica_id = dice.node().into();
        replica.replica_directory_id = dice.uuid();
        replica.log_end_offset = dice.i64();
        replica.unknown_tagged_fields = dice.tags(true);
        replica
    }
    let mut message = quorum::DescribeQuorumResponse::default();
    message.error_message = dice.maybe_text();
    message.topics = many(dice, 3, |dice| {
        let mut topic = quorum::TopicData::default();
        topic.topic_name = dice.text().into();
        topic.partitions = many(dice, 3, |dice| {
            let mut partition = quorum::PartitionData::default();
            partition.error_message = dice.maybe_text();
            partition.leader_id = dice.node().into();
            partition.current_voters = many(dice, 4, replica);
            partition.observers = many(dice, 3, replica);
            partition.unknown_tagged_fields = dice.tags(true);
            partition
        });
        topic
    });
    message.nodes = many(dice, 4, |dice| {
        let mut node = quorum::Node::default();
        node.node_id = dice.node().into();
        node.listeners = many(dice, 3, |dice| {
            let mut listener = quorum::Listener::default();
            listener.name = dice.text();
            listener.host = dice.host();
            listener.port = u16::try_from(dice.port()).unwrap();
            listener.unknown_tagged_fields = dice.tags(true);
            listener
        });
        node
    });
    message.unknown_tagged_fields = dice.tags(true);
    message
}

pub fn describe_configs_response(dice: &mut Dice, version: i16) -> configs::DescribeConfigsResponse {
    let flexible = version >= 4;
    let mut message = configs::DescribeConfigsResponse::default();
    message.throttle_time_ms = dice.i32();
    message.results = many(dice, 4, |dice| {
        let mut result = configs::DescribeConfigsResult::default();
        result.error_message = dice.maybe_text();
        result.resource_type = [2, 4, 8, 16][dice.count(4)];
        result.resource_name = dice.text();
        let broker = result.resource_type == 4 || result.resource_type == 8;
        result.configs = many(dice, 6, |dice| {
            let mut entry = configs::DescribeConfigsResourceResult::default();
            let exposed = broker && dice.yes();
            entry.name = if exposed { "advertised.listeners".into() } else { dice.text() };
            entry.value = if exposed { Some(dice.host()) } else { dice.maybe_text() };
            entry.config_source = dice.i8();
            entry.is_sensitive = dice.yes();
            entry.synonyms = many(dice, 3, |dice| {
                let mut synonym = configs::DescribeConfigsSynonym::default();
                synonym.name = dice.text();
                synonym.value = if exposed { Some(dice.host()) } else { dice.maybe_text() };
                synonym.source = dice.i8();
                synonym.unknown_tagged_fields = dice.tags(flexible);
                synonym
            });
            entry.documentation = if version >= 3 { dice.maybe_text() } else { None };
            entry.unknown_tagged_fields = dice.tags(flexible);
            entry
        });
        result.unknown_tagged_fields = dice.tags(flexible);
        result
    });
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}
