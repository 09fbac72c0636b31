//! What limits read of requests is what the oracle wrote.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeGroupsRequest, FetchRequest, HeartbeatRequest, JoinGroupRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, ShareFetchRequest, TopicName, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use proptest::prelude::*;
use wire::api::Api;
use wire::request::{
    Capped, Change, Mutation, Named, Subject, cap_fetch_bytes, each_mutation, group, mutations,
    shorten_fetch_wait,
};

use crate::encode;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// The group is found as soon as its last byte is here, and not before.
fn finds(api: Api, version: i16, body: &[u8], name: &str) {
    let read = |end: usize| group(api, version, &body[..end]).unwrap();
    let first = (0..=body.len()).find(|end| read(*end).is_some()).unwrap();
    assert!(body[..first].ends_with(name.as_bytes()), "{api} {version}");
    assert_eq!(read(first), Some(Named::Group(name.as_bytes())), "{api} {version}");
    assert_eq!(read(body.len()), Some(Named::Group(name.as_bytes())), "{api} {version}");
}

#[test]
fn a_group_is_found_as_soon_as_it_is_here() {
    let name = "consumers-of-everything";
    let id = || text(name).into();
    for version in 0..=9 {
        let request = JoinGroupRequest::default().with_group_id(id()).with_member_id(text("m"));
        finds(Api::JoinGroup, version, &encode(&request, version), name);
    }
    for version in 0..=4 {
        let request = HeartbeatRequest::default().with_group_id(id());
        finds(Api::Heartbeat, version, &encode(&request, version), name);
        let request = AddOffsetsToTxnRequest::default().with_group_id(id());
        let request = request.with_transactional_id(text("transaction").into()).with_producer_epoch(7);
        finds(Api::AddOffsetsToTxn, version, &encode(&request, version), name);
    }
    for version in 2..=9 {
        finds(
            Api::OffsetCommit,
            version,
            &encode(&OffsetCommitRequest::default().with_group_id(id()), version),
            name,
        );
    }
    for version in 0..=5 {
        let request = TxnOffsetCommitRequest::default().with_group_id(id());
        let request = request.with_transactional_id(text("transaction").into());
        finds(Api::TxnOffsetCommit, version, &encode(&request, version), name);
    }
    for version in 1..=9 {
        let mut request = OffsetFetchRequest::default();
        if version >= 8 {
            let another = OffsetFetchRequestGroup::default().with_group_id(text("another").into());
            request.groups = vec![OffsetFetchRequestGroup::default().with_group_id(id()), another];
        } else {
            request.group_id = id();
        }
        finds(Api::OffsetFetch, version, &encode(&request, version), name);
    }
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default().with_groups(vec![id(), text("another").into()]);
        finds(Api::DescribeGroups, version, &encode(&request, version), name);
    }
    let request = ShareFetchRequest::default().with_group_id(Some(id())).with_member_id(Some(text("m")));
    finds(Api::ShareFetch, 1, &encode(&request, 1), name);
}

#[test]
fn no_group_is_told_from_one_that_is_not_here_yet() {
    let none = Ok(Some(Named::NoGroup));
    assert_eq!(group(Api::ShareFetch, 1, &encode(&ShareFetchRequest::default(), 1)), none);
    assert_eq!(group(Api::OffsetFetch, 8, &encode(&OffsetFetchRequest::default(), 8)), none);
    assert_eq!(group(Api::DescribeGroups, 0, &[0; 4]), none);
    assert_eq!(group(Api::Metadata, 12, &encode(&MetadataRequest::default(), 12)), none);
    assert_eq!(group(Api::Heartbeat, 0, &[]), Ok(None));
    assert!(group(Api::Heartbeat, 0, &[0x80, 0]).is_err());
    assert!(group(Api::Heartbeat, 5, &[0; 9]).is_err());
}

fn create(name: &str, partitions: i32, assigned: i32) -> CreatableTopic {
    let assignment = |partition| {
        let brokers = vec![1.into(), 2.into()];
        CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(brokers)
    };
    let config = CreatableTopicConfig::default().with_name(text("k"));
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_assignments((0..assigned).map(assignment).collect())
        .with_configs(vec![config.clone().with_value(Some(text("v"))), config])
}

