//! What wire reads, rewrites and refuses, against bytes that Java's kafka-clients made (see `vectors/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterClientQuotasResponse, AlterConfigsResponse,
    AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, AlterShareGroupOffsetsResponse,
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreateAclsResponse,
    CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse, DeleteGroupsResponse,
    DeleteRecordsResponse, DeleteShareGroupOffsetsResponse, DeleteTopicsResponse, DescribeAclsResponse,
    DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse,
    DescribeLogDirsResponse, DescribeProducersResponse, DescribeQuorumResponse,
    DescribeShareGroupOffsetsResponse, DescribeTopicPartitionsResponse, DescribeTransactionsResponse,
    DescribeUserScramCredentialsResponse, ElectLeadersResponse, EndTxnResponse, FetchResponse,
    FindCoordinatorResponse, GetTelemetrySubscriptionsResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse,
    ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, PushTelemetryResponse, ShareAcknowledgeResponse,
    ShareFetchResponse, ShareGroupDescribeResponse, ShareGroupHeartbeatResponse, SyncGroupResponse,
    TxnOffsetCommitResponse, UnregisterBrokerResponse, UpdateFeaturesResponse,
};
use kafka_protocol::protocol::{Decodable, Message};
use wire::address::{Advertised, Book, CorrelationId, NodeId};
use wire::answer::{Front, Splice, mask_broker_configs, metadata_front, rewrite};
use wire::api::{AnswerPath, Api, coordinator_error};
use wire::refuse::{refuse, refuse_throttled};
use wire::tail::{TailOutcome, force_consumer, rewrite_in_place};
use wire::throttle::{Place, Raised, place, raise};
use wire::walk::{Fed, Walker};

const REFUSALS: &[&str] = &[include_str!("vectors/refusals.txt"), include_str!("vectors/refusals-3.9.1.txt")];
const ANSWERS: &[&str] = &[include_str!("vectors/answers.txt"), include_str!("vectors/answers-3.9.1.txt")];
const FETCH_REQUESTS: &[&str] = &[include_str!("vectors/fetch-requests.txt")];

const HEADERS: &[&str] = &[include_str!("vectors/headers.txt")];

/// Every broker's own host has this in it.
const BEHIND: &[u8] = b"behind.the.gate";

fn bytes(word: &str) -> Vec<u8> {
    if word == "-" {
        return Vec::new();
    }
    assert!(word.len().is_multiple_of(2), "{word}");
    (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()).collect()
}

fn lines<const N: usize>(files: &[&'static str]) -> Vec<[&'static str; N]> {
    let lines: Vec<_> = files
        .iter()
        .flat_map(|file| file.lines())
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect::<Vec<_>>().try_into().unwrap())
        .collect();
    assert!(!lines.is_empty());
    lines
}

struct Case {
    api: Api,
    version: i16,
    tail: Option<usize>,
    frame: Vec<u8>,
    rewritten: Vec<u8>,
}

fn answers(path: AnswerPath) -> Vec<Case> {
    let cases: Vec<_> = lines::<5>(ANSWERS)
        .into_iter()
        .map(|[api, version, tail, frame, rewritten]| Case {
            api: Api::from_key(api.parse().unwrap()).unwrap(),
            version: version.parse().unwrap(),
            tail: tail.parse().ok(),
            frame: bytes(frame),
            rewritten: bytes(rewritten),
        })
        .filter(|case| case.api.answer_path(case.version) == path)
        .collect();
    assert!(!cases.is_empty(), "{path:?}");
    cases
}

