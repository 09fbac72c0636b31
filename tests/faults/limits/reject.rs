//! Mutations, and limits that say no where clients retry by themselves.

use std::time::Instant;

use testkit::raw::{self, HeadStyle};
use testkit::{RawClient, Reply};

use super::{SOON, Watched, ms};
use crate::bytes::{self, Bytes};
use crate::stage::Setup;

const CREATE_TOPICS: i16 = 19;
const QUOTA: i16 = 89;
const NOT_ENOUGH: i16 = 19;
const WORDS: [&str; 2] =
    ["The gateway's limit is exceeded: try again later", "the gateway's limit is exceeded: try again later"];

/// `CreateTopics` v5 or v7 for `t0`, `t1` and so on, with so many partitions each.
fn create(version: i16, id: i32, partitions: &[i32]) -> Vec<u8> {
    let mut body = Bytes::default().uvarint(partitions.len() + 1);
    for (n, partitions) in partitions.iter().enumerate() {
        body = body.compact(format!("t{n}")).i32(*partitions).i16(1).uvarint(1).uvarint(1).uvarint(0);
    }
    let body = body.i32(1000).raw(&[0]).uvarint(0).0;
    raw::request(CREATE_TOPICS, version, id, "test", HeadStyle::Flexible, &body)
}

/// A broker that knows `CreateTopics`, Produce and Fetch, and says so little that the throttle time is at its place.
fn watched(limits: &'static str) -> Watched {
    Watched::new(&Setup { more: limits, ..Setup::default() }, |request| {
        let front = Bytes::default().raw(request.correlation()).uvarint(0);
        match request.key() {
            // No topics, no throttle time; the other way round.
            bytes::PRODUCE => Some(Reply::Frame(front.uvarint(1).i32(0).uvarint(0).0)),
            CREATE_TOPICS => Some(Reply::Frame(front.i32(0).uvarint(1).uvarint(0).0)),
            bytes::FETCH => Some(Reply::Frame(bytes::fetch_answer(request.correlation(), 100, &[0]))),
            _ => None,
        }
    })
}

/// The answer, whose throttle time is at `at`, without it; and the throttle time.
fn without_throttle(mut answer: Vec<u8>, at: usize) -> (Vec<u8>, i32) {
    let throttle = answer.splice(at..at + 4, []).collect::<Vec<u8>>();
    (answer, i32::from_be_bytes(throttle.try_into().unwrap()))
}

fn asks(client: &mut RawClient, request: &[u8], at: usize) -> (Vec<u8>, i32) {
    without_throttle(client.ask(request).unwrap(), at)
}

#[test]
fn every_partition_that_is_created_counts() {
    let watched = watched(
        "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = []\nrate = 1\nburst = 2\nmax_throttle = \"8s\"\n",
    );
    let mut client = watched.client();
    let sent = Instant::now();
    let (_, none) = asks(&mut client, &create(7, 1000, &[1, 1]), 5);
    assert_eq!(none, 0);
    // Three topics with one partition, one with two, beyond a burst that is used up.
    let (_, throttle) = asks(&mut client, &create(7, 1001, &[1, 1, 1, 2]), 5);
    let took = i32::try_from(sent.elapsed().as_millis()).unwrap();
    assert!((5000 - took - 1..=5000).contains(&throttle), "{throttle} after {took} ms");
    client.send(&bytes::heartbeat(1002, b"x")).unwrap();
    assert!(watched.came(1002) - sent >= ms(5000));
}