fn created(name: &str, partitions: Option<u32>) -> Mutation<'_> {
    Mutation { topic: Subject::Name(name.as_bytes()), change: Change::Create { partitions } }
}

/// What is read of a body, which is nothing of any beginning of it.
fn read(api: Api, version: i16, body: &[u8]) -> Vec<Mutation<'_>> {
    for end in 0..body.len() {
        assert!(mutations(api, version, &body[..end]).is_err(), "{api} {version} of {end}");
        let heard = each_mutation(api, version, &body[..end], |_| panic!("{api} {version} of {end}"));
        assert!(heard.is_err(), "{api} {version} of {end}");
    }
    let found = mutations(api, version, body).unwrap();
    let mut each = Vec::new();
    each_mutation(api, version, body, |mutation| each.push(mutation)).unwrap();
    assert_eq!(found, each);
    found
}

#[test]
fn creations_are_counted_by_what_they_ask_for() {
    for version in 2..=7 {
        let mut topics = vec![create("a", 12, 0), create("b", -1, 3), create("c", -1, 0), create("d", -7, 0)];
        // What brokers refuse: numbers beside brokers that are named, and a number of replicas that there is not.
        topics.extend([create("e", 3, 3), create("f", -1, 3).with_replication_factor(2)]);
        topics.extend([0, -2].map(|replicas| create("g", 3, 0).with_replication_factor(replicas)));
        let mut request = CreateTopicsRequest::default().with_topics(topics);
        let body = encode(&request, version);
        let zero = ["d", "e", "f", "g", "g"].map(|name| (name, Some(0)));
        let expected = [&[("a", Some(12)), ("b", Some(3)), ("c", None)], &zero[..]].concat();
        let expected: Vec<_> = expected.into_iter().map(|(name, count)| created(name, count)).collect();
        assert_eq!(read(Api::CreateTopics, version, &body), expected);
        if version == 2 {
            // Version 1 is the same, and version 0 has nothing to say about validation.
            assert_eq!(read(Api::CreateTopics, 1, &body), expected);
            assert_eq!(read(Api::CreateTopics, 0, &body[..body.len() - 1]), expected);
        }
        request.validate_only = true;
        assert_eq!(read(Api::CreateTopics, version, &encode(&request, version)), []);
    }
}

#[test]
fn growth_and_deletion_are_read_in_every_version() {
    for version in 0..=3 {
        let assignments = vec![CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]); 2];
        let grown = |name, count| {
            CreatePartitionsTopic::default().with_name(topic(name)).with_count(count).with_assignments(None)
        };
        let topics = vec![grown("a", 7), grown("b", 9).with_assignments(Some(assignments)), grown("c", -1)];
        let mut request = CreatePartitionsRequest::default().with_topics(topics);
        let expected = [("a", 7, None), ("b", 9, Some(2)), ("c", 0, None)].map(|(name, to, assigned)| {
            Mutation { topic: Subject::Name(str::as_bytes(name)), change: Change::Grow { to, assigned } }
        });
        assert_eq!(read(Api::CreatePartitions, version, &encode(&request, version)), expected);
        request.validate_only = true;
        assert_eq!(read(Api::CreatePartitions, version, &encode(&request, version)), []);
    }
    let gone = |topic| Mutation { topic, change: Change::Delete };
    for version in 1..=6 {
        let mut request = DeleteTopicsRequest::default();
        let mut expected = vec![gone(Subject::Name(b"a")), gone(Subject::Name(b"b"))];
        if version >= 6 {
            let named = |name| DeleteTopicState::default().with_name(Some(topic(name)));
            let by_id = DeleteTopicState::default().with_topic_id(uuid::Uuid::from_u128(7));
            // By both and by neither: brokers refuse it.
            let unclear =
                [by_id.clone().with_name(Some(topic("c"))), DeleteTopicState::default().with_name(None)];
            request.topics = [named("a"), named("b"), by_id].into_iter().chain(unclear).collect();
            expected.push(gone(Subject::Id(7_u128.to_be_bytes())));
        } else {
            request.topic_names = vec![topic("a"), topic("b")];
        }
        let body = encode(&request, version);
        assert_eq!(read(Api::DeleteTopics, version, &body), expected);
        if version == 1 {
            assert_eq!(read(Api::DeleteTopics, 0, &body), expected);
        }
    }
    assert!(mutations(Api::DeleteTopics, 7, &[0; 20]).is_err());
    assert!(mutations(Api::DeleteRecords, 0, &[0; 20]).is_err());
    assert!(mutations(Api::DeleteTopics, 1, b"\x7f\xff\xff\xff\0\x01a").is_err());
}