/// The gateway of the vectors: ports for the nodes 1 and 2.
fn book() -> Book {
    Book::new([1, 2].map(|node| {
        let port = 19_100 + u16::try_from(node).unwrap();
        (NodeId(node), Advertised { host: "gate.example".into(), port })
    }))
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn spliced(frame: &[u8], splice: Splice) -> Vec<u8> {
    match splice {
        Splice::Unchanged => frame.to_vec(),
        Splice::Replaced(frame) => frame,
    }
}

#[test]
fn a_refusal_is_what_kafka_itself_answers() {
    for [api, version, request, code, message, answer] in lines::<6>(REFUSALS) {
        let api = Api::from_key(api.parse().unwrap()).unwrap();
        let version: i16 = version.parse().unwrap();
        let message = String::from_utf8(bytes(message)).unwrap();
        let frame =
            refuse(api, version, CorrelationId(7), &bytes(request), code.parse().unwrap(), &message).unwrap();
        let expected = wire::head::answer_frame(
            CorrelationId(7),
            api.answer_header_is_flexible(version),
            &bytes(answer),
        );
        assert_eq!(frame, expected, "{api} {version}, request {request}");
    }
}

#[test]
fn a_refusal_asks_for_quiet_where_its_version_can() {
    for [api, version, request, code, message, _] in lines::<6>(REFUSALS) {
        let api = Api::from_key(api.parse().unwrap()).unwrap();
        let version: i16 = version.parse().unwrap();
        let (request, message) = (bytes(request), String::from_utf8(bytes(message)).unwrap());
        let refused = |throttle_ms| {
            let code = code.parse().unwrap();
            refuse_throttled(api, version, CorrelationId(7), &request, code, &message, throttle_ms).unwrap()
        };
        let mut frame = refused(0);
        let raised = raise(api, version, &mut frame[4..], 1_500);
        let has_field = place(api, version) != Place::None;
        assert_eq!(raised, Ok(if has_field { Raised::To(1_500) } else { Raised::NoField }));
        assert_eq!(refused(1_500), frame, "{api} {version}");
    }
}

#[test]
fn an_answer_that_sends_to_another_coordinator_is_known_in_every_version() {
    let mut seen = 0;
    for [api, version, request, _, _, _] in lines::<6>(REFUSALS) {
        let api = Api::from_key(api.parse().unwrap()).unwrap();
        let (version, request) = (version.parse().unwrap(), bytes(request));
        let is_of_members = matches!(api, Api::Heartbeat | Api::OffsetCommit | Api::LeaveGroup);
        for code in [0, 14, 15, 16, 25] {
            let frame = refuse(api, version, CorrelationId(7), &request, code, "").unwrap();
            let known = coordinator_error(api, version, &frame[4..]);
            let wanted = (is_of_members && (14..=16).contains(&code)).then_some(code);
            assert_eq!(known, wanted, "{api} {version}");
            seen += u32::from(known.is_some());
        }
    }
    assert!(seen > 40, "{seen}");
}

/// Decodes a body to its last byte; false where the oracle does not know the version.
fn decodes<A: Decodable + Message>(version: i16, body: &[u8]) -> bool {
    if version < A::VERSIONS.min || version > A::VERSIONS.max {
        return false;
    }
    let mut body = Bytes::copy_from_slice(body);
    A::decode(&mut body, version).unwrap();
    body.is_empty() || panic!("{} bytes follow", body.len())
}

macro_rules! decode_one_of {
    ($api:expr, $version:expr, $body:expr, $($name:ident => $answer:ty),+ $(,)?) => {
        $(if $api == Api::$name { return decodes::<$answer>($version, $body); })+
    };
}

fn decodes_as(api: Api, version: i16, body: &[u8]) -> bool {
    decode_one_of!(api, version, body,
        FindCoordinator => FindCoordinatorResponse,
        CreateTopics => CreateTopicsResponse,
        DeleteTopics => DeleteTopicsResponse,
        CreatePartitions => CreatePartitionsResponse,
        DescribeAcls => DescribeAclsResponse,
        CreateAcls => CreateAclsResponse,
        DeleteAcls => DeleteAclsResponse,
        DescribeConfigs => DescribeConfigsResponse,
        AlterConfigs => AlterConfigsResponse,
        IncrementalAlterConfigs => IncrementalAlterConfigsResponse,
        AlterReplicaLogDirs => AlterReplicaLogDirsResponse,
        DescribeLogDirs => DescribeLogDirsResponse,
        ElectLeaders => ElectLeadersResponse,
        AlterPartitionReassignments => AlterPartitionReassignmentsResponse,
        ListPartitionReassignments => ListPartitionReassignmentsResponse,
        DescribeClientQuotas => DescribeClientQuotasResponse,
        AlterClientQuotas => AlterClientQuotasResponse,
        DescribeUserScramCredentials => DescribeUserScramCredentialsResponse,
        DescribeQuorum => DescribeQuorumResponse,
        UpdateFeatures => UpdateFeaturesResponse,
        DescribeCluster => DescribeClusterResponse,
        UnregisterBroker => UnregisterBrokerResponse,
        ListConfigResources => ListConfigResourcesResponse,
        Fetch => FetchResponse,
        ListOffsets => ListOffsetsResponse,
        Metadata => MetadataResponse,
        OffsetCommit => OffsetCommitResponse,
        OffsetFetch => OffsetFetchResponse,
        JoinGroup => JoinGroupResponse,
        Heartbeat => HeartbeatResponse,
        LeaveGroup => LeaveGroupResponse,
        SyncGroup => SyncGroupResponse,
        DescribeGroups => DescribeGroupsResponse,
        ListGroups => ListGroupsResponse,
        DeleteRecords => DeleteRecordsResponse,
        InitProducerId => InitProducerIdResponse,
        OffsetForLeaderEpoch => OffsetForLeaderEpochResponse,
        AddPartitionsToTxn => AddPartitionsToTxnResponse,
        AddOffsetsToTxn => AddOffsetsToTxnResponse,
        EndTxn => EndTxnResponse,
        TxnOffsetCommit => TxnOffsetCommitResponse,
        DeleteGroups => DeleteGroupsResponse,
        OffsetDelete => OffsetDeleteResponse,
        DescribeProducers => DescribeProducersResponse,
        DescribeTransactions => DescribeTransactionsResponse,
        ListTransactions => ListTransactionsResponse,
        ConsumerGroupHeartbeat => ConsumerGroupHeartbeatResponse,
        ConsumerGroupDescribe => ConsumerGroupDescribeResponse,
        GetTelemetrySubscriptions => GetTelemetrySubscriptionsResponse,
        PushTelemetry => PushTelemetryResponse,
        DescribeTopicPartitions => DescribeTopicPartitionsResponse,
        ShareGroupHeartbeat => ShareGroupHeartbeatResponse,
        ShareGroupDescribe => ShareGroupDescribeResponse,
        ShareFetch => ShareFetchResponse,
        ShareAcknowledge => ShareAcknowledgeResponse,
        DescribeShareGroupOffsets => DescribeShareGroupOffsetsResponse,
        AlterShareGroupOffsets => AlterShareGroupOffsetsResponse,
        DeleteShareGroupOffsets => DeleteShareGroupOffsetsResponse,
    );
    // Of these it has no message at all.
    assert!(matches!(api, Api::StreamsGroupHeartbeat | Api::StreamsGroupDescribe), "{api} is never refused");
    false
}

#[test]
fn a_refusal_is_also_read_by_the_other_oracle_where_it_knows_the_version() {
    let mut unknown = BTreeSet::new();
    for [api, version, request, code, message, _] in lines::<6>(REFUSALS) {
        let api = Api::from_key(api.parse().unwrap()).unwrap();
        let version: i16 = version.parse().unwrap();
        let message = String::from_utf8(bytes(message)).unwrap();
        let frame =
            refuse(api, version, CorrelationId(7), &bytes(request), code.parse().unwrap(), &message).unwrap();
        let head = if api.answer_header_is_flexible(version) { 9 } else { 8 };
        if !decodes_as(api, version, &frame[head..]) {
            unknown.insert((api, version));
        }
    }
    let java_alone = [
        (Api::Fetch, 0),
        (Api::Fetch, 1),
        (Api::Fetch, 2),
        (Api::Fetch, 3),
        (Api::ListOffsets, 0),
        (Api::ListOffsets, 11),
        (Api::OffsetCommit, 0),
        (Api::OffsetCommit, 1),
        (Api::OffsetFetch, 0),
        (Api::CreateTopics, 0),
        (Api::CreateTopics, 1),
        (Api::DeleteTopics, 0),
        (Api::OffsetForLeaderEpoch, 0),
        (Api::OffsetForLeaderEpoch, 1),
        (Api::DescribeAcls, 0),
        (Api::CreateAcls, 0),
        (Api::DeleteAcls, 0),
        (Api::DescribeConfigs, 0),
        (Api::AlterReplicaLogDirs, 0),
        (Api::DescribeLogDirs, 0),
        (Api::DescribeLogDirs, 5),
        (Api::ShareFetch, 2),
        (Api::ShareAcknowledge, 2),
        (Api::StreamsGroupHeartbeat, 0),
        (Api::StreamsGroupDescribe, 0),
        (Api::DescribeShareGroupOffsets, 1),
    ];
    assert_eq!(unknown, BTreeSet::from(java_alone));
}

#[test]
fn every_version_that_can_be_refused_has_a_vector() {
    let lines = lines::<6>(REFUSALS);
    for api in Api::ALL {
        for version in api.row().min..=api.row().max {
            let has =
                lines.iter().any(|line| line[0] == api.key().to_string() && line[1] == version.to_string());
            assert_eq!(has, wire::refuse::is_refusable(api, version), "{api} {version}");
        }
    }
}

#[test]
fn a_tail_begins_where_java_put_it_however_the_bytes_arrive() {
    for case in answers(AnswerPath::Tailed) {
        for step in [1, 2, 7, 64, case.frame.len()] {
            let mut walker = Walker::answer(case.api, case.version).unwrap();
            let mut seen = 0;
            let at = case.frame.chunks(step).find_map(|chunk| match walker.feed(chunk).unwrap() {
                Fed::All => {
                    seen += chunk.len();
                    None
                }
                Fed::Tail(before) => Some(seen + before),
            });
            assert_eq!(at, case.tail, "{} {} in steps of {step}", case.api, case.version);
        }
    }
}

#[test]
fn an_answer_held_whole_is_rewritten_as_java_writes_it() {
    for case in answers(AnswerPath::Tailed).into_iter().chain(answers(AnswerPath::Whole)) {
        let mut left_out = Vec::new();
        let splice = rewrite(case.api, case.version, &case.frame, &book(), &mut left_out).unwrap();
        let rewritten = spliced(&case.frame, splice);
        assert_eq!(rewritten, case.rewritten, "{} {}", case.api, case.version);
        assert!(left_out.is_empty() || left_out == [NodeId(9)], "{left_out:?}");
        assert!(!contains(&rewritten, BEHIND));
    }
}

#[test]
fn a_streamed_tail_keeps_its_length_and_loses_its_hosts() {
    for case in answers(AnswerPath::Tailed) {
        let mut tail = case.frame[case.tail.unwrap()..].to_vec();
        let had_hosts = contains(&tail, BEHIND);
        let outcome = rewrite_in_place(case.api, case.version, &mut tail, &book(), &mut Vec::new()).unwrap();
        let expected = if had_hosts { TailOutcome::Rewritten } else { TailOutcome::Untouched };
        assert_eq!(outcome, expected, "{} {}", case.api, case.version);
        assert_eq!(tail.len(), case.frame.len() - case.tail.unwrap());
        assert!(!contains(&tail, BEHIND));
        assert_eq!(contains(&tail, b"gate.example"), had_hosts);
    }
}

#[test]
fn metadata_is_rewritten_as_java_writes_it_as_soon_as_its_brokers_are_here() {
    for case in answers(AnswerPath::Metadata) {
        let book = book();
        let mut left_out = Vec::new();
        let (at, front) = (0..=case.frame.len())
            .find_map(|end| {
                match metadata_front(case.version, &case.frame[..end], &book, &mut left_out).unwrap() {
                    Front::Need => None,
                    Front::Done { consumed, replacement } => {
                        Some((consumed, [&replacement, &case.frame[consumed..]].concat()))
                    }
                }
            })
            .unwrap();
        assert!(at < case.frame.len());
        assert_eq!(front, case.rewritten, "version {}", case.version);
        assert_eq!(left_out, [NodeId(9)]);
    }
}

#[test]
fn configurations_of_brokers_are_masked_and_others_are_not() {
    let cases: Vec<_> =
        answers(AnswerPath::Pass).into_iter().filter(|case| case.api == Api::DescribeConfigs).collect();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let masked = spliced(&case.frame, mask_broker_configs(case.version, &case.frame).unwrap());
        assert_eq!(masked, case.rewritten, "version {}", case.version);
    }
}

#[test]
fn a_fetch_is_always_a_consumers() {
    for [version, tail, body, forced] in lines::<4>(FETCH_REQUESTS) {
        let mut body = bytes(body);
        let before = body.clone();
        let mut walker = Walker::fetch_request(version.parse().unwrap());
        let Fed::Tail(at) = walker.feed(&body).unwrap() else { panic!("no tail") };
        assert_eq!(at, tail.parse::<usize>().unwrap(), "version {version}");
        let changed = force_consumer(&mut body[at..]).unwrap();
        assert_eq!(body, bytes(forced), "version {version}");
        assert_eq!(changed, body != before);
    }
}

#[test]
fn headers_are_those_of_kafka() {
    for [api, version, request, answer] in lines::<4>(HEADERS) {
        let api = Api::from_key(api.parse().unwrap()).unwrap();
        let version = version.parse().unwrap();
        assert_eq!(if api.request_is_flexible(version) { "2" } else { "1" }, request, "{api} {version}");
        assert_eq!(if api.answer_header_is_flexible(version) { "1" } else { "0" }, answer, "{api} {version}");
    }
}
