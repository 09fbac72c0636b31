//! What requests are for, as far as limits care: classes to name in a limit, and the calls that must not wait.

use super::Api;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Records come in.
    Produce,
    /// Records go out.
    Fetch,
    /// Where things are.
    Metadata,
    /// Consumer, share and streams groups, and their offsets.
    Group,
    /// Transactions and producer ids.
    Transaction,
    /// Topics, configurations, quotas and the like are described or changed.
    Admin,
    /// Versions and logins.
    Login,
    /// Between brokers.
    Internal,
}

impl Class {
    /// Those that clients have, in the order in which they are listed to people.
    pub const OF_CLIENTS: [Class; 7] = [
        Class::Produce,
        Class::Fetch,
        Class::Metadata,
        Class::Group,
        Class::Transaction,
        Class::Admin,
        Class::Login,
    ];

    /// As it is written in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Produce => "produce",
            Class::Fetch => "fetch",
            Class::Metadata => "metadata",
            Class::Group => "group",
            Class::Transaction => "transaction",
            Class::Admin => "admin",
            Class::Login => "login",
            Class::Internal => "internal",
        }
    }
}

impl Api {
    /// Whether its answers are how records go out, as [`Class::Fetch`] has them.
    #[inline]
    pub const fn brings_records(self) -> bool {
        matches!(self, Api::Fetch | Api::ShareFetch | Api::ShareAcknowledge)
    }

    /// What requests of this API are for.
    pub const fn class(self) -> Class {
        match self {
            Api::Produce => Class::Produce,
            Api::Fetch | Api::ShareFetch | Api::ShareAcknowledge => Class::Fetch,
            Api::ListOffsets
            | Api::Metadata
            | Api::FindCoordinator
            | Api::OffsetForLeaderEpoch
            | Api::DescribeCluster
            | Api::DescribeTopicPartitions
            | Api::GetTelemetrySubscriptions
            | Api::PushTelemetry => Class::Metadata,
            Api::OffsetCommit
            | Api::OffsetFetch
            | Api::JoinGroup
            | Api::Heartbeat
            | Api::LeaveGroup
            | Api::SyncGroup
            | Api::DescribeGroups
            | Api::ListGroups
            | Api::DeleteGroups
            | Api::OffsetDelete
            | Api::ConsumerGroupHeartbeat
            | Api::ConsumerGroupDescribe
            | Api::ShareGroupHeartbeat
            | Api::ShareGroupDescribe
            | Api::StreamsGroupHeartbeat
            | Api::StreamsGroupDescribe
            | Api::DescribeShareGroupOffsets
            | Api::AlterShareGroupOffsets
            | Api::DeleteShareGroupOffsets => Class::Group,
            Api::InitProducerId
            | Api::AddPartitionsToTxn
            | Api::AddOffsetsToTxn
            | Api::EndTxn
            | Api::TxnOffsetCommit
            | Api::DescribeProducers
            | Api::DescribeTransactions
            | Api::ListTransactions => Class::Transaction,
            Api::CreateTopics
            | Api::DeleteTopics
            | Api::DeleteRecords
            | Api::DescribeAcls
            | Api::CreateAcls
            | Api::DeleteAcls
            | Api::DescribeConfigs
            | Api::AlterConfigs
            | Api::AlterReplicaLogDirs
            | Api::DescribeLogDirs
            | Api::CreatePartitions
            | Api::CreateDelegationToken
            | Api::RenewDelegationToken
            | Api::ExpireDelegationToken
            | Api::DescribeDelegationToken
            | Api::ElectLeaders
            | Api::IncrementalAlterConfigs
            | Api::AlterPartitionReassignments
            | Api::ListPartitionReassignments
            | Api::DescribeClientQuotas
            | Api::AlterClientQuotas
            | Api::DescribeUserScramCredentials
            | Api::AlterUserScramCredentials
            | Api::DescribeQuorum
            | Api::UpdateFeatures
            | Api::UnregisterBroker
            | Api::ListConfigResources
            | Api::AddRaftVoter
            | Api::RemoveRaftVoter
            | Api::UpdateRaftVoter
            | Api::StreamsGroupTopologyDescriptionUpdate
            | Api::UnregisterController => Class::Admin,
            Api::SaslHandshake | Api::ApiVersions | Api::SaslAuthenticate => Class::Login,
            Api::LeaderAndIsr
            | Api::StopReplica
            | Api::UpdateMetadata
            | Api::ControlledShutdown
            | Api::WriteTxnMarkers
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
            | Api::InitializeShareGroupState
            | Api::ReadShareGroupState
            | Api::WriteShareGroupState
            | Api::DeleteShareGroupState
            | Api::ReadShareGroupStateSummary => Class::Internal,
        }
    }

    /// Whether the call keeps a group or a transaction alive, or finds what does: limits count it and never delay it.
    pub const fn is_pressing(self) -> bool {
        self.is_of_group_life()
            || matches!(
                self,
                Api::SaslHandshake
                    | Api::SaslAuthenticate
                    | Api::ApiVersions
                    | Api::FindCoordinator
                    | Api::AddPartitionsToTxn
                    | Api::AddOffsetsToTxn
                    | Api::TxnOffsetCommit
                    | Api::EndTxn
            )
    }

    /// Whether a group's life hangs on the call: a connection that carries it must never be kept from reading for long.
    pub const fn is_of_group_life(self) -> bool {
        matches!(
            self,
            Api::JoinGroup
                | Api::SyncGroup
                | Api::Heartbeat
                | Api::LeaveGroup
                | Api::OffsetCommit
                | Api::ConsumerGroupHeartbeat
                | Api::ShareGroupHeartbeat
                | Api::StreamsGroupHeartbeat
        )
    }
}
