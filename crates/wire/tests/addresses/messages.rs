//! Random messages of every API and version that is walked, and how the oracle writes and reads them.

use kafka_protocol::messages::{
    fetch_request, fetch_response as fetch, produce_request, produce_response as produce,
    share_acknowledge_response as share_acknowledge, share_fetch_response as share_fetch,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::dice::Dice;

/// The body of a message as the oracle writes it.
pub fn encode(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).unwrap();
    bytes
}

/// What the oracle reads in a body, to its last byte.
pub fn decode<M: Decodable>(mut body: &[u8], version: i16) -> M {
    let message = M::decode(&mut body, version).unwrap();
    assert!(body.is_empty(), "bytes after the message");
    message
}

/// The head of an answer, sometimes with tags.
pub fn head(dice: &mut Dice, flexible: bool) -> Vec<u8> {
    let mut head = dice.i32().to_be_bytes().to_vec();
    match (flexible, dice.yes()) {
        (false, _) => {}
        (true, true) => head.push(0),
        (true, false) => head.extend([2, 0, 3, 1, 2, 3, 9, 0]),
    }
    head
}

pub fn many<T>(dice: &mut Dice, limit: u64, mut one: impl FnMut(&mut Dice) -> T) -> Vec<T> {
    (0..dice.count(limit)).map(|_| one(dice)).collect()
}

/// The four answers with endpoints have them as types of the same fields.
macro_rules! node_endpoints {
    ($dice:expr, $from:path) => {
        many($dice, 5, |dice| {
            let mut node = <$from>::default();
            node.node_id = dice.node().into();
            node.host = dice.host();
            node.port = dice.port();
            node.rack = dice.maybe_text();
            node.unknown_tagged_fields = dice.tags(true);
            node
        })
    };
}

