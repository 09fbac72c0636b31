//! Partitions that failed are counted while their answer passes by, as the oracle's structures have them.

use kafka_protocol::messages::{
    FetchResponse, ProduceResponse, ShareAcknowledgeResponse, ShareFetchResponse,
};
use proptest::prelude::*;
use wire::api::{AnswerPath, Api, top_error};
use wire::error::code;
use wire::walk::{Fed, Walker};

use crate::dice::Dice;
use crate::messages::{self, encode, head};

/// Walks `frame` in pieces up to its tail; how many partitions failed, and whether any for want of its leader.
fn walked(api: Api, version: i16, frame: &[u8], mut piece: impl FnMut() -> usize) -> (u32, bool) {
    let mut walker = Walker::answer(api, version).unwrap();
    let mut at = 0;
    while at < frame.len() {
        let end = frame.len().min(at + piece());
        match walker.feed(&frame[at..end]).unwrap() {
            Fed::All => at = end,
            Fed::Tail(_) => {
                assert!(walker.in_tail());
                return (walker.errors(), walker.is_misled());
            }
        }
    }
    assert!(walker.in_tail(), "{api} {version} is cut short");
    (walker.errors(), walker.is_misled())
}

fn counts(dice: &mut Dice, api: Api, version: i16, body: &[u8], failed: (u32, bool)) {
    let mut frame = head(dice, api.answer_header_is_flexible(version));
    frame.extend(body);
    assert_eq!(walked(api, version, &frame, || usize::MAX / 2), failed, "{api} {version} whole");
    assert_eq!(walked(api, version, &frame, || 1), failed, "{api} {version} byte by byte");
    assert_eq!(walked(api, version, &frame, || 1 + dice.count(30)), failed, "{api} {version} in pieces");
}

/// Of partitions with one code or two: how many failed, and whether any for want of its leader.
fn tally(codes: impl Iterator<Item = [i16; 2]>) -> (u32, bool) {
    codes.fold((0, false), |(failed, misled), codes| {
        (failed + u32::from(codes != [0, 0]), misled || codes.contains(&code::NOT_LEADER_OR_FOLLOWER))
    })
}

fn of_produce(message: &ProduceResponse) -> (u32, bool) {
    let partitions = message.responses.iter().flat_map(|topic| &topic.partition_responses);
    tally(partitions.map(|partition| [partition.error_code, 0]))
}

fn of_fetch(message: &FetchResponse) -> (u32, bool) {
    let partitions = message.responses.iter().flat_map(|topic| &topic.partitions);
    tally(partitions.map(|partition| [partition.error_code, 0]))
}

fn of_share_fetch(message: &ShareFetchResponse) -> (u32, bool) {
    let partitions = message.responses.iter().flat_map(|topic| &topic.partitions);
    tally(partitions.map(|one| [one.error_code, one.acknowledge_error_code]))
}

fn of_share_acknowledge(message: &ShareAcknowledgeResponse) -> (u32, bool) {
    let partitions = message.responses.iter().flat_map(|topic| &topic.partitions);
    tally(partitions.map(|partition| [partition.error_code, 0]))
}

proptest! {
    #[test]
    fn every_partition_that_failed_is_counted_once_however_the_bytes_arrive(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let message = messages::produce_response(dice, version);
            counts(dice, Api::Produce, version, &encode(&message, version), of_produce(&message));
        }
        for version in 4..=18 {
            let message = messages::fetch_response(dice, version);
            counts(dice, Api::Fetch, version, &encode(&message, version), of_fetch(&message));
        }
        for version in 0..=2 {
            let message = messages::produce_response(dice, 3);
            counts(dice, Api::Produce, version, &messages::old_produce(&message, version), of_produce(&message));
        }
        for version in 0..=3 {
            let message = messages::fetch_response(dice, 4);
            counts(dice, Api::Fetch, version, &messages::old_fetch(&message, version), of_fetch(&message));
        }
        // The oracle stops at version 1; ShareFetch 2 has the same fields.
        let message = messages::share_fetch_response(dice);
        for version in 1..=2 {
            counts(dice, Api::ShareFetch, version, &encode(&message, 1), of_share_fetch(&message));
        }
        let message = messages::share_acknowledge_response(dice);
        counts(dice, Api::ShareAcknowledge, 1, &encode(&message, 1), of_share_acknowledge(&message));
    }

    #[test]
    fn the_error_of_a_whole_answer_is_the_oracles(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 4..=18 {
            let message = messages::fetch_response(dice, version);
            let mut frame = head(dice, version >= 12);
            frame.extend(encode(&message, version));
            let wanted = (version >= 7).then_some(message.error_code);
            assert_eq!(top_error(Api::Fetch, version, &frame), wanted, "{version}");
        }
        let message = messages::share_fetch_response(dice);
        let frame = [head(dice, true), encode(&message, 1)].concat();
        assert_eq!(top_error(Api::ShareFetch, 1, &frame), Some(message.error_code));
    }

    #[test]
    fn any_bytes_are_searched_for_an_error_without_harm(frame in proptest::collection::vec(any::<u8>(), 0..40)) {
        for api in Api::ALL {
            for version in -1..=20 {
                let found = top_error(api, version, &frame);
                assert!(found.is_none() || api.error_at(version).is_some());
            }
        }
    }
}

/// Where there are no tags, the frame ends where its tail would begin.
#[test]
fn an_answer_without_tags_has_an_empty_tail() {
    let mut walker = Walker::answer(Api::Produce, 0).unwrap();
    assert_eq!(walker.feed(b"\0\0\0\x01\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\0"), Ok(Fed::All));
    assert_eq!(walker.errors(), 0);
    assert_eq!(walker.feed(b"\x06\0\0\0\0\0\0\0"), Ok(Fed::All));
    assert_eq!((walker.errors(), walker.in_tail()), (1, false));
    assert_eq!(walker.feed(b"\0"), Ok(Fed::Tail(1)));
    assert!(walker.in_tail());
    assert_eq!(Api::Produce.answer_path(0), AnswerPath::Pass);
}
