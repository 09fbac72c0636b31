//! Groups whose coordinator is another broker by now: their members hear of it when they ask where it is, not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::Reply;
use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;

use crate::bytes::{self, Bytes, FIND_COORDINATOR, HEARTBEAT, JOIN_GROUP, OFFSET_COMMIT, PRODUCE};
use crate::gone::{codes, produce};
use crate::stage::{LIMIT, Setup, Stage, Two, contains, is_well};

const NOT_LEADER: i16 = 6;
const NOT_COORDINATOR: i16 = 16;
const REBALANCE_IN_PROGRESS: i16 = 27;

/// A heartbeat v3 of a member of `team`.
fn beat(correlation: i32) -> Vec<u8> {
    bytes::heartbeat(correlation, &Bytes::default().classic("team").i32(1).classic("member").i16(-1).0)
}

/// A commit v7 of partition 3 of `orders`.
fn commit(correlation: i32) -> Vec<u8> {
    let body = Bytes::default().classic("team").i32(1).classic("member").i16(-1).i32(1).classic("orders");
    let body = body.i32(1).i32(3).i64(42).i32(-1).i16(-1).0;
    raw::request(OFFSET_COMMIT, 7, correlation, "test", HeadStyle::Classic, &body)
}

/// What a coordinator says to these, with such a code.
fn says(request: &Request, code: i16) -> Option<Vec<u8>> {
    let answer = Bytes::default().raw(request.correlation()).i32(0);
    match request.key() {
        HEARTBEAT => Some(answer.i16(code).0),
        OFFSET_COMMIT => Some(answer.i32(1).classic("orders").i32(1).i32(3).i16(code).0),
        _ => None,
    }
}

/// A Produce v9 of partition 3 of `orders` is answered like this.
fn says_of_records(request: &Request, code: i16) -> Vec<u8> {
    let partition =
        Bytes::default().i32(3).i16(code).i64(-1).i64(-1).i64(-1).uvarint(1).uvarint(0).uvarint(0);
    let topic = Bytes::default().uvarint(2).compact("orders").uvarint(2).raw(&partition.0).uvarint(0);
    Bytes::default().raw(request.correlation()).uvarint(0).raw(&topic.0).i32(0).uvarint(0).0
}

#[test]
fn members_are_answered_by_the_coordinator_while_their_broker_disclaims_the_group() {
    let disclaimed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&disclaimed);
    let two = Two::new(&["hold = \"10s\""], move |request| {
        let is_of_member = request.frame.windows(4).any(|name| name == b"team");
        let disclaims = is_of_member && says(request, 0).is_some();
        let code = [14, 15, 16][count.fetch_add(usize::from(disclaims), Ordering::Relaxed) % 3];
        disclaims.then(|| Reply::Frame(says(request, code).unwrap()))
    });
    let mut client = two.client_of_the_first();
    for round in 0..6 {
        // What is asked behind it is heard behind it, and comes from its own broker.
        client.send(&beat(10 * round)).unwrap();
        client.send(&bytes::heartbeat(10 * round + 1, b"body")).unwrap();
        client.send(&commit(10 * round + 2)).unwrap();
        let numbers: Vec<i32> = (0..3).map(|_| number(&client.receive().unwrap())).collect();
        assert_eq!(numbers, [0, 1, 2].map(|n| 10 * round + n));
    }
    is_well(&mut client);
    // From the first answer on its own broker is not asked any more: what was on its way at that time is all that it got.
    assert!((1..=2).contains(&disclaimed.load(Ordering::Relaxed)), "{disclaimed:?}");
    // A member that joins has looked for its coordinator.
    let before = disclaimed.load(Ordering::Relaxed);
    let join =
        raw::request(JOIN_GROUP, 2, 80, "test", HeadStyle::Classic, &Bytes::default().classic("team").0);
    assert_eq!(number(&client.ask(&join).unwrap()), 80);
    assert_eq!(number(&client.ask(&beat(81)).unwrap()), 81);
    assert_eq!(disclaimed.load(Ordering::Relaxed), before + 1);
    let lost = two.gateway.metric("portcullis_broker_connections_lost_total", &[]).unwrap();
    assert!(lost < 0.5, "{lost} lost");
    // One connection beside those of the client and of the gateway itself serves all of it.
    assert!(two.brokers[1].accepted() <= 4, "{} connections", two.brokers[1].accepted());
}

