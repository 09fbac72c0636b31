//! `ShareFetchResponse.json` and `ShareAcknowledgeResponse.json`.

use super::{Field, Heard, Kind, leader_id_and_epoch, node_endpoints};

pub(super) const FETCH_RESPONSE: &[Field] = &[
    Field::new("ThrottleTimeMs", Kind::Int32, 0),
    Field::new("ErrorCode", Kind::Int16, 0),
    Field::new("ErrorMessage", Kind::String, 0).nullable(0),
    Field::new("AcquisitionLockTimeoutMs", Kind::Int32, 1),
    Field::new("Responses", Kind::Array(&Kind::Struct(FETCHED_TOPIC)), 0),
    Field::new("NodeEndpoints", Kind::Array(&Kind::Struct(&node_endpoints(0))), 0),
];

const FETCHED_TOPIC: &[Field] = &[
    Field::new("TopicId", Kind::Uuid, 0).heard(Heard::Id),
    Field::new("Partitions", Kind::Array(&Kind::Struct(FETCHED_PARTITION)), 0),
];

const FETCHED_PARTITION: &[Field] = &[
    Field::new("PartitionIndex", Kind::Int32, 0).heard(Heard::Partition),
    Field::new("ErrorCode", Kind::ErrorCode { first: true }, 0),
    Field::new("ErrorMessage", Kind::String, 0).nullable(0),
    Field::new("AcknowledgeErrorCode", Kind::ErrorCode { first: false }, 0),
    Field::new("AcknowledgeErrorMessage", Kind::String, 0).nullable(0),
    Field::new("CurrentLeader", Kind::Struct(&leader_id_and_epoch(0)), 0),
    Field::new("Records", Kind::Records, 0).nullable_until(0).heard(Heard::Records),
    Field::new("AcquiredRecords", Kind::Array(&Kind::Struct(ACQUIRED_RECORDS)), 0),
];

const ACQUIRED_RECORDS: &[Field] = &[
    Field::new("FirstOffset", Kind::Int64, 0),
    Field::new("LastOffset", Kind::Int64, 0),
    Field::new("DeliveryCount", Kind::Int16, 0),
];

pub(super) const ACKNOWLEDGE_RESPONSE: &[Field] = &[
    Field::new("ThrottleTimeMs", Kind::Int32, 0),
    Field::new("ErrorCode", Kind::Int16, 0),
    Field::new("ErrorMessage", Kind::String, 0).nullable(0),
    Field::new("AcquisitionLockTimeoutMs", Kind::Int32, 2),
    Field::new("Responses", Kind::Array(&Kind::Struct(ACKNOWLEDGED_TOPIC)), 0),
    Field::new("NodeEndpoints", Kind::Array(&Kind::Struct(&node_endpoints(0))), 0),
];

const ACKNOWLEDGED_TOPIC: &[Field] = &[
    Field::new("TopicId", Kind::Uuid, 0),
    Field::new("Partitions", Kind::Array(&Kind::Struct(ACKNOWLEDGED_PARTITION)), 0),
];

const ACKNOWLEDGED_PARTITION: &[Field] = &[
    Field::new("PartitionIndex", Kind::Int32, 0),
    Field::new("ErrorCode", Kind::ErrorCode { first: true }, 0),
    Field::new("ErrorMessage", Kind::String, 0).nullable(0),
    Field::new("CurrentLeader", Kind::Struct(&leader_id_and_epoch(0)), 0),
];
