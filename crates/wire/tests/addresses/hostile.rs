//! Bytes that mean harm: nothing panics, nothing loops, nothing believes a count.

use proptest::prelude::*;
use wire::address::Book;
use wire::answer::{mask_broker_configs, metadata_front, rewrite};
use wire::api::Api;
use wire::error::Malformed;
use wire::head::{request_head, request_prefix};
use wire::layout::Message;
use wire::reader::{Encoding, Reader};
use wire::request::{
    cluster_endpoint_type, config_resources, coordinator_key_type, force_replica, produce_acks,
};
use wire::tail::{force_consumer, rewrite_in_place};
use wire::walk::Walker;

use crate::dice::Dice;
use crate::held;
use crate::messages::{self, encode, head};

/// Gives `bytes` to every function that reads what a peer sent.
fn survive(bytes: &[u8], book: &Book) {
    let left_out = &mut Vec::new();
    let _ = request_prefix(bytes);
    let _ = request_head(bytes, true);
    let _ = request_head(bytes, false);
    for api in Api::ALL {
        for version in api.row().min..=api.row().max {
            let _ = rewrite(api, version, bytes, book, left_out);
            let _ = rewrite_in_place(api, version, &mut bytes.to_vec(), book, left_out);
            let _ = force_replica(api, version, &mut bytes.to_vec());
            let _ = config_resources(api, version, bytes);
        }
    }
    for version in 0..=13 {
        let _ = metadata_front(version, bytes, book, left_out);
        let _ = mask_broker_configs(version.min(4), bytes);
        let _ = produce_acks(bytes, version);
        let _ = coordinator_key_type(version.min(6), bytes);
        let _ = cluster_endpoint_type(version.min(2), bytes);
    }
    let _ = force_consumer(&mut bytes.to_vec());
    for message in Message::ALL {
        let row = message.api().row();
        for version in row.min..=row.max {
            let _ = Walker::body(message, version).feed(bytes);
        }
    }
}

/// Frames of all rewritten answers, and how each is read.
fn frames(dice: &mut Dice) -> Vec<(Api, i16, Vec<u8>)> {
    let mut frames = vec![
        (Api::Produce, 13, encode(&messages::produce_response(dice, 13), 13)),
        (Api::Fetch, 16, encode(&messages::fetch_response(dice, 16), 16)),
        (Api::ShareFetch, 1, encode(&messages::share_fetch_response(dice), 1)),
        (Api::ShareAcknowledge, 1, encode(&messages::share_acknowledge_response(dice), 1)),
        (Api::FindCoordinator, 1, encode(&held::find_coordinator_response(dice, 1), 1)),
        (Api::FindCoordinator, 6, encode(&held::find_coordinator_response(dice, 6), 6)),
        (Api::DescribeCluster, 2, encode(&held::describe_cluster_response(dice, 2), 2)),
        (Api::DescribeQuorum, 2, encode(&held::describe_quorum_response(dice), 2)),
        (Api::Metadata, 1, encode(&held::metadata_response(dice, 1), 1)),
        (Api::Metadata, 12, encode(&held::metadata_response(dice, 12), 12)),
        (Api::DescribeConfigs, 3, encode(&held::describe_configs_response(dice, 3), 3)),
        (Api::DescribeConfigs, 4, encode(&held::describe_configs_response(dice, 4), 4)),
    ];
    for (api, version, body) in &mut frames {
        *body = [head(dice, api.answer_header_is_flexible(*version)), body.clone()].concat();
    }
    frames
}

fn read(api: Api, version: i16, frame: &[u8], book: &Book) -> Result<(), Malformed> {
    let left_out = &mut Vec::new();
    if api == Api::Metadata {
        metadata_front(version, frame, book, left_out).map(|_| ())
    } else if api == Api::DescribeConfigs {
        mask_broker_configs(version, frame).map(|_| ())
    } else {
        rewrite(api, version, frame, book, left_out).map(|_| ())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_harm_nothing(bytes in prop::collection::vec(any::<u8>(), 0..600), seed: u64) {
        survive(&bytes, &Dice(seed).book());
    }

    #[test]
    fn small_numbers_harm_nothing(bytes in prop::collection::vec(0_u8..4, 0..200), seed: u64) {
        survive(&bytes, &Dice(seed).book());
    }

    #[test]
    fn an_answer_cut_anywhere_is_refused(seed: u64) {
        let dice = &mut Dice(seed);
        let book = dice.book();
        for (api, version, frame) in frames(dice) {
            prop_assert_eq!(read(api, version, &frame, &book), Ok(()));
            if api == Api::Metadata {
                continue;
            }
            for end in (0..frame.len()).filter(|end| *end < 2_000 || frame.len() - end < 200) {
                prop_assert!(read(api, version, &frame[..end], &book).is_err(), "{} {} {}", api, version, end);
            }
        }
    }

    /// A huge count, a huge varint, a negative length, a varint without an end: at any place of any answer.
    #[test]
    fn an_answer_with_a_false_number_harms_nothing(seed: u64) {
        let dice = &mut Dice(seed);
        let book = dice.book();
        let numbers: [&[u8]; 5] = [
            &[0x7f, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff, 0xff, 0xff, 0xfe],
            &[0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ];
        for (api, version, frame) in frames(dice) {
            for number in numbers {
                for at in 4..frame.len().saturating_sub(number.len()).min(400) {
                    let mut changed = frame.clone();
                    changed[at..at + number.len()].copy_from_slice(number);
                    let _ = read(api, version, &changed, &book);
                }
            }
        }
    }
}

/// Counts of 2^31 - 1 where an array of fixed-width structures follows: the walker counts bytes, not elements.
#[test]
fn a_walker_does_not_count_to_two_billion() {
    for version in 4..=11 {
        let mut bytes = encode(&messages::fetch_response(&mut Dice(1), version), version);
        bytes.clear();
        bytes.extend([0; 4]);
        if version >= 7 {
            bytes.extend([0; 6]);
        }
        bytes.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1]);
        bytes.extend([0; 22]);
        if version >= 5 {
            bytes.extend([0; 8]);
        }
        bytes.extend([0x7f, 0xff, 0xff, 0xff]);
        bytes.extend([0; 1_000]);
        let mut walker = Walker::body(Message::FetchResponse, version);
        assert!(walker.feed(&bytes).is_ok());
        assert!(!walker.in_tail());
    }
}

#[test]
fn a_primitive_at_the_end_of_the_bytes_is_refused() {
    for encoding in [Encoding::Classic, Encoding::Flexible] {
        let mut reader = Reader::new(&[], encoding);
        assert!(reader.i8("x").is_err());
        assert!(reader.uvarint("x").is_err());
        assert!(reader.string("x").is_err());
        assert!(reader.array_len("x").is_err());
        assert!(reader.take(usize::MAX, "x").is_err());
        assert_eq!(reader.skip_tags().is_err(), encoding == Encoding::Flexible);
    }
}
