//! What each API does at a broker, and the code that tells its clients that the broker cannot be reached: one that all of
//! them take as a reason to look again.

use super::Asked;
use wire::api::Api;
use wire::error::code;

/// What a request does at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Nothing,
    /// It may be done twice, or its second time is refused with a code that heals by itself.
    Harmless,
    /// Its client repeats it by itself, at the coordinator or in the session that it then finds.
    Repeated,
    /// It changes something, perhaps for good, and must not be done behind the back of who asked for it.
    Once,
    /// It appends records, each of which must be there once and in order.
    Records,
    /// As above, and its producer does not want to know.
    Unanswered,
}

/// What the request does, and what is true when its broker stays away and nothing can have come of it. `None` for what no
/// broker ever gets.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) const fn row(api: Api, asked: Asked) -> Option<(Effect, i16)> {
    Some(match api {
        Api::Produce => match asked {
            Asked::Records { acks: 0 } => (Effect::Unanswered, code::NONE),
            Asked::Records { .. } | Asked::Plain | Asked::InSession | Asked::Transactional => {
                (Effect::Records, code::NOT_LEADER_OR_FOLLOWER)
            }
        },
        // A session that was there for one of two is answered with 70 or 71 by the broker itself. Only the partitions that have
        // changed are named in a session: its end makes the client name all of them.
        Api::Fetch => match asked {
            Asked::InSession => (Effect::Harmless, code::FETCH_SESSION_ID_NOT_FOUND),
            Asked::Plain | Asked::Records { .. } | Asked::Transactional => {
                (Effect::Harmless, code::NOT_LEADER_OR_FOLLOWER)
            }
        },
        // A share session ends with its connection. One that was about to begin can begin again: it acknowledges nothing.
        Api::ShareFetch | Api::ShareAcknowledge => match asked {
            Asked::InSession => (Effect::Repeated, code::SHARE_SESSION_NOT_FOUND),
            Asked::Plain | Asked::Records { .. } | Asked::Transactional => {
                (Effect::Harmless, code::NOT_LEADER_OR_FOLLOWER)
            }
        },
        // A producer id for nobody is wasted and no more; with a transactional id, a transaction ends. Without one there is no
        // coordinator to look for (a producer of Java's would look for that of null); brokers that have no id at hand say 14.
        Api::InitProducerId => match asked {
            Asked::Transactional => (Effect::Repeated, code::NOT_COORDINATOR),
            Asked::Plain | Asked::Records { .. } | Asked::InSession => {
                (Effect::Harmless, code::COORDINATOR_LOAD_IN_PROGRESS)
            }
        },
        Api::Metadata => (Effect::Nothing, code::LEADER_NOT_AVAILABLE),
        Api::ListOffsets | Api::OffsetForLeaderEpoch | Api::DescribeProducers => {
            (Effect::Nothing, code::NOT_LEADER_OR_FOLLOWER)
        }
        Api::DeleteRecords => (Effect::Once, code::NOT_LEADER_OR_FOLLOWER),
        Api::OffsetFetch
        | Api::DescribeGroups
        | Api::DescribeTransactions
        | Api::ConsumerGroupDescribe
        | Api::ShareGroupDescribe
        | Api::StreamsGroupDescribe
        | Api::DescribeShareGroupOffsets => (Effect::Nothing, code::NOT_COORDINATOR),
        // Of no group or transaction in particular, so that nobody can be the wrong coordinator.
        Api::FindCoordinator | Api::ListGroups | Api::ListTransactions => {
            (Effect::Nothing, code::COORDINATOR_NOT_AVAILABLE)
        }
        Api::Heartbeat | Api::OffsetCommit => (Effect::Harmless, code::NOT_COORDINATOR),
        Api::JoinGroup
        | Api::SyncGroup
        | Api::LeaveGroup
        | Api::AddPartitionsToTxn
        | Api::AddOffsetsToTxn
        | Api::EndTxn
        | Api::TxnOffsetCommit
        | Api::ConsumerGroupHeartbeat
        | Api::ShareGroupHeartbeat
        | Api::StreamsGroupHeartbeat => (Effect::Repeated, code::NOT_COORDINATOR),
        Api::DeleteGroups
        | Api::OffsetDelete
        | Api::AlterShareGroupOffsets
        | Api::DeleteShareGroupOffsets => (Effect::Once, code::NOT_COORDINATOR),
        // Any code but this one (and one of its kind) makes clients of Java's end their telemetry for good.
        Api::GetTelemetrySubscriptions => (Effect::Nothing, code::THROTTLING_QUOTA_EXCEEDED),
        Api::PushTelemetry => (Effect::Repeated, code::THROTTLING_QUOTA_EXCEEDED),
        // Those that clients send to the controller, and whose refusal by another broker they know.
        Api::CreateTopics
        | Api::DeleteTopics
        | Api::CreatePartitions
        | Api::AlterPartitionReassignments
        | Api::UpdateFeatures => (Effect::Once, code::NOT_CONTROLLER),
        Api::ListPartitionReassignments => (Effect::Nothing, code::NOT_CONTROLLER),
        Api::DescribeAcls
        | Api::DescribeConfigs
        | Api::DescribeLogDirs
        | Api::DescribeClientQuotas
        | Api::DescribeUserScramCredentials
        | Api::DescribeQuorum
        | Api::DescribeCluster
        | Api::ListConfigResources
        | Api::DescribeTopicPartitions => (Effect::Nothing, code::REQUEST_TIMED_OUT),
        Api::CreateAcls
        | Api::DeleteAcls
        | Api::AlterConfigs
        | Api::IncrementalAlterConfigs
        | Api::AlterReplicaLogDirs
        | Api::ElectLeaders
        | Api::AlterClientQuotas
        | Api::UnregisterBroker => (Effect::Once, code::REQUEST_TIMED_OUT),
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
        | Api::UnregisterController => return None,
    })
}
