//! Throttle times are raised where the oracle reads them, and nothing else is changed.

use std::collections::BTreeSet;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ApiVersionsResponse, ProduceResponse};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message};
use wire::api::{Api, Stance};
use wire::throttle::{Place, Raised, place, raise, read};

use crate::{decode, frame_of};

/// Raises the field of `with(there)` to `ours`, once the whole frame is here, and once when just enough of it is.
fn check<A>(api: Api, version: i16, with: impl Fn(i32) -> A)
where
    A: Encodable + Decodable + HeaderVersion + PartialEq + std::fmt::Debug,
{
    for (there, ours, tagged) in [(0, 1_500, false), (3_000, 1_500, true), (0x0102_0304, i32::MAX, true)] {
        let what = format!("{api} {version}, {there} and {ours}");
        let mut frame = frame_of(version, &with(there), tagged);
        assert_eq!(read(api, version, &frame), Some(there), "{what}");
        let near = matches!(place(api, version), Place::At(_));
        for end in if near { 0..frame.len().min(30) } else { 0..frame.len() } {
            let mut begun = frame[..end].to_vec();
            let raised = raise(api, version, &mut begun, ours).unwrap();
            if raised == Raised::NeedMore {
                assert_eq!(begun, frame[..end], "{what}");
                continue;
            }
            assert_eq!(raised, Raised::To(there.max(ours)), "{what} of {end}");
            begun.extend(&frame[end..]);
            assert_eq!(decode::<A>(version, &begun), with(there.max(ours)), "{what} of {end}");
        }
        assert_eq!(raise(api, version, &mut frame, ours), Ok(Raised::To(there.max(ours))), "{what}");
        assert_eq!(decode::<A>(version, &frame), with(there.max(ours)), "{what}");
    }
}

/// Checks the answers of these APIs in all versions that the oracle knows and that have the field.
macro_rules! check_all {
    ($checked:ident, $($api:ident => $answer:ident,)+) => {
        $({
            use kafka_protocol::messages::$answer;
            for version in $answer::VERSIONS.min..=$answer::VERSIONS.max {
                if place(Api::$api, version) == Place::None {
                    continue;
                }
                check(Api::$api, version, |there| $answer::default().with_throttle_time_ms(there));
                $checked.insert(Api::$api);
            }
        })+
    };
}

