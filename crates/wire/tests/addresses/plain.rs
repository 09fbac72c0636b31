#![allow(clippy::default_trait_access, reason = "the types are the oracle's own")]
//! Ordinary answers are read in one go: what that says, a walk says as well.

use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceResponse};
use proptest::prelude::*;
use wire::answer::plain_tail;
use wire::api::Api;
use wire::request::plain_fetch_tail;
use wire::walk::{Fed, Walker};

use crate::dice::Dice;
use crate::messages::{self, encode};

/// Where a walk over all of it finds the tail, if it finds no error.
fn walked(api: Api, version: i16, frame: &[u8]) -> Option<usize> {
    let mut walker = Walker::answer(api, version)?;
    match walker.feed(frame) {
        Ok(Fed::Tail(at)) if walker.errors() == 0 => Some(at),
        Ok(Fed::Tail(_) | Fed::All) | Err(_) => None,
    }
}

/// Without anything that is out of the ordinary before its tail.
fn plain_produce(mut message: ProduceResponse) -> ProduceResponse {
    for topic in &mut message.responses {
        topic.unknown_tagged_fields.clear();
        for partition in &mut topic.partition_responses {
            partition.error_code = 0;
            partition.record_errors.clear();
            partition.error_message = None;
            partition.current_leader = Default::default();
            partition.unknown_tagged_fields.clear();
        }
    }
    message
}

fn plain_fetch(mut message: FetchResponse) -> FetchResponse {
    message.error_code = 0;
    for topic in &mut message.responses {
        topic.unknown_tagged_fields.clear();
        for partition in &mut topic.partitions {
            partition.error_code = 0;
            partition.aborted_transactions = partition.aborted_transactions.take().map(|_| Vec::new());
            partition.diverging_epoch = Default::default();
            partition.current_leader = Default::default();
            partition.snapshot_id = Default::default();
            partition.unknown_tagged_fields.clear();
        }
    }
    message
}

fn plain_request(mut message: FetchRequest) -> FetchRequest {
    for topic in &mut message.topics {
        topic.unknown_tagged_fields.clear();
        for partition in &mut topic.partitions {
            partition.replica_directory_id = FetchPartition::default().replica_directory_id;
            partition.high_watermark = FetchPartition::default().high_watermark;
            partition.unknown_tagged_fields.clear();
        }
    }
    message.forgotten_topics_data.iter_mut().for_each(|topic| topic.unknown_tagged_fields.clear());
    message
}

fn walked_request(version: i16, body: &[u8]) -> Option<usize> {
    match Walker::fetch_request(version).feed(body) {
        Ok(Fed::Tail(at)) => Some(at),
        Ok(Fed::All) | Err(_) => None,
    }
}

/// A correlation id, and the empty tags of a flexible header.
fn framed(is_flexible: bool, body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 7], &[0][..usize::from(is_flexible)], body].concat()
}

/// With another byte somewhere, and perhaps without the last one.
fn changed(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let at = dice.count(u64::try_from(changed.len()).unwrap());
    changed[at] = u8::try_from(dice.count(256)).unwrap();
    changed.truncate(changed.len() - dice.count(2));
    changed
}

/// An ordinary answer is known as one; and when anything is changed in it, whoever still takes it for one is right.
fn agrees(dice: &mut Dice, api: Api, version: i16, plain: &[u8], other: &[u8]) {
    let tail = plain_tail(api, version, plain);
    assert!(tail.is_some(), "{api} {version}");
    assert_eq!(tail, walked(api, version, plain), "{api} {version}");
    let other = plain_tail(api, version, other).map(|tail| (Some(tail), walked(api, version, other)));
    assert!(other.is_none_or(|(plain, walked)| plain == walked), "{api} {version}");
    for _ in 0..20 {
        let changed = changed(dice, plain);
        let tail = plain_tail(api, version, &changed);
        assert!(tail.is_none() || tail == walked(api, version, &changed), "{api} {version} {changed:?}");
    }
}

proptest! {
    #[test]
    fn what_is_read_in_one_go_is_what_a_walk_finds(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let message = messages::produce_response(dice, version);
            let other = framed(version >= 9, &encode(&message, version));
            let plain = framed(version >= 9, &encode(&plain_produce(message), version));
            agrees(dice, Api::Produce, version, &plain, &other);
        }
        for version in 4..=18 {
            let message = messages::fetch_response(dice, version);
            let other = framed(version >= 12, &encode(&message, version));
            let plain = framed(version >= 12, &encode(&plain_fetch(message), version));
            agrees(dice, Api::Fetch, version, &plain, &other);
        }
        for version in 0..=2 {
            let message = messages::produce_response(dice, 3);
            let other = framed(false, &messages::old_produce(&message, version));
            let plain = framed(false, &messages::old_produce(&plain_produce(message), version));
            agrees(dice, Api::Produce, version, &plain, &other);
        }
        for version in 0..=3 {
            let message = messages::fetch_response(dice, 4);
            let other = framed(false, &messages::old_fetch(&message, version));
            let plain = framed(false, &messages::old_fetch(&plain_fetch(message), version));
            agrees(dice, Api::Fetch, version, &plain, &other);
        }
    }

    /// A replica hides nowhere where a walk would find it.
    #[test]
    fn the_tail_of_an_ordinary_fetch_is_where_a_walk_finds_it(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 15..=18 {
            let message = messages::fetch_request(dice, version);
            let other = encode(&message, version);
            let plain = encode(&plain_request(message), version);
            let tail = plain_fetch_tail(version, &plain);
            assert!(tail.is_some() && tail == walked_request(version, &plain), "{version}");
            for _ in 0..20 {
                for body in [&other, &changed(dice, &plain)] {
                    let tail = plain_fetch_tail(version, body);
                    assert!(tail.is_none() || tail == walked_request(version, body), "{version} {body:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_that_a_walk_refuses_is_ordinary(frame in proptest::collection::vec(any::<u8>(), 0..60)) {
        for api in Api::ALL {
            for version in -1..=20 {
                let tail = plain_tail(api, version, &frame);
                assert!(tail.is_none() || tail == walked(api, version, &frame));
                let tail = plain_fetch_tail(version, &frame);
                assert!(tail.is_none() || tail == walked_request(version, &frame));
            }
        }
    }
}
