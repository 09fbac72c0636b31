//! Limits on bytes: the answer comes at once and says for how long nothing more is read.

use std::time::Instant;

use testkit::Reply;
use testkit::raw::{self, HeadStyle};

use super::{SOON, Watched, is_let_through, ms};
use crate::bytes::{self, Bytes};
use crate::stage::{Setup, contains};

/// A Produce request without topics that anybody can see, and `size` bytes more.
fn produce(version: i16, id: i32, acks: i16, client_id: &str, size: usize) -> Vec<u8> {
    let (style, none) = if version >= 9 {
        (HeadStyle::Flexible, Bytes::default().uvarint(0))
    } else {
        (HeadStyle::Classic, Bytes::default().i16(-1))
    };
    let body = none.i16(acks).i32(1000).raw(&vec![1; size]).0;
    raw::request(bytes::PRODUCE, version, id, client_id, style, &body)
}

/// The answer to Produce with one partition; where its throttle time is, seen from the end.
fn produce_answer(version: i16, correlation: &[u8], throttle: i32) -> (Vec<u8>, usize) {
    let answer = Bytes::default().raw(correlation);
    let partition = Bytes::default().i32(0).i16(0).i64(5).i64(-1);
    if version < 5 {
        let answer = answer.i32(1).classic("orders").i32(1).raw(&partition.0).i32(throttle);
        return (answer.0, 4);
    }
    let partition = partition.i64(0).uvarint(1).uvarint(0).uvarint(0);
    let topic = Bytes::default().compact("orders").uvarint(2).raw(&partition.0).uvarint(0);
    (answer.uvarint(0).uvarint(2).raw(&topic.0).i32(throttle).uvarint(0).0, 5)
}

fn fetch(version: i16, id: i32, client_id: &str) -> Vec<u8> {
    let body = if version < 15 { Bytes::default().i32(-1) } else { Bytes::default() };
    let body = body.i32(500).i32(1).i32(1 << 20).raw(&[0]).i32(0).i32(-1);
    if version < 12 {
        let body = body.i32(0).i32(0).classic("").0;
        return raw::request(bytes::FETCH, version, id, client_id, HeadStyle::Classic, &body);
    }
    let body = body.uvarint(1).uvarint(1).compact("").uvarint(0).0;
    raw::request(bytes::FETCH, version, id, client_id, HeadStyle::Flexible, &body)
}

/// The answer to Fetch with one partition of 2000 bytes; its throttle time follows the header.
fn fetch_answer(version: i16, correlation: &[u8], throttle: i32) -> Vec<u8> {
    let partition = Bytes::default().i32(0).i16(0).i64(9).i64(9).i64(0);
    if version < 12 {
        let front = Bytes::default().raw(correlation).i32(throttle).i16(0).i32(0).i32(1).classic("orders");
        let partition = partition.i32(-1).i32(-1).i32(2000).raw(&[3; 2000]);
        return front.i32(1).raw(&partition.0).0;
    }
    let topic = if version < 13 { Bytes::default().compact("orders") } else { Bytes(vec![7; 16]) };
    let partition = partition.uvarint(0).i32(-1).compact(vec![3; 2000]).uvarint(0);
    let topic = topic.uvarint(2).raw(&partition.0).uvarint(0);
    let front = Bytes::default().raw(correlation).uvarint(0).i32(throttle).i16(0).i32(0);
    front.uvarint(2).raw(&topic.0).uvarint(0).0
}

/// A broker that answers Produce and Fetch as Kafka does, and asks clients called `strict` to be quiet for 7777 ms.
fn with_bytes(limits: &'static str) -> Watched {
    Watched::new(&Setup { more: limits, ..Setup::default() }, |request| {
        let throttle =
            if contains(&request.frame[..request.frame.len().min(20)], "strict") { 7777 } else { 0 };
        let (version, correlation) = (request.version(), request.correlation());
        match request.key() {
            // No acks, and a timeout of a second.
            bytes::PRODUCE if request.frame.windows(6).any(|at| at == [0, 0, 0, 0, 3, 232]) => {
                Some(Reply::Nothing)
            }
            bytes::PRODUCE => Some(Reply::Frame(produce_answer(version, correlation, throttle).0)),
            bytes::FETCH => Some(Reply::Frame(fetch_answer(version, correlation, throttle))),
            bytes::HEARTBEAT => Some(Reply::Slowly(
                vec![raw::sized(&Bytes::default().raw(correlation).i32(0).i16(0).0)],
                ms(300),
            )),
            _ => None,
        }
    })
}

