//! Requests in flight: who is too many waits until another is answered, or gone.

use std::time::Instant;

use super::{LIMIT, Watched, is_answered, join, long_question, ms, question};
use crate::bytes::{Bytes, heartbeat};
use crate::stage::is_well;

const ONE: &str = "[[limit]]\nname = \"one\"\nkind = \"concurrency\"\nby = []\nin_flight = 1\n";

#[test]
fn a_request_comes_to_the_broker_only_after_the_one_before_it_is_answered() {
    let watched = Watched::limited(ONE);
    let (mut first, mut second) = (watched.client(), watched.client());
    first.send(&long_question("test", 1000)).unwrap();
    watched.came(1000);
    second.send(&question(1001)).unwrap();
    watched.stays_away(1001);
    let opened = Instant::now();
    watched.gate.open();
    is_answered(&mut second, 1001);
    assert!(watched.came(1001) >= opened);
    assert_eq!(first.receive().unwrap()[8..], *b"hold");
    assert!((watched.tally("throttled", "one") - 1.0).abs() < 0.5);
    // Of one connection, too.
    (1002..1010).for_each(|id| first.send(&question(id)).unwrap());
    (1002..1010).for_each(|id| is_answered(&mut first, id));
}

#[test]
fn a_connection_that_ends_gives_its_slot_and_its_place_in_the_queue_back() {
    let watched = Watched::limited(ONE);
    let (mut first, mut second, mut third) = (watched.client(), watched.client(), watched.client());
    first.send(&long_question("test", 1000)).unwrap();
    watched.came(1000);
    second.send(&question(1001)).unwrap();
    watched.stays_away(1001);
    third.send(&question(1002)).unwrap();
    drop(second);
    watched.stays_away(1002);
    // The broker has not answered it, and does not until the gate opens.
    drop(first);
    is_answered(&mut third, 1002);
}

#[test]
fn joins_and_heartbeats_neither_take_a_slot_nor_wait_for_one() {
    let watched = Watched::limited(ONE);
    let (mut joins, mut asks, mut beats) = (watched.client(), watched.client(), watched.client());
    joins.send(&join(1000, b"hold")).unwrap();
    watched.came(1000);
    asks.send(&long_question("test", 1001)).unwrap();
    watched.came(1001);
    assert_eq!(beats.ask(&join(1002, b"body")).unwrap(), Bytes::default().i32(1002).raw(b"body").0);
    is_well(&mut beats);
    asks.send(&heartbeat(1003, b"x")).unwrap();
    watched.gate.open();
    watched.came(1003);
    assert!(watched.tally("throttled", "one") < 0.5);
}

#[test]
fn a_heartbeat_behind_a_request_without_a_slot_waits_no_longer_than_max_throttle() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"one\"\nkind = \"concurrency\"\nby = []\nin_flight = 1\nmax_throttle = \"400ms\"\n",
    );
    let (mut holds, mut group) = (watched.client(), watched.client());
    is_well(&mut group);
    holds.send(&long_question("test", 1000)).unwrap();
    watched.came(1000);
    let sent = Instant::now();
    group.send(&question(1001)).unwrap();
    group.send(&heartbeat(1002, b"x")).unwrap();
    is_answered(&mut group, 1001);
    assert_eq!(group.receive().unwrap()[4..], *b"x");
    assert!(watched.came(1001) - sent >= ms(400) && sent.elapsed() < LIMIT);
}
