//! `FetchRequest.json` and `FetchResponse.json`.

use super::{Field, Heard, Kind, leader_id_and_epoch, node_endpoints};

pub(super) const REQUEST: &[Field] = &[
    Field::new("ClusterId", Kind::String, 12).nullable(12).tagged(0),
    Field::new("ReplicaId", Kind::Int32, 0).until(14),
    Field::new("ReplicaState", Kind::Struct(REPLICA_STATE), 15).tagged(1),
    Field::new("MaxWaitMs", Kind::Int32, 0),
    Field::new("MinBytes", Kind::Int32, 0),
    Field::new("MaxBytes", Kind::Int32, 3),
    Field::new("IsolationLevel", Kind::Int8, 4),
    Field::new("SessionId", Kind::Int32, 7),
    Field::new("SessionEpoch", Kind::Int32, 7),
    Field::new("Topics", Kind::Array(&Kind::Struct(FETCH_TOPIC)), 0),
    Field::new("ForgottenTopicsData", Kind::Array(&Kind::Struct(FORGOTTEN_TOPIC)), 7),
    Field::new("RackId", Kind::String, 11),
];

const REPLICA_STATE: &[Field] =
    &[Field::new("ReplicaId", Kind::Int32, 15), Field::new("ReplicaEpoch", Kind::Int64, 15)];

const FETCH_TOPIC: &[Field] = &[
    Field::new("Topic", Kind::String, 0).until(12),
    Field::new("TopicId", Kind::Uuid, 13),
    Field::new("Partitions", Kind::Array(&Kind::Struct(FETCH_PARTITION)), 0),
];

const FETCH_PARTITION: &[Field] = &[
    Field::new("Partition", Kind::Int32, 0),
    Field::new("CurrentLeaderEpoch", Kind::Int32, 9),
    Field::new("FetchOffset", Kind::Int64, 0),
    Field::new("LastFetchedEpoch", Kind::Int32, 12),
    Field::new("LogStartOffset", Kind::Int64, 5),
    Field::new("PartitionMaxBytes", Kind::Int32, 0),
    Field::new("ReplicaDirectoryId", Kind::Uuid, 17).tagged(0),
    Field::new("HighWatermark", Kind::Int64, 18).tagged(1),
];

const FORGOTTEN_TOPIC: &[Field] = &[
    Field::new("Topic", Kind::String, 7).until(12),
    Field::new("TopicId", Kind::Uuid, 13),
    Field::new("Partitions", Kind::Array(&Kind::Int32), 7),
];

pub(super) const RESPONSE: &[Field] = &[
    Field::new("ThrottleTimeMs", Kind::Int32, 1),
    Field::new("ErrorCode", Kind::Int16, 7),
    Field::new("SessionId", Kind::Int32, 7),
    Field::new("Responses", Kind::Array(&Kind::Struct(TOPIC)), 0),
    Field::new("NodeEndpoints", Kind::Array(&Kind::Struct(&node_endpoints(16))), 16).tagged(0),
];

const TOPIC: &[Field] = &[
    Field::new("Topic", Kind::String, 0).until(12).heard(Heard::Name),
    Field::new("TopicId", Kind::Uuid, 13).heard(Heard::Id),
    Field::new("Partitions", Kind::Array(&Kind::Struct(PARTITION)), 0),
];

const PARTITION: &[Field] = &[
    Field::new("PartitionIndex", Kind::Int32, 0).heard(Heard::Partition),
    Field::new("ErrorCode", Kind::ErrorCode { first: true }, 0),
    Field::new("HighWatermark", Kind::Int64, 0),
    Field::new("LastStableOffset", Kind::Int64, 4),
    Field::new("LogStartOffset", Kind::Int64, 5),
    Field::new("DivergingEpoch", Kind::Struct(EPOCH_END_OFFSET), 12).tagged(0),
    Field::new("CurrentLeader", Kind::Struct(&leader_id_and_epoch(12)), 12).tagged(1),
    Field::new("SnapshotId", Kind::Struct(SNAPSHOT_ID), 12).tagged(2),
    Field::new("AbortedTransactions", Kind::Array(&Kind::Struct(ABORTED_TRANSACTION)), 4).nullable(4),
    Field::new("PreferredReadReplica", Kind::Int32, 11),
    Field::new("Records", Kind::Records, 0).nullable(0).heard(Heard::Records),
];

const EPOCH_END_OFFSET: &[Field] =
    &[Field::new("Epoch", Kind::Int32, 12), Field::new("EndOffset", Kind::Int64, 12)];

const SNAPSHOT_ID: &[Field] = &[Field::new("EndOffset", Kind::Int64, 0), Field::new("Epoch", Kind::Int32, 0)];

const ABORTED_TRANSACTION: &[Field] =
    &[Field::new("ProducerId", Kind::Int64, 4), Field::new("FirstOffset", Kind::Int64, 4)];
