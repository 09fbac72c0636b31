//! How requests and answers travel, for every API by name: a new one does not compile before it was thought of.

use super::Api;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestPath {
    /// Streamed as it is.
    Pass,
    /// Streamed, but acks must be read: there is no answer to acks 0.
    Produce,
    /// Streamed; the count of its topics must be possible (Metadata: the cheapest way to ask for the most).
    Topics,
    /// Streamed; a fixed `i32` replica id at the beginning of the body is forced to that of a consumer.
    Replica,
    /// Walked to its tail, where the `ReplicaState` tag is forced to that of a consumer (Fetch 15+).
    Fetch,
    /// Read whole (bounded), then judged.
    Held,
    /// Never sent on. Hidden APIs are here as well: nothing of them may reach a broker.
    Answered,
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPath {
    /// Streamed as it is. (`DescribeConfigs` is held whole when the request named broker resources; the caller knows.)
    Pass,
    /// The brokers at the front are replaced, the rest streams.
    Metadata,
    /// Held whole and rewritten.
    Whole,
    /// Streamed up to the tail, which is rewritten in place; or held whole when small.
    Tailed,
}

impl Api {
    /// How a request of this version travels.
    pub fn request_path(self, version: i16) -> RequestPath {
        match self {
            Api::Produce => RequestPath::Produce,
            Api::Metadata => RequestPath::Topics,
            Api::Fetch if version >= 15 => RequestPath::Fetch,
            Api::Fetch | Api::ListOffsets => RequestPath::Replica,
            Api::OffsetForLeaderEpoch if version >= 3 => RequestPath::Replica,
            Api::FindCoordinator | Api::DescribeCluster if version >= 1 => RequestPath::Held,
            Api::DescribeConfigs
            | Api::AlterConfigs
            | Api::IncrementalAlterConfigs
            | Api::DescribeAcls
            | Api::CreateAcls
            | Api::DeleteAcls
            | Api::AlterReplicaLogDirs
            | Api::DescribeLogDirs
            | Api::ElectLeaders
            | Api::AlterPartitionReassignments
            | Api::ListPartitionReassignments
            | Api::DescribeClientQuotas
            | Api::AlterClientQuotas
            | Api::DescribeUserScramCredentials
            | Api::DescribeQuorum
            | Api::UpdateFeatures
            | Api::UnregisterBroker
            | Api::ListConfigResources => RequestPath::Held,
            Api::LeaderAndIsr
            | Api::StopReplica
            | Api::UpdateMetadata
            | Api::ControlledShutdown
            | Api::SaslHandshake
            | Api::ApiVersions
            | Api::WriteTxnMarkers
            | Api::SaslAuthenticate
            | Api::CreateDelegationToken
            | Api::RenewDelegationToken
            | Api::ExpireDelegationToken
            | Api::DescribeDelegationToken
            | Api::AlterUserScramCredentials
            | Api::Vote
            | Api::BeginQuorumEpoch
            | Api::EndQuorumEpoch
            | Api::AlterPartition
            | Api::Envelope
            | Api::FetchSnapshot
            | Api::BrokerRegistration
            | Api::BrokerHeartbeat
            | Api::AllocateProducerIds
            | Api::ControllerRegistration
            | Api::AssignReplicasToDirs
            | Api::AddRaftVoter
            | Api::RemoveRaftVoter
            | Api::UpdateRaftVoter
            | Api::InitializeShareGroupState
            | Api::ReadShareGroupState
            | Api::WriteShareGroupState
            | Api::DeleteShareGroupState
            | Api::ReadShareGroupStateSummary
            | Api::StreamsGroupTopologyDescriptionUpdate
            | Api::UnregisterController => RequestPath::Answered,
            Api::OffsetForLeaderEpoch
            | Api::FindCoordinator
            | Api::DescribeCluster
            | Api::OffsetCommit
            | Api::OffsetFetch
            | Api::JoinGroup
            | Api::Heartbeat
            | Api::LeaveGroup
            | Api::SyncGroup
            | Api::DescribeGroups
            | Api::ListGroups
            | Api::CreateTopics
            | Api::DeleteTopics
            | Api::DeleteRecords
            | Api::InitProducerId
            | Api::AddPartitionsToTxn
            | Api::AddOffsetsToTxn
            | Api::EndTxn
            | Api::TxnOffsetCommit
            | Api::CreatePartitions
            | Api::DeleteGroups
            | Api::OffsetDelete
            | Api::DescribeProducers
            | Api::DescribeTransactions
            | Api::ListTransactions
            | Api::ConsumerGroupHeartbeat
            | Api::ConsumerGroupDescribe
            | Api::GetTelemetrySubscriptions
            | Api::PushTelemetry
            | Api::DescribeTopicPartitions
            | Api::ShareGroupHeartbeat
            | Api::ShareGroupDescribe
            | Api::ShareFetch
            | Api::ShareAcknowledge
            | Api::StreamsGroupHeartbeat
            | Api::StreamsGroupDescribe
            | Api::DescribeShareGroupOffsets
            | Api::AlterShareGroupOffsets
            | Api::DeleteShareGroupOffsets => RequestPath::Pass,
        }
    }

    /// How an answer of this version travels.
    pub fn answer_path(self, version: i16) -> AnswerPath {
        match self {
            Api::Metadata => AnswerPath::Metadata,
            Api::FindCoordinator | Api::DescribeCluster => AnswerPath::Whole,
            Api::DescribeQuorum if version >= 2 => AnswerPath::Whole,
            Api::Produce if version >= 10 => AnswerPath::Tailed,
            Api::Fetch if version >= 16 => AnswerPath::Tailed,
            Api::ShareFetch | Api::ShareAcknowledge => AnswerPath::Tailed,
            Api::Produce
            | Api::Fetch
            | Api::ListOffsets
            | Api::LeaderAndIsr
            | Api::StopReplica
            | Api::UpdateMetadata
            | Api::ControlledShutdown
            | Api::OffsetCommit
            | Api::OffsetFetch
            | Api::JoinGroup
            | Api::Heartbeat
            | Api::LeaveGroup
            | Api::SyncGroup
            | Api::DescribeGroups
            | Api::ListGroups
            | Api::SaslHandshake
            | Api::ApiVersions
            | Api::CreateTopics
            | Api::DeleteTopics
            | Api::DeleteRecords
            | Api::InitProducerId
            | Api::OffsetForLeaderEpoch
            | Api::AddPartitionsToTxn
            | Api::AddOffsetsToTxn
            | Api::EndTxn
            | Api::WriteTxnMarkers
            | Api::TxnOffsetCommit
            | Api::DescribeAcls
            | Api::CreateAcls
            | Api::DeleteAcls
            | Api::DescribeConfigs
            | Api::AlterConfigs
            | Api::AlterReplicaLogDirs
            | Api::DescribeLogDirs
            | Api::SaslAuthenticate
            | Api::CreatePartitions
            | Api::CreateDelegationToken
            | Api::RenewDelegationToken
            | Api::ExpireDelegationToken
            | Api::DescribeDelegationToken
            | Api::DeleteGroups
            | Api::ElectLeaders
            | Api::IncrementalAlterConfigs
            | Api::AlterPartitionReassignments
            | Api::ListPartitionReassignments
            | Api::OffsetDelete
            | Api::DescribeClientQuotas
            | Api::AlterClientQuotas
            | Api::DescribeUserScramCredentials
            | Api::AlterUserScramCredentials
            | Api::Vote
            | Api::BeginQuorumEpoch
            | Api::EndQuorumEpoch
            | Api::DescribeQuorum
            | Api::AlterPartition
            | Api::UpdateFeatures
            | Api::Envelope
            | Api::FetchSnapshot
            | Api::DescribeProducers
            | Api::BrokerRegistration
            | Api::BrokerHeartbeat
            | Api::UnregisterBroker
            | Api::DescribeTransactions
            | Api::ListTransactions
            | Api::AllocateProducerIds
            | Api::ConsumerGroupHeartbeat
            | Api::ConsumerGroupDescribe
            | Api::ControllerRegistration
            | Api::GetTelemetrySubscriptions
            | Api::PushTelemetry
            | Api::AssignReplicasToDirs
            | Api::ListConfigResources
            | Api::DescribeTopicPartitions
            | Api::ShareGroupHeartbeat
            | Api::ShareGroupDescribe
            | Api::AddRaftVoter
            | Api::RemoveRaftVoter
            | Api::UpdateRaftVoter
            | Api::InitializeShareGroupState
            | Api::ReadShareGroupState
            | Api::WriteShareGroupState
            | Api::DeleteShareGroupState
            | Api::ReadShareGroupStateSummary
            | Api::StreamsGroupHeartbeat
            | Api::StreamsGroupDescribe
            | Api::DescribeShareGroupOffsets
            | Api::AlterShareGroupOffsets
            | Api::DeleteShareGroupOffsets
            | Api::StreamsGroupTopologyDescriptionUpdate
            | Api::UnregisterController => AnswerPath::Pass,
        }
    }
}