#[test]
fn only_the_size_of_a_whole_fetch_is_capped_and_only_lowered() {
    for version in 4..=18 {
        let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
        let request = FetchRequest::default()
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(50 << 20)
            .with_topics(vec![FetchTopic::default().with_partitions(vec![partition])]);
        let body = encode(&request, version);
        for (max, expected) in [(1 << 16, 1 << 16), (50 << 20, 50 << 20), (i32::MAX, 50 << 20), (-1, 0)] {
            let enough = if version < 15 { 16 } else { 12 };
            for end in 0..enough {
                let mut begun = body[..end].to_vec();
                assert_eq!(cap_fetch_bytes(version, &mut begun, max), Capped::NeedMore);
                assert_eq!(begun, body[..end]);
            }
            let mut capped = body[..enough].to_vec();
            let wanted =
                if expected < 50 << 20 { Capped::LoweredFrom(50 << 20) } else { Capped::Kept(50 << 20) };
            assert_eq!(cap_fetch_bytes(version, &mut capped, max), wanted, "{version}");
            capped.extend(&body[enough..]);
            let seen = FetchRequest::decode(&mut &capped[..], version).unwrap();
            assert_eq!(seen, request.clone().with_max_bytes(expected), "{version}");
        }
    }
    for version in [-1, 0, 2, 19] {
        let mut body = [0x7f; 40];
        assert_eq!(cap_fetch_bytes(version, &mut body, 1), Capped::NoField);
        assert_eq!(body, [0x7f; 40]);
    }
    // The oracle begins with version 4.
    let mut third = [0x7f; 40];
    assert_eq!(cap_fetch_bytes(3, &mut third, 1), Capped::LoweredFrom(0x7f7f_7f7f));
    assert_eq!((third[11], &third[12..16], third[16]), (0x7f, &[0, 0, 0, 1][..], 0x7f));
}

#[test]
fn what_a_fetch_has_waited_it_does_not_wait_again() {
    for version in 4..=18 {
        let request = FetchRequest::default().with_max_wait_ms(500);
        let body = encode(&request, version);
        let enough = if version < 15 { 8 } else { 4 };
        for (waited_ms, left_ms) in [(0, 500), (-7, 500), (120, 380), (500, 0), (i32::MAX, 0)] {
            for end in 0..enough {
                assert!(!shorten_fetch_wait(version, &mut body[..end].to_vec(), waited_ms));
            }
            let mut shortened = body.clone();
            assert!(shorten_fetch_wait(version, &mut shortened[..enough], waited_ms));
            let seen = FetchRequest::decode(&mut &shortened[..], version).unwrap();
            assert_eq!(seen, request.clone().with_max_wait_ms(left_ms), "{version}");
        }
    }
    let mut odd = (-1_i32).to_be_bytes();
    assert!(shorten_fetch_wait(16, &mut odd, 10));
    assert_eq!(odd, (-1_i32).to_be_bytes());
}

proptest! {
    #[test]
    fn hostile_requests_are_refused_without_harm(
        // Small numbers, so that many a count and many a length is true.
        bytes in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300),
    ) {
        for api in Api::ALL {
            for version in -1..=14 {
                let _ = group(api, version, &bytes);
                if let Ok(found) = mutations(api, version, &bytes) {
                    prop_assert!(found.len() <= bytes.len());
                }
            }
        }
    }
}
