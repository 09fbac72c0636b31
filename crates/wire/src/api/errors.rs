//! Where answers say that all of it failed: the one error code that is about the whole request, for every API by name.
//! A test compares it with Kafka's schemas.

use super::{Api, Stance};
use crate::error::{Malformed, code};
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};

impl Api {
    /// How many bytes are before the `ErrorCode` (an `i16`) of an answer's body, where that is a number which is known:
    /// nothing stands before it but fields of fixed width, as a rule `ThrottleTimeMs`.
    ///
    /// `None` where there is no such field, or a list before it, and for what is not spoken. Then errors are told item by
    /// item, or (`OffsetFetch` 2 to 7, `Metadata` 13) at the end.
    #[allow(clippy::too_many_lines, reason = "a table")]
    pub fn error_at(self, version: i16) -> Option<usize> {
        if self.stance() == Stance::Hidden || !self.speaks(version) {
            return None;
        }
        match self {
            Api::SaslHandshake
            | Api::ApiVersions
            | Api::SaslAuthenticate
            | Api::OffsetDelete
            | Api::DescribeQuorum => Some(0),
            Api::FindCoordinator if version >= 4 => None,
            Api::FindCoordinator | Api::Heartbeat | Api::LeaveGroup | Api::SyncGroup | Api::ListGroups
                if version == 0 =>
            {
                Some(0)
            }
            Api::JoinGroup if version <= 1 => Some(0),
            Api::Fetch if version <= 6 => None,
            Api::DescribeLogDirs if version <= 2 => None,
            Api::ElectLeaders if version == 0 => None,
            // Behind a bool as well: AllowReplicationFactorChange.
            Api::AlterPartitionReassignments if version >= 1 => Some(5),
            Api::Fetch
            | Api::FindCoordinator
            | Api::JoinGroup
            | Api::Heartbeat
            | Api::LeaveGroup
            | Api::SyncGroup
            | Api::ListGroups
            | Api::InitProducerId
            | Api::AddOffsetsToTxn
            | Api::EndTxn
            | Api::DescribeAcls
            | Api::DescribeLogDirs
            | Api::ElectLeaders
            | Api::AlterPartitionReassignments
            | Api::ListPartitionReassignments
            | Api::DescribeClientQuotas
            | Api::DescribeUserScramCredentials
            | Api::UpdateFeatures
            | Api::DescribeCluster
            | Api::UnregisterBroker
            | Api::ListTransactions
            | Api::ConsumerGroupHeartbeat
            | Api::GetTelemetrySubscriptions
            | Api::PushTelemetry
            | Api::ListConfigResources
            | Api::ShareGroupHeartbeat
            | Api::ShareFetch
            | Api::ShareAcknowledge
            | Api::StreamsGroupHeartbeat
            | Api::AlterShareGroupOffsets
            | Api::DeleteShareGroupOffsets => Some(4),
            Api::Produce
            | Api::ListOffsets
            | Api::Metadata
            | Api::OffsetCommit
            | Api::OffsetFetch
            | Api::DescribeGroups
            | Api::CreateTopics
            | Api::DeleteTopics
            | Api::DeleteRecords
            | Api::OffsetForLeaderEpoch
            | Api::AddPartitionsToTxn
            | Api::TxnOffsetCommit
            | Api::CreateAcls
            | Api::DeleteAcls
            | Api::DescribeConfigs
            | Api::AlterConfigs
            | Api::AlterReplicaLogDirs
            | Api::CreatePartitions
            | Api::DeleteGroups
            | Api::IncrementalAlterConfigs
            | Api::AlterClientQuotas
            | Api::DescribeProducers
            | Api::DescribeTransactions
            | Api::ConsumerGroupDescribe
            | Api::DescribeTopicPartitions
            | Api::ShareGroupDescribe
            | Api::StreamsGroupDescribe
            | Api::DescribeShareGroupOffsets
            | Api::LeaderAndIsr
            | Api::StopReplica
            | Api::UpdateMetadata
            | Api::ControlledShutdown
            | Api::WriteTxnMarkers
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
            | Api::UnregisterController => None,
        }
    }
}