#[test]
fn what_is_raised_is_what_others_read() {
    let mut checked = BTreeSet::from([
        Api::Produce,
        Api::ApiVersions,
        // Unknown to the oracle; the schemas have them.
        Api::StreamsGroupHeartbeat,
        Api::StreamsGroupDescribe,
    ]);
    check_all!(checked,
        Fetch => FetchResponse, ListOffsets => ListOffsetsResponse, Metadata => MetadataResponse,
        OffsetCommit => OffsetCommitResponse, OffsetFetch => OffsetFetchResponse,
        FindCoordinator => FindCoordinatorResponse, JoinGroup => JoinGroupResponse,
        Heartbeat => HeartbeatResponse, LeaveGroup => LeaveGroupResponse, SyncGroup => SyncGroupResponse,
        DescribeGroups => DescribeGroupsResponse, ListGroups => ListGroupsResponse,
        CreateTopics => CreateTopicsResponse, DeleteTopics => DeleteTopicsResponse,
        DeleteRecords => DeleteRecordsResponse, InitProducerId => InitProducerIdResponse,
        OffsetForLeaderEpoch => OffsetForLeaderEpochResponse, AddPartitionsToTxn => AddPartitionsToTxnResponse,
        AddOffsetsToTxn => AddOffsetsToTxnResponse, EndTxn => EndTxnResponse,
        TxnOffsetCommit => TxnOffsetCommitResponse, DescribeAcls => DescribeAclsResponse,
        CreateAcls => CreateAclsResponse, DeleteAcls => DeleteAclsResponse,
        DescribeConfigs => DescribeConfigsResponse, AlterConfigs => AlterConfigsResponse,
        AlterReplicaLogDirs => AlterReplicaLogDirsResponse, DescribeLogDirs => DescribeLogDirsResponse,
        CreatePartitions => CreatePartitionsResponse, DeleteGroups => DeleteGroupsResponse,
        ElectLeaders => ElectLeadersResponse, IncrementalAlterConfigs => IncrementalAlterConfigsResponse,
        AlterPartitionReassignments => AlterPartitionReassignmentsResponse,
        ListPartitionReassignments => ListPartitionReassignmentsResponse, OffsetDelete => OffsetDeleteResponse,
        DescribeClientQuotas => DescribeClientQuotasResponse, AlterClientQuotas => AlterClientQuotasResponse,
        DescribeUserScramCredentials => DescribeUserScramCredentialsResponse,
        UpdateFeatures => UpdateFeaturesResponse, DescribeCluster => DescribeClusterResponse,
        DescribeProducers => DescribeProducersResponse, UnregisterBroker => UnregisterBrokerResponse,
        DescribeTransactions => DescribeTransactionsResponse, ListTransactions => ListTransactionsResponse,
        ConsumerGroupHeartbeat => ConsumerGroupHeartbeatResponse,
        ConsumerGroupDescribe => ConsumerGroupDescribeResponse,
        GetTelemetrySubscriptions => GetTelemetrySubscriptionsResponse, PushTelemetry => PushTelemetryResponse,
        ListConfigResources => ListConfigResourcesResponse,
        DescribeTopicPartitions => DescribeTopicPartitionsResponse,
        ShareGroupHeartbeat => ShareGroupHeartbeatResponse, ShareGroupDescribe => ShareGroupDescribeResponse,
        ShareFetch => ShareFetchResponse, ShareAcknowledge => ShareAcknowledgeResponse,
        DescribeShareGroupOffsets => DescribeShareGroupOffsetsResponse,
        AlterShareGroupOffsets => AlterShareGroupOffsetsResponse,
        DeleteShareGroupOffsets => DeleteShareGroupOffsetsResponse,
    );
    let known = Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden);
    let with_field = known.filter(|api| place(*api, api.row().max) != Place::None);
    assert_eq!(checked, with_field.collect());
}

#[test]
fn a_produce_answer_is_raised_behind_its_topics() {
    for version in 3..=13 {
        for topics in 0..3 {
            let flexible = version >= 9;
            check(Api::Produce, version, |there| {
                let mut answer = ProduceResponse::default().with_throttle_time_ms(there);
                let mut partition = PartitionProduceResponse::default().with_index(1).with_base_offset(-1);
                if version >= 8 {
                    partition.error_message = Some("why not".into());
                }
                if version >= 10 {
                    partition.current_leader = LeaderIdAndEpoch::default().with_leader_epoch(7);
                    answer.node_endpoints.push(NodeEndpoint::default().with_host("host".into()));
                }
                if flexible {
                    answer.unknown_tagged_fields.insert(33, vec![0; 9].into());
                }
                let mut topic = TopicProduceResponse::default()
                    .with_partition_responses(vec![partition.clone(), partition]);
                if version >= 13 {
                    topic.topic_id = uuid::Uuid::from_u128(5);
                } else {
                    topic.name = kafka_protocol::protocol::StrBytes::from("topic").into();
                }
                answer.responses = vec![topic; topics];
                answer
            });
        }
    }
    // Versions 1 and 2 are older than the oracle: a partition is without its log start offset.
    for version in 1..=2 {
        let mut before = b"\0\0\0\x01\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x09\0\0\0\0\0\0\0\0\0\x05".to_vec();
        if version == 2 {
            before.extend([0xff; 8]);
        }
        let mut frame = [&before[..], &[0, 0, 0, 9]].concat();
        assert_eq!(raise(Api::Produce, version, &mut frame, 70), Ok(Raised::To(70)));
        assert_eq!(frame, [&before[..], &[0, 0, 0, 70]].concat());
    }
}

#[test]
fn an_answer_about_versions_is_raised_behind_them() {
    for version in 1..=4 {
        for count in [0, 3, 200] {
            check(Api::ApiVersions, version, |there| {
                let keys = vec![ApiVersion::default().with_api_key(18).with_max_version(4); count];
                ApiVersionsResponse::default().with_api_keys(keys).with_throttle_time_ms(there)
            });
        }
    }
}