pub fn produce_response(dice: &mut Dice, version: i16) -> produce::ProduceResponse {
    let flexible = version >= 9;
    let mut message = produce::ProduceResponse::default();
    message.responses = many(dice, 4, |dice| {
        let mut topic = produce::TopicProduceResponse::default();
        if version >= 13 {
            topic.topic_id = dice.uuid();
        } else {
            topic.name = dice.text().into();
        }
        topic.partition_responses = many(dice, 4, |dice| {
            let mut partition = produce::PartitionProduceResponse::default();
            partition.index = dice.i32();
            partition.error_code = dice.code();
            partition.base_offset = dice.i64();
            partition.log_append_time_ms = dice.i64();
            partition.log_start_offset = dice.i64();
            if version >= 8 {
                partition.record_errors = many(dice, 3, |dice| {
                    let mut error = produce::BatchIndexAndErrorMessage::default();
                    error.batch_index = dice.i32();
                    error.batch_index_error_message = dice.maybe_text();
                    error.unknown_tagged_fields = dice.tags(flexible);
                    error
                });
                partition.error_message = dice.maybe_text();
            }
            if version >= 10 && dice.yes() {
                partition.current_leader.leader_id = dice.node().into();
                partition.current_leader.leader_epoch = dice.i32();
                partition.current_leader.unknown_tagged_fields = dice.tags(true);
            }
            partition.unknown_tagged_fields = dice.tags(flexible);
            partition
        });
        topic.unknown_tagged_fields = dice.tags(flexible);
        topic
    });
    message.throttle_time_ms = dice.i32();
    if version >= 10 {
        message.node_endpoints = node_endpoints!(dice, produce::NodeEndpoint);
    }
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

fn fetched_partition(dice: &mut Dice, version: i16) -> fetch::PartitionData {
    let flexible = version >= 12;
    let mut partition = fetch::PartitionData::default();
    partition.partition_index = dice.i32();
    partition.error_code = dice.code();
    partition.high_watermark = dice.i64();
    partition.last_stable_offset = dice.i64();
    partition.log_start_offset = dice.i64();
    partition.aborted_transactions = dice.yes().then(|| {
        many(dice, 4, |dice| {
            let mut aborted = fetch::AbortedTransaction::default();
            aborted.producer_id = dice.i64().into();
            aborted.first_offset = dice.i64();
            aborted.unknown_tagged_fields = dice.tags(flexible);
            aborted
        })
    });
    if version >= 11 {
        partition.preferred_read_replica = dice.node().into();
    }
    partition.records = dice.yes().then(|| dice.bytes());
    if flexible && dice.yes() {
        partition.diverging_epoch.epoch = dice.i32();
        partition.snapshot_id.end_offset = dice.i64();
        partition.snapshot_id.unknown_tagged_fields = dice.tags(true);
    }
    if flexible && dice.yes() {
        partition.current_leader.leader_id = dice.node().into();
        partition.current_leader.leader_epoch = dice.i32();
        partition.current_leader.unknown_tagged_fields = dice.tags(true);
    }
    partition.unknown_tagged_fields = dice.tags(flexible);
    partition
}

pub fn fetch_response(dice: &mut Dice, version: i16) -> fetch::FetchResponse {
    let flexible = version >= 12;
    let mut message = fetch::FetchResponse::default();
    message.throttle_time_ms = dice.i32();
    if version >= 7 {
        message.error_code = dice.i16();
        message.session_id = dice.i32();
    }
    message.responses = many(dice, 4, |dice| {
        let mut topic = fetch::FetchableTopicResponse::default();
        if version >= 13 {
            topic.topic_id = dice.uuid();
        } else {
            topic.topic = dice.text().into();
        }
        topic.partitions = many(dice, 4, |dice| fetched_partition(dice, version));
        topic.unknown_tagged_fields = dice.tags(flexible);
        topic
    });
    if version >= 16 {
        message.node_endpoints = node_endpoints!(dice, fetch::NodeEndpoint);
    }
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

pub fn share_fetch_response(dice: &mut Dice) -> share_fetch::ShareFetchResponse {
    let mut message = share_fetch::ShareFetchResponse::default();
    message.throttle_time_ms = dice.i32();
    message.error_code = dice.i16();
    message.error_message = dice.maybe_text();
    message.acquisition_lock_timeout_ms = dice.i32();
    message.responses = many(dice, 4, |dice| {
        let mut topic = share_fetch::ShareFetchableTopicResponse::default();
        topic.topic_id = dice.uuid();
        topic.partitions = many(dice, 4, |dice| {
            let mut partition = share_fetch::PartitionData::default();
            partition.partition_index = dice.i32();
            partition.error_code = dice.code();
            partition.error_message = dice.maybe_text();
            partition.acknowledge_error_code = dice.code();
            partition.acknowledge_error_message = dice.maybe_text();
            partition.current_leader.leader_id = dice.node();
            partition.current_leader.leader_epoch = dice.i32();
            partition.current_leader.unknown_tagged_fields = dice.tags(true);
            partition.records = Some(dice.bytes());
            partition.acquired_records = many(dice, 4, |dice| {
                let mut acquired = share_fetch::AcquiredRecords::default();
                acquired.first_offset = dice.i64();
                acquired.last_offset = dice.i64();
                acquired.delivery_count = dice.i16();
                acquired.unknown_tagged_fields = dice.tags(true);
                acquired
            });
            partition.unknown_tagged_fields = dice.tags(true);
            partition
        });
        topic.unknown_tagged_fields = dice.tags(true);
        topic
    });
    message.node_endpoints = node_endpoints!(dice, share_fetch::NodeEndpoint);
    message.unknown_tagged_fields = dice.tags(true);
    message
}

pub fn share_acknowledge_response(dice: &mut Dice) -> share_acknowledge::ShareAcknowledgeResponse {
    let mut message = share_acknowledge::ShareAcknowledgeResponse::default();
    message.throttle_time_ms = dice.i32();
    message.error_code = dice.i16();
    message.error_message = dice.maybe_text();
    message.responses = many(dice, 4, |dice| {
        let mut topic = share_acknowledge::ShareAcknowledgeTopicResponse::default();
        topic.topic_id = dice.uuid();
        topic.partitions = many(dice, 4, |dice| {
            let mut partition = share_acknowledge::PartitionData::default();
            partition.partition_index = dice.i32();
            partition.error_code = dice.code();
            partition.error_message = dice.maybe_text();
            partition.current_leader.leader_id = dice.node();
            partition.current_leader.unknown_tagged_fields = dice.tags(true);
            partition.unknown_tagged_fields = dice.tags(true);
            partition
        });
        topic.unknown_tagged_fields = dice.tags(true);
        topic
    });
    message.node_endpoints = node_endpoints!(dice, share_acknowledge::NodeEndpoint);
    message.unknown_tagged_fields = dice.tags(true);
    message
}

pub fn fetch_request(dice: &mut Dice, version: i16) -> fetch_request::FetchRequest {
    let flexible = version >= 12;
    let mut message = fetch_request::FetchRequest::default();
    if version >= 15 {
        if dice.yes() {
            message.replica_state.replica_id = dice.i32().into();
            message.replica_state.replica_epoch = dice.i64();
            message.replica_state.unknown_tagged_fields = dice.tags(true);
        }
    } else {
        message.replica_id = dice.i32().into();
    }
    message.cluster_id = if flexible { dice.maybe_text() } else { None };
    message.max_wait_ms = dice.i32();
    message.min_bytes = dice.i32();
    message.max_bytes = dice.i32();
    message.topics = many(dice, 4, |dice| {
        let mut topic = fetch_request::FetchTopic::default();
        if version >= 13 {
            topic.topic_id = dice.uuid();
        } else {
            topic.topic = dice.text().into();
        }
        topic.partitions = many(dice, 4, |dice| {
            let mut partition = fetch_request::FetchPartition::default();
            partition.partition = dice.i32();
            partition.fetch_offset = dice.i64();
            partition.log_start_offset = if version >= 5 { dice.i64() } else { -1 };
            partition.last_fetched_epoch = if flexible { dice.i32() } else { -1 };
            if version >= 17 && dice.yes() {
                partition.replica_directory_id = dice.uuid();
            }
            if version >= 18 && dice.yes() {
                partition.high_watermark = dice.i64();
            }
            partition.unknown_tagged_fields = dice.tags(flexible);
            partition
        });
        topic.unknown_tagged_fields = dice.tags(flexible);
        topic
    });
    if version >= 7 {
        message.session_id = dice.i32();
        message.forgotten_topics_data = many(dice, 3, |dice| {
            let mut topic = fetch_request::ForgottenTopic::default();
            if version >= 13 {
                topic.topic_id = dice.uuid();
            } else {
                topic.topic = dice.text().into();
            }
            topic.partitions = many(dice, 5, Dice::i32);
            topic.unknown_tagged_fields = dice.tags(flexible);
            topic
        });
    }
    if version >= 11 {
        message.rack_id = dice.text();
    }
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

pub fn produce_request(dice: &mut Dice, version: i16) -> produce_request::ProduceRequest {
    let flexible = version >= 9;
    let mut message = produce_request::ProduceRequest::default();
    message.transactional_id = dice.maybe_text().map(Into::into);
    message.acks = dice.i16();
    message.timeout_ms = dice.i32();
    message.topic_data = many(dice, 4, |dice| {
        let mut topic = produce_request::TopicProduceData::default();
        if version >= 13 {
            topic.topic_id = dice.uuid();
        } else {
            topic.name = dice.text().into();
        }
        topic.partition_data = many(dice, 4, |dice| {
            let mut partition = produce_request::PartitionProduceData::default();
            partition.index = dice.i32();
            partition.records = dice.yes().then(|| dice.bytes());
            partition.unknown_tagged_fields = dice.tags(flexible);
            partition
        });
        topic.unknown_tagged_fields = dice.tags(flexible);
        topic
    });
    message.unknown_tagged_fields = dice.tags(flexible);
    message
}

fn count_of(items: usize) -> [u8; 4] {
    u32::try_from(items).unwrap().to_be_bytes()
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// The oracle begins with version 3; before, fields are missing.
pub fn old_produce(message: &produce::ProduceResponse, version: i16) -> Vec<u8> {
    let mut bytes = count_of(message.responses.len()).to_vec();
    for topic in &message.responses {
        text(&mut bytes, &topic.name);
        bytes.extend(count_of(topic.partition_responses.len()));
        for partition in &topic.partition_responses {
            bytes.extend(partition.index.to_be_bytes());
            bytes.extend(partition.error_code.to_be_bytes());
            bytes.extend(partition.base_offset.to_be_bytes());
            if version >= 2 {
                bytes.extend(partition.log_append_time_ms.to_be_bytes());
            }
        }
    }
    if version >= 1 {
        bytes.extend(message.throttle_time_ms.to_be_bytes());
    }
    bytes
}

/// The oracle begins with version 4; before, fields are missing.
pub fn old_fetch(message: &fetch::FetchResponse, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    if version >= 1 {
        bytes.extend(message.throttle_time_ms.to_be_bytes());
    }
    bytes.extend(count_of(message.responses.len()));
    for topic in &message.responses {
        text(&mut bytes, &topic.topic);
        bytes.extend(count_of(topic.partitions.len()));
        for partition in &topic.partitions {
            bytes.extend(partition.partition_index.to_be_bytes());
            bytes.extend(partition.error_code.to_be_bytes());
            bytes.extend(partition.high_watermark.to_be_bytes());
            match &partition.records {
                Some(records) => {
                    bytes.extend(count_of(records.len()));
                    bytes.extend(records);
                }
                None => bytes.extend([0xff; 4]),
            }
        }
    }
    bytes
}