/// The error code about the whole request, out of the beginning of an answer's frame (from the correlation id on).
/// `None` where the answer has none at a known place ([`Api::error_at`]), or its bytes are not here.
pub fn top_error(api: Api, version: i16, frame: &[u8]) -> Option<i16> {
    let before = api.error_at(version)?;
    let mut reader = Reader::new(frame, Encoding::Classic);
    answer_head(&mut reader, api.answer_header_is_flexible(version)).ok()?;
    reader.take(before, "before the error code").ok()?;
    reader.i16("error code").ok()
}

/// The code by which the answer to a `Heartbeat`, an `OffsetCommit` or a `LeaveGroup` says that its broker does not coordinate the group,
/// for now or any more: 14, 15 or 16. `None` for other answers and other APIs.
pub fn coordinator_error(api: Api, version: i16, frame: &[u8]) -> Option<i16> {
    let error = if api == Api::OffsetCommit {
        commit_error(version, frame).ok().flatten()
    } else if matches!(api, Api::Heartbeat | Api::LeaveGroup) {
        top_error(api, version, frame)
    } else {
        None
    };
    error.filter(|error| COORDINATOR_ERRORS.contains(error))
}

const COORDINATOR_ERRORS: [i16; 3] =
    [code::COORDINATOR_LOAD_IN_PROGRESS, code::COORDINATOR_NOT_AVAILABLE, code::NOT_COORDINATOR];

/// The first code about a coordinator in the answer to an `OffsetCommit`: it stands with every partition that the client may
/// use.
fn commit_error(version: i16, frame: &[u8]) -> Result<Option<i16>, Malformed> {
    let api = Api::OffsetCommit;
    let mut reader = Reader::new(frame, Encoding::of(api.request_is_flexible(version)));
    answer_head(&mut reader, api.answer_header_is_flexible(version))?;
    if version >= 3 {
        reader.i32("throttle time")?;
    }
    for _ in 0..reader.array_count("topics")? {
        if version >= 10 {
            reader.uuid("topic id")?;
        } else {
            reader.string_bytes("topic")?;
        }
        for _ in 0..reader.array_count("partitions")? {
            reader.i32("partition")?;
            let error = reader.i16("error code")?;
            if COORDINATOR_ERRORS.contains(&error) {
                return Ok(Some(error));
            }
            reader.skip_tags()?;
        }
        reader.skip_tags()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_behind_any_header_and_only_when_it_is_there() {
        let classic = b"\0\0\0\x01\0\0\0\0\0\x19more";
        assert_eq!(top_error(Api::Heartbeat, 3, classic), Some(25));
        assert_eq!(top_error(Api::Heartbeat, 0, b"\0\0\0\x01\xff\xff"), Some(-1));
        let tagged = b"\0\0\0\x01\x01\x05\x02xy\0\0\0\0\0\x19";
        assert_eq!(top_error(Api::Heartbeat, 4, tagged), Some(25));
        // Bodies are flexible, the header is not: a client reads it before it knows the broker.
        assert_eq!(top_error(Api::ApiVersions, 3, b"\0\0\0\x01\0\x23"), Some(35));
        for (version, frame, end) in [(3, &classic[..], 10), (4, &tagged[..], tagged.len())] {
            for cut in 0..end {
                assert_eq!(top_error(Api::Heartbeat, version, &frame[..cut]), None, "{version} {cut}");
            }
        }
        assert_eq!(top_error(Api::Heartbeat, 4, b"\0\0\0\x01\xff\xff\xff\xff\x0f\0\0\0\0\0\0"), None);
        assert_eq!(top_error(Api::Produce, 9, classic), None);
    }
}
