//! Heads that lie: keys, versions, client ids, tags, correlation ids; and bodies that are read here.

use testkit::raw::{self, HeadStyle, sized};

use crate::bytes::{self, Bytes};
use crate::stage::{Stage, is_well};

fn asks(key: i16, version: i16) -> Vec<u8> {
    sized(&raw::request(key, version, 1, "test", HeadStyle::Classic, &[0; 16]))
}

#[test]
fn a_key_or_version_that_was_not_offered_ends_the_connection_and_reaches_no_broker() {
    let stage = Stage::plain();
    // Unknown, hidden and removed keys; keys that this broker does not have.
    for key in [-1, 95, i16::MAX, 4, 5, 6, 7, 27, 52, 56, 14, 68] {
        stage.is_closed_for("client", "unknown-api", &asks(key, 0));
    }
    for version in [-1, 5, i16::MAX, i16::MIN] {
        stage.is_closed_for("client", "unsupported-version", &asks(bytes::HEARTBEAT, version));
    }
    // Metadata 13 exists; this broker ends at 12.
    stage.is_closed_for("client", "unsupported-version", &asks(bytes::METADATA, 13));
    assert_eq!(stage.seen(), Vec::<Vec<u8>>::new());
    is_well(&mut stage.client());
}

#[test]
fn api_versions_of_an_unknown_version_is_told_the_highest_and_may_ask_again() {
    let stage = Stage::plain();
    let mut client = stage.client();
    for version in [5, i16::MAX, -1] {
        let answer = client.ask(&bytes::api_versions(version, 3)).unwrap();
        assert_eq!(answer, Bytes::default().i32(3).i16(35).i32(1).i16(18).i16(0).i16(4).0);
    }
    is_well(&mut client);
}

#[test]
fn software_with_an_impossible_name_is_told_so_and_stays() {
    let stage = Stage::plain();
    let mut client = stage.client();
    for name in ["a b", "", &"a ".repeat(16 * 1024 - 1), "-a"] {
        let body = Bytes::default().compact(name).compact("1.0").uvarint(0).0;
        let request = raw::request(18, 3, 4, "test", HeadStyle::Flexible, &body);
        let answer = client.ask(&request).unwrap();
        assert_eq!(answer[..6], Bytes::default().i32(4).i16(42).0, "for {}", name.len());
        // The layout of version 3: an empty compact array, throttle time, no tags.
        assert_eq!(answer[6..], Bytes::default().uvarint(1).i32(0).uvarint(0).0);
    }
    is_well(&mut client);
}

#[test]
fn client_ids_travel_as_they_are() {
    let stage = Stage::plain();
    let long = vec![0x66; i16::MAX as usize];
    let ids: [Option<&[u8]>; 5] = [None, Some(b""), Some(&long), Some(&[0xff, 0xfe, 0]), Some(b"a\nb\"c\\")];
    let mut client = stage.client();
    for id in ids {
        let mut frame = Bytes::default().i16(bytes::HEARTBEAT).i16(3).i32(9);
        frame = match id {
            None => frame.i16(-1),
            Some(id) => frame.i16(i16::try_from(id.len()).unwrap()).raw(id),
        };
        let frame = frame.raw(b"body").0;
        assert_eq!(client.ask(&frame).unwrap(), Bytes::default().i32(9).raw(b"body").0);
        assert_eq!(stage.seen().last(), Some(&frame));
    }
    // Produce is looked into as far as its acks: its head is parsed.
    let mut produce = Bytes::default().i16(0).i16(9).i32(9).i16(i16::MAX).raw(&long).uvarint(0);
    produce = produce.uvarint(0).i16(1).i32(1000);
    client.ask(&produce.0).unwrap();
    assert_eq!(stage.seen().last(), Some(&produce.0));
}

#[test]
fn nobody_produces_in_the_name_of_the_brokers_own_client() {
    let stage = Stage::plain();
    let mut frame = bytes::produce(1, 1, b"");
    frame.splice(8..14, Bytes::default().classic("__admin_client").0);
    stage.client().ask(&frame).unwrap();
    let seen = stage.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.len(), frame.len());
    assert!(!crate::stage::contains(last, "__admin_client"), "{last:?}");
}