#[test]
fn rejected_changes_are_told_so_in_versions_that_know_it_and_wait_in_others() {
    let watched = watched(
        "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = []\nrate = 0.1\nburst = 1\n\
         max_throttle = \"600ms\"\non_exceeded = \"reject\"\n",
    );
    let (mut client, mut old) = (watched.client(), watched.client());
    // The first is never too much.
    asks(&mut client, &create(7, 1000, &[1, 1, 1]), 5);
    let (refused, throttle) = asks(&mut client, &create(7, 1001, &[1, 1]), 5);
    let mut expected = Bytes::default().i32(1001).uvarint(0).uvarint(3);
    for name in ["t0", "t1"] {
        expected = expected.compact(name).raw(&[0; 16]).i16(QUOTA).compact(WORDS[0]);
        expected = expected.i32(-1).i16(-1).uvarint(1).uvarint(0);
    }
    assert_eq!(refused, expected.uvarint(0).0);
    assert!((1..=600).contains(&throttle), "{throttle}");
    assert!((watched.tally("rejected", "changes") - 1.0).abs() < 0.5);
    // Version 5 does not know the code: it is carried, and told to be quiet.
    let sent = Instant::now();
    let (carried, throttle) = asks(&mut old, &create(5, 1002, &[1]), 5);
    assert_eq!(carried, Bytes::default().i32(1002).uvarint(0).uvarint(1).uvarint(0).0);
    assert!((1..=600).contains(&throttle), "{throttle}");
    old.send(&bytes::heartbeat(1003, b"x")).unwrap();
    assert!(watched.came(1003) - sent >= ms(600));
    assert_eq!(watched.has_come(1001), None);
}

/// A Produce v9 to two partitions of `orders` and one of `logs`.
fn produce(id: i32, acks: i16) -> Vec<u8> {
    let partition = |n: i32| Bytes::default().i32(n).compact([9; 70]).uvarint(0).0;
    let orders =
        Bytes::default().compact("orders").uvarint(3).raw(&partition(0)).raw(&partition(1)).uvarint(0);
    let logs = Bytes::default().compact("logs").uvarint(2).raw(&partition(7)).uvarint(0);
    let body =
        Bytes::default().uvarint(0).i16(acks).i32(1000).uvarint(3).raw(&orders.0).raw(&logs.0).uvarint(0).0;
    raw::request(bytes::PRODUCE, 9, id, "test", HeadStyle::Flexible, &body)
}

const REJECTING: &str = "[[limit]]\nname = \"strict\"\nkind = \"leaky-bucket\"\nby = []\nrate = 0.01\n\
                         max_throttle = \"600ms\"\non_exceeded = \"reject\"\nmatch = { api = [\"Produce\", \"Fetch\"] }\n";

#[test]
fn rejected_records_are_refused_partition_by_partition_and_do_not_reach_the_broker() {
    let watched = watched(REJECTING);
    let mut client = watched.client();
    client.ask(&produce(1000, 1)).unwrap();
    let sent = Instant::now();
    let answer = client.ask(&produce(1001, -1)).unwrap();
    let at = answer.len() - 5;
    let (refused, throttle) = without_throttle(answer, at);
    let mut expected = Bytes::default().i32(1001).uvarint(0).uvarint(3);
    for (topic, partitions) in [("orders", &[0, 1][..]), ("logs", &[7])] {
        expected = expected.compact(topic).uvarint(partitions.len() + 1);
        for partition in partitions {
            expected = expected.i32(*partition).i16(NOT_ENOUGH).i64(-1).i64(-1).i64(-1);
            expected = expected.uvarint(1).compact(WORDS[1]).uvarint(0);
        }
        expected = expected.uvarint(0);
    }
    assert_eq!(refused, expected.uvarint(0).0);
    assert!((1..=600).contains(&throttle), "{throttle}");
    // Who comes again at once is not read before it makes sense. To acks=0 nobody answers, whatever becomes of it.
    client.send(&produce(1002, 0)).unwrap();
    client.send(&bytes::heartbeat(1003, b"x")).unwrap();
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(1003).raw(b"x").0);
    assert!(watched.came(1003) - sent >= ms(600));
    assert!((watched.tally("rejected", "strict") - 2.0).abs() < 0.5);
    assert_eq!([1001, 1002].map(|id| watched.has_come(id)), [None; 2]);
}

#[test]
fn fetch_waits_where_others_are_rejected() {
    let watched = watched(REJECTING);
    let mut client = watched.client();
    client.ask(&produce(1000, 1)).unwrap();
    let sent = Instant::now();
    let answer = client.ask(&bytes::fetch(1001, &[0])).unwrap();
    assert_eq!(answer, bytes::fetch_answer(&1001_i32.to_be_bytes(), 100, &[0]));
    assert!(watched.came(1001) - sent >= ms(600) && sent.elapsed() < SOON + ms(600));
    assert!(watched.tally("rejected", "strict") < 0.5);
}
