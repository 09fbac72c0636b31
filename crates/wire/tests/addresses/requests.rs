//! What is read of requests, against what the oracle wrote.

use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeClusterRequest, DescribeConfigsRequest, FetchRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, alter_configs_request, describe_configs_request,
    incremental_alter_configs_request,
};
use proptest::prelude::*;
use wire::api::Api;
use wire::request::{
    cluster_endpoint_type, config_resources, coordinator_key_type, force_replica, produce_acks,
};
use wire::tail::force_consumer;
use wire::walk::{Fed, Walker};

use crate::dice::Dice;
use crate::messages::{self, decode, encode, many};

/// `ConfigResource`s as (type, name).
fn named(api: Api, version: i16, body: &[u8]) -> Vec<(i8, Vec<u8>)> {
    let resources = config_resources(api, version, body).unwrap();
    resources.into_iter().map(|resource| (resource.kind, resource.name.to_vec())).collect()
}

proptest! {
    #[test]
    fn acks_are_read_as_soon_as_they_are_here(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let request = messages::produce_request(dice, version);
            let body = encode(&request, version);
            let first = (0..=body.len()).find_map(|end| produce_acks(&body[..end], version).unwrap());
            prop_assert_eq!(first, Some(request.acks));
            let at = (0..=body.len()).find(|end| produce_acks(&body[..*end], version).unwrap().is_some()).unwrap();
            prop_assert_eq!(&body[at - 2..at], request.acks.to_be_bytes());
        }
    }

    #[test]
    fn the_replica_of_a_fetch_becomes_a_consumer(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 4..=18 {
            let mut request = messages::fetch_request(dice, version);
            let mut body = encode(&request, version);
            let forced = if version >= 15 {
                let Fed::Tail(at) = Walker::fetch_request(version).feed(&body).unwrap() else { panic!("no tail") };
                force_consumer(&mut body[at..]).unwrap()
            } else {
                force_replica(Api::Fetch, version, &mut body).unwrap()
            };
            let was = if version >= 15 { request.replica_state.replica_id.0 } else { request.replica_id.0 };
            prop_assert_eq!(forced, was != -1);
            request.replica_id = (-1).into();
            request.replica_state.replica_id = (-1).into();
            let seen: FetchRequest = decode(&body, version);
            prop_assert_eq!(seen, request);
        }
    }

    #[test]
    fn config_resources_are_found(seed: u64) {
        let dice = &mut Dice(seed);
        let wanted = many(dice, 5, |dice| (dice.i8(), dice.text()));
        let names: Vec<(i8, Vec<u8>)> = wanted.iter().map(|(kind, name)| (*kind, name.as_bytes().to_vec())).collect();
        for version in 1..=4 {
            let mut request = DescribeConfigsRequest::default();
            request.resources = wanted.iter().map(|(kind, name)| {
                let mut resource = describe_configs_request::DescribeConfigsResource::default();
                (resource.resource_type, resource.resource_name) = (*kind, name.clone());
                resource.configuration_keys = dice.yes().then(|| many(dice, 3, Dice::text));
                resource.unknown_tagged_fields = dice.tags(version >= 4);
                resource
            }).collect();
            prop_assert_eq!(&named(Api::DescribeConfigs, version, &encode(&request, version)), &names);
        }
        for version in 0..=2 {
            let mut request = AlterConfigsRequest::default();
            request.resources = wanted.iter().map(|(kind, name)| {
                let mut resource = alter_configs_request::AlterConfigsResource::default();
                (resource.resource_type, resource.resource_name) = (*kind, name.clone());
                resource.configs = many(dice, 3, |dice| {
                    let mut config = alter_configs_request::AlterableConfig::default();
                    (config.name, config.value) = (dice.text(), dice.maybe_text());
                    config
                });
                resource
            }).collect();
            prop_assert_eq!(&named(Api::AlterConfigs, version, &encode(&request, version)), &names);
        }
        for version in 0..=1 {
            let mut request = IncrementalAlterConfigsRequest::default();
            request.resources = wanted.iter().map(|(kind, name)| {
                let mut resource = incremental_alter_configs_request::AlterConfigsResource::default();
                (resource.resource_type, resource.resource_name) = (*kind, name.clone());
                resource.configs = many(dice, 3, |dice| {
                    let mut config = incremental_alter_configs_request::AlterableConfig::default();
                    (config.name, config.config_operation, config.value) = (dice.text(), dice.i8(), dice.maybe_text());
                    config
                });
                resource
            }).collect();
            prop_assert_eq!(&named(Api::IncrementalAlterConfigs, version, &encode(&request, version)), &names);
        }
    }

    #[test]
    fn key_and_endpoint_types_are_found(kind: i8) {
        for version in 1..=6 {
            let mut request = FindCoordinatorRequest::default();
            request.key_type = kind;
            if version >= 4 {
                request.coordinator_keys = vec!["a".into(), "b".into()];
            } else {
                request.key = "a".into();
            }
            prop_assert_eq!(coordinator_key_type(version, &encode(&request, version)), Ok(kind));
        }
        for version in 1..=2 {
            let mut request = DescribeClusterRequest::default();
            request.endpoint_type = kind;
            prop_assert_eq!(cluster_endpoint_type(version, &encode(&request, version)), Ok(kind));
        }
        prop_assert_eq!(coordinator_key_type(0, b"\0\x01a"), Ok(0));
        prop_assert_eq!(cluster_endpoint_type(0, &[1, 0]), Ok(1));
    }
}

/// Kafka takes the last of several tags, and reads known tags without looking at their sizes.
#[test]
fn a_replica_cannot_hide_in_the_tail() {
    let state = |replica: u8| [1, 13, 0, 0, 0, replica, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut twice = [[2_u8].as_slice(), &state(7), &state(8)].concat();
    assert_eq!(force_consumer(&mut twice), Ok(true));
    assert!(twice.windows(4).filter(|bytes| *bytes == [0xff; 4]).count() == 2);
    let mut behind = vec![1, 1, 28];
    behind.extend(&state(7)[2..]);
    behind.extend(state(8));
    assert!(force_consumer(&mut behind).is_err());
    assert!(force_consumer(&mut [1, 1, 4, 0, 0, 0, 7]).is_err());
    assert!(force_consumer(&mut [1, 0, 3, 2, b'c', 9]).is_err());
    assert_eq!(force_consumer(&mut [0, 1, 2, 3]), Ok(false));
}

/// A partition's directory id is 16 bytes for Kafka, whatever its tag claims.
#[test]
fn a_replica_cannot_hide_behind_a_false_tag_size() {
    let mut request = FetchRequest::default();
    let mut topic = kafka_protocol::messages::fetch_request::FetchTopic::default();
    let mut partition = kafka_protocol::messages::fetch_request::FetchPartition::default();
    partition.replica_directory_id = uuid::Uuid::from_u128(u128::MAX);
    topic.partitions.push(partition);
    request.topics.push(topic);
    let mut body = encode(&request, 17);
    assert!(matches!(Walker::fetch_request(17).feed(&body), Ok(Fed::Tail(_))));
    let at = body.windows(17).position(|bytes| bytes[0] == 16 && bytes[1..] == [0xff; 16]).unwrap();
    body[at] = 17;
    assert!(Walker::fetch_request(17).feed(&body).is_err());
}
