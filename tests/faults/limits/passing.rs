//! What is charged as it passes: topics, records and the bytes of answers. It waits nevertheless where others have used up what
//! there is.

use std::time::Instant;

use testkit::Reply;
use testkit::raw::{self, HeadStyle};
use wire::Api;

use super::{SOON, Watched, ms, question};
use crate::bytes::{Bytes, FETCH, PRODUCE};
use crate::stage::Setup;

/// A Produce v9 of one batch to one topic, of which the header alone is true.
fn produce(id: i32, topic: &str, records: i32) -> Vec<u8> {
    // Offset; size, epoch, magic; checksum to the last sequence; how many records.
    let batch = Bytes::default().i64(0).i32(49).i32(0).raw(&[2]).raw(&[0; 40]).i32(records);
    let partition = Bytes::default().i32(0).compact(batch.0).uvarint(0);
    let body = Bytes::default().uvarint(0).i16(1).i32(1000).uvarint(2).compact(topic).uvarint(2);
    let body = body.raw(&partition.0).uvarint(0).uvarint(0).0;
    raw::request(PRODUCE, 9, id, "test", HeadStyle::Flexible, &body)
}

/// A Fetch v12 without topics.
fn fetch(id: i32, max_wait_ms: i32, max_bytes: i32) -> Vec<u8> {
    let body = Bytes::default().i32(-1).i32(max_wait_ms).i32(1).i32(max_bytes).raw(&[0]).i32(0).i32(-1);
    let body = body.uvarint(1).uvarint(1).compact("").uvarint(0).0;
    raw::request(FETCH, 12, id, "test", HeadStyle::Flexible, &body)
}

/// An answer to it that brings a batch of so many bytes.
fn fetched(correlation: &[u8], size: usize) -> Vec<u8> {
    let partition = Bytes::default().i32(0).i16(0).i64(9).i64(9).i64(0).uvarint(0).i32(-1);
    let partition = partition.compact(vec![3; size]).uvarint(0);
    let topic = Bytes::default().compact("orders").uvarint(2).raw(&partition.0).uvarint(0);
    let front = Bytes::default().raw(correlation).uvarint(0).i32(0).i16(0).i32(0);
    front.uvarint(2).raw(&topic.0).uvarint(0).0
}

/// Before a broker whose every answer to a Fetch brings so many bytes.
fn bringing(limits: &'static str, size: usize) -> Watched {
    Watched::new(&Setup { more: limits, ..Setup::default() }, move |request| {
        let is_fetch = request.key() == Api::Fetch.key();
        is_fetch.then(|| Reply::Frame(fetched(request.correlation(), size)))
    })
}

/// What this Fetch asked the broker for: how long to wait, and how many bytes.
fn asked(watched: &Watched, id: i32) -> (i32, i32) {
    watched.came(id);
    let seen = watched.stage.seen();
    let frame = seen.iter().find(|frame| frame[4..8] == id.to_be_bytes()).unwrap();
    // Key, version, correlation id, client id, tags, replica.
    let at = 8 + 6 + 1 + 4;
    let number = |at: usize| i32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    (number(at), number(at + 8))
}

#[test]
fn the_first_requests_of_many_connections_wait_for_the_turn_of_their_topic() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"each\"\nkind = \"leaky-bucket\"\nby = [\"topic\"]\nrate = 2\nmatch = { api = [\"Produce\"] }\n",
    );
    let mut clients: Vec<_> = (1000..1004).map(|id| (watched.client(), id)).collect();
    for (client, id) in &mut clients {
        client.send(&produce(*id, "orders", 1)).unwrap();
    }
    let sent = Instant::now();
    let mut other = watched.client();
    other.send(&produce(1004, "payments", 1)).unwrap();
    assert!(watched.came(1004) - sent < SOON);
    let mut came: Vec<Instant> = (1000..1004).map(|id| watched.came(id)).collect();
    came.sort();
    for turn in 1..4 {
        let gap = came[turn] - came[0];
        assert!(gap >= ms(450) * u32::try_from(turn).unwrap(), "the {turn}th behind came after {gap:?}");
    }
    assert!((2.5..3.5).contains(&watched.tally("throttled", "each")));
}

#[test]
fn who_brings_records_while_there_is_no_room_for_any_waits_for_a_window() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"records\"\nkind = \"sliding-window\"\nunit = \"records\"\ncount = 16\nwindow = \"500ms\"\n",
    );
    let mut clients: Vec<_> = (1000..1003).map(|id| (watched.client(), id)).collect();
    let sent = Instant::now();
    for (client, id) in &mut clients {
        client.send(&produce(*id, "orders", 16)).unwrap();
    }
    let mut came: Vec<Instant> = (1000..1003).map(|id| watched.came(id)).collect();
    came.sort();
    for (window, at) in (0..).zip(&came) {
        assert!(*at - sent >= ms(500) * window, "{:?} for window {window}", *at - sent);
    }
    // What the waiting ones have taken in advance was not charged once more.
    assert!(came[2] - sent < ms(1000) + SOON, "{:?}", came[2] - sent);
}

#[test]
fn a_fetch_that_has_waited_waits_so_much_less_at_the_broker() {
    let watched = Watched::limited("[[limit]]\nname = \"pace\"\nkind = \"leaky-bucket\"\nrate = 2\n");
    let mut client = watched.client();
    client.ask(&question(1000)).unwrap();
    client.send(&fetch(1001, 60_000, 1 << 20)).unwrap();
    let (max_wait_ms, _) = asked(&watched, 1001);
    let waited = watched.came(1001) - watched.came(1000);
    let waited_ms = i32::try_from(waited.as_millis()).unwrap();
    // A little of it passed before the gateway saw the request, or after.
    assert!((60_000 - waited_ms..60_000 - 200).contains(&max_wait_ms), "{max_wait_ms} after {waited:?}");
    let mut unhurried = watched.client();
    unhurried.send(&fetch(1002, 100, 1 << 20)).unwrap();
    assert_eq!(asked(&watched, 1002).0, 0);
}

#[test]
fn a_fetch_asks_for_all_once_its_topics_are_known_to_be_unlimited() {
    let setup = "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nmatch = { topic = [\"other\"] }\nfetch_rate = \"64KiB/s\"\n";
    let watched = bringing(setup, 1 << 10);
    let mut client = watched.client();
    for (correlation, most) in [(1000, 4 << 10), (1001, 1 << 20), (1002, 1 << 20)] {
        client.ask(&fetch(correlation, 100, 1 << 20)).unwrap();
        assert_eq!(asked(&watched, correlation).1, most, "{correlation}");
    }
}

#[test]
fn a_fetch_asks_for_a_portion_of_what_its_limit_has() {
    let setup = "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nfetch_rate = \"64KiB/s\"\n";
    let watched = bringing(setup, 8 << 10);
    let mut client = watched.client();
    client.ask(&fetch(1000, 100, 1 << 20)).unwrap();
    assert_eq!(asked(&watched, 1000).1, 8 << 10);
    client.ask(&fetch(1001, 100, 1 << 20)).unwrap();
    assert_eq!(asked(&watched, 1001).1, 16 << 10);
    // Who wants less gets what it wants, and another connection begins with its part.
    client.ask(&fetch(1002, 100, 100)).unwrap();
    assert_eq!(asked(&watched, 1002).1, 100);
    watched.client().ask(&fetch(1003, 100, 1 << 20)).unwrap();
    assert_eq!(asked(&watched, 1003).1, 4 << 10);
}
