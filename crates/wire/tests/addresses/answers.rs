//! Answers that are held: what is written equals decode, change, encode.

use std::ops::RangeInclusive;

use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{
    BrokerId, DescribeClusterResponse, DescribeConfigsResponse, FetchResponse, FindCoordinatorResponse,
    MetadataResponse, ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;
use wire::address::{Book, NodeId, Staying};
use wire::answer::{Front, Splice, mask_broker_configs, metadata_front, rewrite};
use wire::api::Api;

use crate::dice::{Dice, leaks};
use crate::held;
use crate::messages::{self, encode, head};

/// The frame that goes to the client.
fn rewritten(api: Api, version: i16, frame: &[u8], book: &Book) -> (Vec<u8>, Vec<NodeId>) {
    let mut left_out = Vec::new();
    let bytes = match rewrite(api, version, frame, book, &mut left_out).unwrap() {
        Splice::Unchanged => frame.to_vec(),
        Splice::Replaced(bytes) => bytes,
    };
    assert!(!leaks(&bytes));
    assert!(left_out.iter().all(|node| book.get(*node).is_none()));
    (bytes, left_out)
}

/// A list of nodes as the client is to see it: without those that have no address, the others at the gateway.
macro_rules! readdress {
    ($nodes:expr, $id:ident, $book:expr) => {
        $nodes.retain(|node| $book.get(NodeId(node.$id.0)).is_some());
        for node in &mut $nodes {
            let address = $book.get(NodeId(node.$id.0)).unwrap();
            node.host = address.host.to_string().into();
            node.port = address.port.into();
        }
    };
}

/// Builds a message, rewrites its frame, and compares with the changed message's frame.
macro_rules! check {
    ($dice:expr, $api:expr, $version:expr, $message:expr, $change:expr) => {{
        let (version, book): (i16, Book) = ($version, $dice.book());
        let mut message = $message;
        let head = head($dice, $api.answer_header_is_flexible(version));
        let frame = [head.clone(), encode(&message, version)].concat();
        let (bytes, _) = rewritten($api, version, &frame, &book);
        $change(&mut message, &book);
        assert_eq!(bytes, [head, encode(&message, version)].concat(), "{} {version}", $api);
    }};
}

const FIND_COORDINATOR: RangeInclusive<i16> = 0..=6;

fn coordinators(message: &mut FindCoordinatorResponse, book: &Book) {
    macro_rules! one {
        ($one:expr) => {
            if $one.host.is_empty() {
                // The broker named no address.
            } else if let Some(address) = book.get(NodeId($one.node_id.0)) {
                $one.host = address.host.to_string().into();
                $one.port = address.port.into();
            } else {
                $one.node_id = (-1).into();
                $one.host = Default::default();
                $one.port = -1;
                $one.error_code = 15;
            }
        };
    }
    one!(message);
    for one in &mut message.coordinators {
        one!(one);
    }
}

proptest! {
    #[test]
    fn find_coordinator_shows_the_gateway(seed: u64) {
        let dice = &mut Dice(seed);
        for version in FIND_COORDINATOR {
            check!(dice, Api::FindCoordinator, version, held::find_coordinator_response(dice, version), coordinators);
        }
    }

    #[test]
    fn describe_cluster_shows_the_gateway(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 0..=2 {
            check!(
                dice,
                Api::DescribeCluster,
                version,
                held::describe_cluster_response(dice, version),
                |message: &mut DescribeClusterResponse, book: &Book| {
                    readdress!(message.brokers, broker_id, book);
                }
            );
        }
    }

    #[test]
    fn describe_quorum_has_no_nodes(seed: u64) {
        let dice = &mut Dice(seed);
        check!(
            dice,
            Api::DescribeQuorum,
            2,
            held::describe_quorum_response(dice),
            |message: &mut kafka_protocol::messages::DescribeQuorumResponse, _: &Book| message.nodes.clear()
        );
    }

    #[test]
    fn answers_with_a_tail_show_the_gateway(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 10..=13 {
            check!(
                dice,
                Api::Produce,
                version,
                messages::produce_response(dice, version),
                |message: &mut ProduceResponse, book: &Book| {
                    readdress!(message.node_endpoints, node_id, book);
                }
            );
        }
        for version in 16..=18 {
            check!(
                dice,
                Api::Fetch,
                version,
                messages::fetch_response(dice, version),
                |message: &mut FetchResponse, book: &Book| {
                    readdress!(message.node_endpoints, node_id, book);
                }
            );
        }
        check!(
            dice,
            Api::ShareFetch,
            1,
            messages::share_fetch_response(dice),
            |message: &mut kafka_protocol::messages::ShareFetchResponse, book: &Book| {
                readdress!(message.node_endpoints, node_id, book);
            }
        );
        check!(
            dice,
            Api::ShareAcknowledge,
            1,
            messages::share_acknowledge_response(dice),
            |message: &mut kafka_protocol::messages::ShareAcknowledgeResponse, book: &Book| {
                readdress!(message.node_endpoints, node_id, book);
            }
        );
    }

    #[test]
    fn metadata_shows_the_gateway_as_soon_as_its_brokers_are_here(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 0..=13 {
            let staying = (0..9).filter(|_| dice.yes()).map(|node| {
                Staying { node: NodeId(node), rack: (node % 2 == 0).then(|| "a rack".into()) }
            });
            let staying: Vec<Staying> = staying.collect();
            let book = dice.book().with_staying(staying.clone());
            let mut message: MetadataResponse = held::metadata_response(dice, version);
            let head = head(dice, Api::Metadata.answer_header_is_flexible(version));
            let frame = [head.clone(), encode(&message, version)].concat();
            let mut left_out = Vec::new();
            let front = metadata_front(version, &frame, &book, &mut left_out).unwrap();
            let Front::Done { consumed, replacement } = front.clone() else { panic!("all of it is here") };
            for end in (0..consumed).rev().take(200) {
                let mut none = Vec::new();
                let early = metadata_front(version, &frame[..end], &book, &mut none);
                prop_assert_eq!((early, none), (Ok(Front::Need), vec![]));
            }
            prop_assert_eq!(metadata_front(version, &frame[..consumed], &book, &mut left_out).unwrap(), front);
            let bytes = [replacement, frame[consumed..].to_vec()].concat();
            prop_assert!(!leaks(&bytes));
            for Staying { node, rack } in staying {
                if message.brokers.iter().all(|broker| broker.node_id.0 != node.0) {
                    let rack = rack.filter(|_| version >= 1).map(|rack| StrBytes::from_string(rack.to_string()));
                    let broker = MetadataResponseBroker::default().with_rack(rack);
                    message.brokers.push(broker.with_node_id(BrokerId(node.0)));
                }
            }
            readdress!(message.brokers, node_id, book);
            prop_assert_eq!(bytes, [head, encode(&message, version)].concat());
        }
    }

    #[test]
    fn configs_of_brokers_are_masked(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 1..=4 {
            let mut message: DescribeConfigsResponse = held::describe_configs_response(dice, version);
            let head = head(dice, Api::DescribeConfigs.answer_header_is_flexible(version));
            let frame = [head.clone(), encode(&message, version)].concat();
            let bytes = match mask_broker_configs(version, &frame).unwrap() {
                Splice::Unchanged => frame,
                Splice::Replaced(bytes) => bytes,
            };
            prop_assert!(!leaks(&bytes));
            for entry in message.results.iter_mut().flat_map(|result| &mut result.configs) {
                // The second is a word that the dice may come by.
                if ["advertised.listeners", "port"].contains(&entry.name.as_str()) {
                    entry.value = None;
                    entry.synonyms.iter_mut().for_each(|synonym| synonym.value = None);
                }
            }
            prop_assert_eq!(bytes, [head, encode(&message, version)].concat());
        }
    }
}

/// Version 0, which the oracle does not know: `IsDefault` in the place of `ConfigSource`, no synonyms.
#[test]
fn the_first_version_of_configs_is_masked() {
    let entry = b"\0\x09listeners\0\x04x://\0\x01\0";
    let frame = [b"\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\xff\xff\x04\0\x011\0\0\0\x01".as_slice(), entry].concat();
    let masked = [&frame[..frame.len() - entry.len()], b"\0\x09listeners\xff\xff\0\x01\0"].concat();
    assert_eq!(mask_broker_configs(0, &frame), Ok(Splice::Replaced(masked)));
}

#[test]
fn what_is_not_rewritten_is_not_taken() {
    for (api, version) in [(Api::Metadata, 9), (Api::Fetch, 15), (Api::Produce, 9), (Api::DescribeQuorum, 1)]
    {
        assert!(rewrite(api, version, &[0; 64], &Book::default(), &mut Vec::new()).is_err());
    }
}
