//! The walker finds the tail where the oracle puts it, however the bytes arrive.

use proptest::prelude::*;
use wire::api::{AnswerPath, Api};
use wire::layout::Message;
use wire::walk::{Fed, Walker};

use crate::dice::Dice;
use crate::messages::{self, encode, head};

/// Feeds `bytes` in pieces of random sizes; returns where the tail begins.
fn walk(mut walker: Walker, bytes: &[u8], mut piece: impl FnMut() -> usize) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + piece());
        match walker.feed(&bytes[at..end]).unwrap() {
            Fed::All => assert!(!walker.in_tail()),
            Fed::Tail(before) => {
                assert_eq!(walker.feed(&bytes[at..end]), Ok(Fed::Tail(0)));
                return Some(at + before);
            }
        }
        at = end;
    }
    walker.in_tail().then_some(at)
}

/// Whole, byte by byte, and in random pieces.
fn finds(walker: &Walker, bytes: &[u8], tail: usize, dice: &mut Dice) {
    assert_eq!(walk(walker.clone(), bytes, || usize::MAX / 2), Some(tail), "whole");
    assert_eq!(walk(walker.clone(), bytes, || 1), Some(tail), "byte by byte");
    assert_eq!(walk(walker.clone(), bytes, || 1 + dice.count(30)), Some(tail), "in pieces");
    let just_before = walk(walker.clone(), &bytes[..tail], || usize::MAX / 2);
    assert!(just_before.is_none_or(|at| at == tail));
    if tail > 0 {
        assert_eq!(walk(walker.clone(), &bytes[..tail - 1], || usize::MAX / 2), None, "one byte short");
    }
}

/// A body and how much of it is before its tail: what the oracle writes when the tail is empty, without `empty_tail` bytes.
fn body(dice: &mut Dice, message: Message, version: i16) -> (Vec<u8>, usize) {
    let flexible = message.api().request_is_flexible(version);
    macro_rules! cut {
        ($message:expr, $tail:expr, $clear:expr) => {{
            let mut message = $message;
            let whole = encode(&message, version);
            message.unknown_tagged_fields.clear();
            $clear(&mut message);
            let before = encode(&message, version).len() - $tail;
            (whole, before)
        }};
    }
    let tags = usize::from(flexible);
    match message {
        Message::ProduceRequest => cut!(messages::produce_request(dice, version), tags, |_: &mut _| ()),
        Message::ProduceResponse => {
            cut!(
                messages::produce_response(dice, version),
                tags,
                |message: &mut kafka_protocol::messages::ProduceResponse| {
                    message.node_endpoints.clear();
                }
            )
        }
        Message::FetchRequest => {
            cut!(
                messages::fetch_request(dice, version),
                tags,
                |message: &mut kafka_protocol::messages::FetchRequest| {
                    message.cluster_id = None;
                    message.replica_state = kafka_protocol::messages::fetch_request::ReplicaState::default();
                }
            )
        }
        Message::FetchResponse => {
            cut!(
                messages::fetch_response(dice, version),
                tags,
                |message: &mut kafka_protocol::messages::FetchResponse| {
                    message.node_endpoints.clear();
                }
            )
        }
        Message::ShareFetchResponse => {
            cut!(
                messages::share_fetch_response(dice),
                2,
                |message: &mut kafka_protocol::messages::ShareFetchResponse| {
                    message.node_endpoints.clear();
                }
            )
        }
        Message::ShareAcknowledgeResponse => {
            cut!(
                messages::share_acknowledge_response(dice),
                2,
                |message: &mut kafka_protocol::messages::ShareAcknowledgeResponse| message
                    .node_endpoints
                    .clear()
            )
        }
    }
}

/// Versions that both the oracle and the gateway speak.
fn versions(message: Message) -> std::ops::RangeInclusive<i16> {
    match message {
        Message::ProduceRequest | Message::ProduceResponse => 3..=13,
        Message::FetchRequest | Message::FetchResponse => 4..=18,
        Message::ShareFetchResponse | Message::ShareAcknowledgeResponse => 1..=1,
    }
}

proptest! {
    #[test]
    fn any_split_of_any_message_has_the_same_tail(seed: u64) {
        let mut dice = Dice(seed);
        for message in Message::ALL {
            for version in versions(message) {
                let (bytes, tail) = body(&mut dice, message, version);
                finds(&Walker::body(message, version), &bytes, tail, &mut dice);
            }
        }
    }

    #[test]
    fn an_answer_is_walked_from_its_correlation_id(seed: u64) {
        let mut dice = Dice(seed);
        for message in Message::ALL.into_iter().filter(|message| !message.is_request()) {
            for version in versions(message) {
                let walker = Walker::answer(message.api(), version).unwrap();
                let (bytes, tail) = body(&mut dice, message, version);
                let mut frame = head(&mut dice, message.api().answer_header_is_flexible(version));
                let tail = frame.len() + tail;
                frame.extend(bytes);
                finds(&walker, &frame, tail, &mut dice);
            }
        }
    }

    /// The oracle stops at version 1; version 2 has the same fields, and one more in `ShareAcknowledge`.
    #[test]
    fn the_second_version_of_share_answers_is_walked(seed: u64) {
        let mut dice = Dice(seed);
        let (bytes, tail) = body(&mut dice, Message::ShareFetchResponse, 1);
        finds(&Walker::body(Message::ShareFetchResponse, 2), &bytes, tail, &mut dice);

        let mut message = messages::share_acknowledge_response(&mut dice);
        let whole = encode(&message, 1);
        message.responses.clear();
        message.node_endpoints.clear();
        message.unknown_tagged_fields.clear();
        let at = encode(&message, 1).len() - 3;
        let second = [&whole[..at], &[0, 0, 0x75, 0x30], &whole[at..]].concat();
        let first = walk(Walker::body(Message::ShareAcknowledgeResponse, 1), &whole, || usize::MAX / 2).unwrap();
        finds(&Walker::body(Message::ShareAcknowledgeResponse, 2), &second, first + 4, &mut dice);
    }
}

#[test]
fn the_four_answers_with_partitions_have_a_walker_in_every_version_that_is_spoken() {
    for api in Api::ALL {
        let walked = [Api::Produce, Api::Fetch, Api::ShareFetch, Api::ShareAcknowledge].contains(&api);
        let row = api.row();
        for version in row.min - 1..=row.max + 1 {
            let spoken = api.speaks(version);
            assert_eq!(Walker::answer(api, version).is_some(), walked && spoken, "{api} {version}");
            assert!(walked || api.answer_path(version) != AnswerPath::Tailed, "{api} {version}");
        }
    }
}

#[test]
fn a_walker_is_small() {
    assert!(size_of::<Walker>() <= 200, "{}", size_of::<Walker>());
}