#[test]
fn tags_of_a_head_that_is_read_must_fit() {
    let stage = Stage::plain();
    let head = |tags: &[u8]| {
        let frame = Bytes::default().i16(0).i16(9).i32(1).classic("test").raw(tags);
        sized(&frame.raw(&[0; 40]).0)
    };
    stage.is_closed_for("client", "malformed", &head(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
    stage.is_closed_for("client", "malformed", &head(&[1, 9, 0xff, 0x7f]));
    // A varint that does not end.
    stage.is_closed_for("client", "malformed", &head(&[0xff, 0xff, 0xff, 0xff, 0xff, 1]));
    // Duplicate and descending tags are unusual and harmless.
    let mut client = stage.client();
    for tags in [[2, 5, 0, 5, 0], [2, 5, 0, 3, 0]] {
        let frame = Bytes::default().i16(0).i16(9).i32(6).classic("test").raw(&tags);
        let frame = frame.uvarint(0).i16(1).i32(1000).0;
        assert_eq!(client.ask(&frame).unwrap()[..4], 6_i32.to_be_bytes());
    }
}

#[test]
fn correlation_ids_come_back_in_order_and_unchanged_whatever_they_are() {
    let stage = Stage::plain();
    let mut client = stage.client();
    let ids = [7, 7, -1, i32::MIN, i32::MAX, i32::MAX - 7, 0, 7];
    for (n, id) in ids.iter().enumerate() {
        client.send(&bytes::heartbeat(*id, &[u8::try_from(n).unwrap()])).unwrap();
    }
    for (n, id) in ids.iter().enumerate() {
        let expected = Bytes::default().i32(*id).raw(&[u8::try_from(n).unwrap()]).0;
        assert_eq!(client.receive().unwrap(), expected);
    }
}

#[test]
fn counts_and_lengths_that_lie_in_what_is_read_here_end_the_connection() {
    let stage = Stage::plain();
    let configs = |body: &[u8]| sized(&raw::request(32, 2, 1, "t", HeadStyle::Classic, body));
    let fetch = |tail: &[u8]| sized(&bytes::fetch(1, tail));
    let mut many_topics = bytes::fetch(1, &[0]);
    let at = many_topics.len() - 4;
    many_topics.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    let lies = [
        configs(&Bytes::default().i32(i32::MAX).raw(&[4]).0),
        configs(&Bytes::default().i32(-2).0),
        configs(&Bytes::default().i32(1).raw(&[4]).i16(-2).0),
        fetch(&[1, 1, 0x7f]),
        fetch(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        sized(&many_topics),
    ];
    for bytes in lies {
        stage.is_closed_for("client", "malformed", &bytes);
    }
    is_well(&mut stage.client());
}

#[test]
fn a_metadata_request_for_two_billion_topics_reaches_no_broker() {
    let stage = Stage::plain();
    let body = Bytes::default().i32(i32::MAX).0;
    let frame = sized(&raw::request(bytes::METADATA, 1, 1, "t", HeadStyle::Classic, &body));
    assert_eq!(frame.len(), 19);
    let before = stage.gateway.rss_kib().unwrap();
    stage.is_closed_for("client", "malformed", &frame);
    assert!(stage.gateway.rss_kib().unwrap() < before + 4096);
    assert_eq!(stage.seen(), Vec::<Vec<u8>>::new());
    is_well(&mut stage.client());
}

#[test]
fn a_consumer_cannot_pose_as_a_replica() {
    let stage = Stage::plain();
    // ReplicaState, tag 1: replica 1 and its epoch.
    let posing =
        bytes::fetch(5, &Bytes::default().uvarint(1).uvarint(1).uvarint(13).i32(1).i64(7).uvarint(0).0);
    stage.client().send(&posing).unwrap();
    let old = Bytes::default().i32(1).i32(500).i32(1).i32(1000).raw(&[0]).i32(0).0;
    let old = raw::request(bytes::FETCH, 4, 6, "test", HeadStyle::Classic, &old);
    stage.client().send(&old).unwrap();
    testkit::wait::until("both requests at the broker", crate::stage::LIMIT, || {
        Ok((stage.seen().len() == 2).then_some(()))
    })
    .unwrap();
    let seen = stage.seen();
    let consumer = (-1_i32).to_be_bytes();
    let at = posing.len() - 13;
    let forced = seen.iter().find(|frame| frame.len() == posing.len()).unwrap();
    assert_eq!(forced[at..at + 4], consumer);
    let forced = seen.iter().find(|frame| frame.len() == old.len()).unwrap();
    assert_eq!(forced[14..18], consumer);
}