/// Whose answer this is; of a member's question it must be the echo of the node that coordinates the group.
fn number(answer: &[u8]) -> i32 {
    assert!(answer.len() < 12 || contains(answer, "team"), "{answer:?} of one that does not coordinate");
    i32::from_be_bytes(*answer.first_chunk().unwrap())
}

#[test]
fn the_coordinators_own_word_is_passed_on() {
    let stage =
        Stage::new(&Setup::default(), |request| says(request, REBALANCE_IN_PROGRESS).map(Reply::Frame));
    let mut client = stage.client();
    let answer = client.ask(&beat(5)).unwrap();
    assert_eq!(answer, Bytes::default().i32(5).i32(0).i16(REBALANCE_IN_PROGRESS).0);
}

#[test]
fn what_names_no_group_is_not_asked_of_others() {
    let stage = Stage::new(&Setup::default(), |request| says(request, NOT_COORDINATOR).map(Reply::Frame));
    let mut client = stage.client();
    // The name of the group is longer than all of it.
    let answer = client.ask(&bytes::heartbeat(5, &[0x7f, 0xff])).unwrap();
    assert_eq!(answer, Bytes::default().i32(5).i32(0).i16(NOT_COORDINATOR).0);
}

#[test]
fn a_member_whose_group_nobody_coordinates_is_told_in_the_end() {
    let setup = Setup { cluster: vec!["hold = \"200ms\""], ..Setup::default() };
    let stage = Stage::new(&setup, |request| match request.key() {
        FIND_COORDINATOR => Some(Reply::Frame(bytes::coordinator_answer(request.correlation(), 0, 1))),
        _ => says(request, NOT_COORDINATOR).map(Reply::Frame),
    });
    let mut client = stage.client();
    let begun = Instant::now();
    client.send(&beat(5)).unwrap();
    client.send(&commit(6)).unwrap();
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(5).i32(0).i16(NOT_COORDINATOR).0);
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    let told = Bytes::default().i32(6).i32(0).i32(1).classic("orders").i32(1).i32(3).i16(NOT_COORDINATOR).0;
    assert_eq!(client.receive().unwrap(), told);
}

#[test]
fn members_are_answered_by_the_next_coordinator_when_theirs_is_gone() {
    let mut two = Two::new(&["hold = \"10s\""], |request| {
        let is_of_member = request.frame.windows(4).any(|name| name == b"team");
        (is_of_member && says(request, 0).is_some()).then_some(Reply::Nothing)
    });
    let mut client = two.client_of_the_first();
    client.send(&beat(5)).unwrap();
    client.send(&commit(6)).unwrap();
    drop(two.brokers.remove(0));
    let begun = Instant::now();
    for correlation in [5, 6] {
        assert_eq!(number(&client.receive().unwrap()), correlation);
    }
    // And what comes while it is away.
    assert_eq!(number(&client.ask(&beat(7)).unwrap()), 7);
    assert!(begun.elapsed() < Duration::from_secs(9).min(LIMIT), "{:?}", begun.elapsed());
}

#[test]
fn a_producer_is_not_told_of_another_leader_before_that_one_knows() {
    let stage = Stage::new(&Setup::default(), |request| {
        (request.key() == PRODUCE).then(|| Reply::Frame(says_of_records(request, NOT_LEADER)))
    });
    let mut client = stage.client();
    let begun = Instant::now();
    for correlation in 1..=5 {
        client.send(&produce(correlation, -1, &[3], 1000)).unwrap();
    }
    client.send(&bytes::heartbeat(6, b"body")).unwrap();
    assert_eq!(codes(&client.receive().unwrap(), 1, &[3]), [NOT_LEADER]);
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    for correlation in 2..=5 {
        assert_eq!(codes(&client.receive().unwrap(), correlation, &[3]), [NOT_LEADER]);
    }
    assert_eq!(number(&client.receive().unwrap()), 6);
    // Each was told once, and counted once.
    let labels = [("api", "Produce")];
    let failed = stage.gateway.metric("portcullis_requests_failed_total", &labels).unwrap();
    assert!((failed - 5.0).abs() < 0.5, "{failed} counted");
}
