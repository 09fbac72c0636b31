//! `ProduceRequest.json` and `ProduceResponse.json`.

use super::{Field, Heard, Kind, leader_id_and_epoch, node_endpoints};

pub(super) const REQUEST: &[Field] = &[
    Field::new("TransactionalId", Kind::String, 3).nullable(3),
    Field::new("Acks", Kind::Int16, 0),
    Field::new("TimeoutMs", Kind::Int32, 0),
    Field::new("TopicData", Kind::Array(&Kind::Struct(TOPIC_DATA)), 0),
];

const TOPIC_DATA: &[Field] = &[
    Field::new("Name", Kind::String, 0).until(12).heard(Heard::Name),
    Field::new("TopicId", Kind::Uuid, 13).heard(Heard::Id),
    Field::new("PartitionData", Kind::Array(&Kind::Struct(PARTITION_DATA)), 0),
];

const PARTITION_DATA: &[Field] = &[
    Field::new("Index", Kind::Int32, 0).heard(Heard::Partition),
    Field::new("Records", Kind::Records, 0).nullable(0).heard(Heard::Records),
];

pub(super) const RESPONSE: &[Field] = &[
    Field::new("Responses", Kind::Array(&Kind::Struct(TOPIC)), 0),
    Field::new("ThrottleTimeMs", Kind::Int32, 1),
    Field::new("NodeEndpoints", Kind::Array(&Kind::Struct(&node_endpoints(10))), 10).tagged(0),
];

const TOPIC: &[Field] = &[
    Field::new("Name", Kind::String, 0).until(12),
    Field::new("TopicId", Kind::Uuid, 13),
    Field::new("PartitionResponses", Kind::Array(&Kind::Struct(PARTITION)), 0),
];

const PARTITION: &[Field] = &[
    Field::new("Index", Kind::Int32, 0),
    Field::new("ErrorCode", Kind::ErrorCode { first: true }, 0),
    Field::new("BaseOffset", Kind::Int64, 0),
    Field::new("LogAppendTimeMs", Kind::Int64, 2),
    Field::new("LogStartOffset", Kind::Int64, 5),
    Field::new("RecordErrors", Kind::Array(&Kind::Struct(RECORD_ERROR)), 8),
    Field::new("ErrorMessage", Kind::String, 8).nullable(8),
    Field::new("CurrentLeader", Kind::Struct(&leader_id_and_epoch(10)), 10).tagged(0),
];

const RECORD_ERROR: &[Field] = &[
    Field::new("BatchIndex", Kind::Int32, 8),
    Field::new("BatchIndexErrorMessage", Kind::String, 8).nullable(8),
];