const BYTES: &str = "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nby = [\"client_id\"]\nproduce_rate = \"1000B/s\"\n\
                     fetch_rate = \"500B/s\"\nmax_throttle = \"8s\"\n";

fn i32_at(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

#[test]
fn produce_is_answered_at_once_and_told_for_how_long_it_is_not_read() {
    let watched = with_bytes(BYTES);
    for (id, version) in [(1000_i32, 3), (1001, 9), (1002, 11)] {
        let mut client = watched.client();
        let request = produce(version, id, 1, &format!("v{version}"), 5000);
        let debt = i32::try_from(request.len() + 4 - 1000).unwrap();
        let sent = Instant::now();
        let answer = client.ask(&request).unwrap();
        let took = i32::try_from(sent.elapsed().as_millis()).unwrap();
        let (expected, from_end) = produce_answer(version, &id.to_be_bytes(), 0);
        let at = answer.len() - from_end;
        let throttle = i32_at(&answer, at);
        assert!(throttle > debt / 2, "answered after {took} ms, {throttle} are left of {debt}");
        assert!((debt - took - 1..=debt).contains(&throttle), "{throttle} after {took} ms of {debt}");
        assert_eq!((&answer[..at], &answer[at + 4..]), (&expected[..at], &expected[at + 4..]));
    }
    // The stricter of the two counts.
    let answer = watched.client().ask(&produce(9, 1003, 1, "strict", 1500)).unwrap();
    assert_eq!(answer, produce_answer(9, &1003_i32.to_be_bytes(), 7777).0);
    // Who is within the limit is told nothing.
    let answer = watched.client().ask(&produce(9, 1004, 1, "modest", 500)).unwrap();
    assert_eq!(answer, produce_answer(9, &1004_i32.to_be_bytes(), 0).0);
}

#[test]
fn fetch_is_answered_at_once_and_told_for_how_long_it_is_not_read() {
    let watched = with_bytes(BYTES);
    for (id, version) in [(1000_i32, 11), (1001, 12), (1002, 16)] {
        let mut client = watched.client();
        let answer = client.ask(&fetch(version, id, &format!("v{version}"))).unwrap();
        let expected = fetch_answer(version, &id.to_be_bytes(), 0);
        let at = if version < 12 { 4 } else { 5 };
        // Two milliseconds a byte beyond the burst of 500.
        let debt = i32::try_from(expected.len() + 4 - 500).unwrap() * 2;
        assert_eq!(i32_at(&answer, at), debt);
        assert_eq!((&answer[..at], &answer[at + 4..]), (&expected[..at], &expected[at + 4..]));
    }
    let answer = watched.client().ask(&fetch(16, 1003, "strict")).unwrap();
    assert_eq!(answer, fetch_answer(16, &1003_i32.to_be_bytes(), 7777));
}

#[test]
fn heartbeats_are_never_told_to_be_quiet() {
    let watched = with_bytes(BYTES);
    let mut client = watched.client();
    client.send(&bytes::heartbeat(1000, b"x")).unwrap();
    watched.came(1000);
    client.send(&produce(9, 1001, 1, "test", 7000)).unwrap();
    // It comes while the client is not read from.
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(1000).i32(0).i16(0).0);
    let answer = client.receive().unwrap();
    assert!(i32_at(&answer, answer.len() - 5) > 0);
}

#[test]
fn the_next_request_is_not_taken_before_the_pause_is_over_whatever_the_acks() {
    let watched = with_bytes(BYTES);
    for (id, acks) in [(1000, 1), (1002, 0)] {
        let mut client = watched.client();
        let request = produce(9, id, acks, &format!("acks{acks}"), if acks == 0 { 1500 } else { 1400 });
        let debt = ms(request.len() as u64 + 4 - 1000);
        let sent = Instant::now();
        client.send(&request).unwrap();
        client.send(&bytes::heartbeat(id + 1, b"x")).unwrap();
        let paused = watched.came(id + 1) - sent;
        assert!(paused >= debt, "{paused:?} of {debt:?}");
        assert!(watched.came(id) - sent < paused);
    }
    // Fetch: what is asked after the answer.
    let mut client = watched.client();
    let sent = Instant::now();
    client.ask(&fetch(12, 1004, "fetch")).unwrap();
    client.send(&bytes::heartbeat(1005, b"x")).unwrap();
    assert!(watched.came(1005) - sent >= ms(3000), "{:?}", watched.came(1005) - sent);
}

#[test]
fn who_comes_while_others_are_in_debt_waits_until_it_is_paid() {
    let watched = with_bytes(
        "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nproduce_rate = \"1000B/s\"\nfetch_rate = \"1500B/s\"\n\
         max_throttle = \"8s\"\n",
    );
    let [mut first, mut second, mut third] = [(); 3].map(|()| watched.client());
    let sent = Instant::now();
    let large = produce(9, 1000, 1, "test", 1500);
    first.ask(&large).unwrap();
    let small = produce(9, 1001, 1, "test", 500);
    second.send(&small).unwrap();
    // Two threads that look at a bucket in one moment see the same debt.
    watched.counts("throttled", "bytes", 2.0);
    third.send(&produce(9, 1002, 1, "test", 500)).unwrap();
    let (one, other) = (watched.came(1001), watched.came(1002));
    let debt = ms(large.len() as u64 + 4 - 1000);
    assert!(one.min(other) - sent >= debt, "{:?} of {debt:?}", one.min(other) - sent);
    // And they go one after the other.
    let both = debt + ms(small.len() as u64 + 4);
    assert!(one.max(other) - sent >= both, "{:?} of {both:?}", one.max(other) - sent);
    second.receive().unwrap();
    third.receive().unwrap();
    // Of the answer 1500 bytes come at once, and the others are a third of a second.
    let (mut first, mut second) = (watched.client(), watched.client());
    let answer = first.ask(&fetch(12, 1003, "test")).unwrap();
    let debt = ms((answer.len() as u64 + 4 - 1500) * 2 / 3);
    let answered = Instant::now();
    second.send(&fetch(12, 1004, "test")).unwrap();
    // The time from the charge to here is part of the wait.
    let waited = watched.came(1004) - watched.came(1003);
    assert!(waited >= debt && answered.elapsed() < SOON, "{waited:?} of {debt:?}");
}

#[test]
fn no_pause_is_longer_than_max_throttle() {
    let watched = with_bytes(
        "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nproduce_rate = \"1B/s\"\nfetch_rate = \"1B/s\"\n\
         max_throttle = \"400ms\"\n",
    );
    let mut client = watched.client();
    let sent = Instant::now();
    let answer = client.ask(&produce(9, 1000, 1, "test", 9000)).unwrap();
    assert!(i32_at(&answer, answer.len() - 5) <= 400);
    let asked = Instant::now();
    let answer = client.ask(&fetch(16, 1001, "test")).unwrap();
    assert!(watched.came(1001) - sent >= ms(400));
    assert!(watched.came(1001) - asked < SOON);
    assert!((1..=400).contains(&i32_at(&answer, 5)));
}

#[test]
fn what_a_group_sends_during_a_pause_for_bytes_does_not_wait_again() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"slow\"\nkind = \"bytes\"\nproduce_rate = \"1B/s\"\nmax_throttle = \"400ms\"\n",
    );
    let mut client = watched.client();
    client.ask(&bytes::heartbeat(999, b"x")).unwrap();
    is_let_through(&watched, &mut client, |id| produce(9, id, 1, "test", 100));
}
