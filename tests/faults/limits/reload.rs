//! Limits that change, and a gateway that ends, while somebody waits.

use std::time::Instant;

use testkit::RawClient;
use testkit::raw::sized;

use super::{LIMIT, SOON, Watched, is_answered, is_let_through, long_question, ms, question, question_of};
use crate::bytes::heartbeat;
use crate::stage::is_well;

/// So slow that whoever waits for it does so for eight seconds.
const SLOW: &str =
    "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nby = []\nrate = 0.01\nmax_throttle = \"8s\"\n";

fn reloaded_with(watched: &mut Watched, more: &str) {
    watched.stage.config.more.push_str(more);
    watched.stage.gateway.reload(&watched.stage.config).unwrap();
}

#[test]
fn a_connection_that_carried_a_group_before_there_was_a_limit_is_known() {
    let mut watched = Watched::limited("");
    let mut client = watched.client();
    client.ask(&heartbeat(999, b"x")).unwrap();
    let slow = "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nrate = 0.01\nmax_throttle = \"400ms\"\n";
    reloaded_with(&mut watched, slow);
    is_let_through(&watched, &mut client, question);
}

#[test]
fn a_new_limit_is_for_the_next_request_of_connections_that_are_there() {
    let mut watched = Watched::limited("");
    let mut client = watched.client();
    (1000..1010).for_each(|id| drop(client.ask(&question(id)).unwrap()));
    let slow = "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nrate = 0.01\nmax_throttle = \"400ms\"\n";
    reloaded_with(&mut watched, slow);
    client.ask(&question(1010)).unwrap();
    let sent = Instant::now();
    client.ask(&question(1011)).unwrap();
    assert!(sent.elapsed() >= ms(400), "{:?}", sent.elapsed());
    assert!((watched.tally("throttled", "slow") - 1.0).abs() < 0.5);
}

#[test]
fn a_higher_byte_rate_ends_a_pause_at_once() {
    let mut watched = Watched::limited(
        "[[limit]]\nname = \"slow\"\nkind = \"bytes\"\nby = [\"client_id\"]\nproduce_rate = \"1B/s\"\n\
         max_throttle = \"8s\"\n",
    );
    let (mut client, mut pipelined) = (watched.client(), watched.client());
    client.ask(&crate::bytes::produce(1000, 1, b"much")).unwrap();
    client.send(&heartbeat(1001, b"x")).unwrap();
    // In one piece, so that the second one is read already; under another name, so that it is in debt to nobody.
    let two = [crate::bytes::produce(1002, 1, b"much"), heartbeat(1003, b"x")].map(|frame| {
        let named = frame.windows(4).position(|name| name == b"test").unwrap();
        sized(&[&frame[..named], b"rest", &frame[named + 4..]].concat())
    });
    pipelined.send_bytes(&two.concat()).unwrap();
    pipelined.receive().unwrap();
    watched.stays_away(1001);
    watched.stays_away(1003);
    let begun = Instant::now();
    watched.retune("1B/s", "1MiB/s");
    client.receive().unwrap();
    pipelined.receive().unwrap();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_higher_rate_lets_go_who_waits() {
    let mut watched = Watched::limited(SLOW);
    let mut client = watched.client();
    client.ask(&question(1000)).unwrap();
    client.send(&question(1001)).unwrap();
    watched.counts("throttled", "slow", 1.0);
    let begun = Instant::now();
    watched.retune("rate = 0.01", "rate = 1000");
    is_answered(&mut client, 1001);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn who_owes_still_owes_after_a_reload_of_something_else() {
    let mut watched =
        Watched::limited("[[limit]]\nname = \"pace\"\nkind = \"leaky-bucket\"\nby = []\nrate = 1\n");
    let mut client = watched.client();
    let begun = Instant::now();
    // They are counted, a second each, and do not wait.
    (1000..1004).for_each(|id| drop(client.ask(&heartbeat(id, b"x")).unwrap()));
    reloaded_with(&mut watched, &SLOW.replace("by", "match = { client_id = [\"nobody\"] }\nby"));
    let mut other = watched.client();
    other.ask(&question(1004)).unwrap();
    assert!(watched.came(1004) - begun >= ms(4000), "{:?}", watched.came(1004) - begun);
}

/// Clients that wait for each kind of limit on requests, with the numbers of their questions.
fn waiting(watched: &Watched) -> Vec<(RawClient, i32)> {
    let mut clients = vec![(watched.client(), 1001), (watched.client(), 1002), (watched.client(), 1003)];
    clients[0].0.ask(&question_of("paced", 1000)).unwrap();
    clients[0].0.send(&question_of("paced", 1001)).unwrap();
    clients[1].0.send(&question_of("paced", 1002)).unwrap();
    watched.counts("throttled", "slow", 2.0);
    clients[2].0.send(&question_of("slotted", 1003)).unwrap();
    watched.stays_away(1003);
    clients
}

const TWO_KINDS: &str = "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nby = []\nrate = 0.01\nmax_throttle = \"8s\"\n\
     match = { client_id = [\"paced\"] }\n[[limit]]\nname = \"slots\"\nkind = \"concurrency\"\nby = []\nin_flight = 1\n\
     match = { client_id = [\"slotted\"] }\n";

#[test]
fn all_who_wait_for_a_limit_go_when_it_is_removed() {
    let mut watched = Watched::limited(TWO_KINDS);
    let mut holder = watched.client();
    holder.send(&long_question("slotted", 999)).unwrap();
    watched.came(999);
    let mut clients = waiting(&watched);
    let begun = Instant::now();
    watched.retune(TWO_KINDS, "");
    for (client, id) in &mut clients {
        is_answered(client, *id);
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn another_slot_lets_in_who_waits_for_one() {
    let mut watched = Watched::limited(TWO_KINDS);
    let (mut holder, mut other) = (watched.client(), watched.client());
    holder.send(&long_question("slotted", 999)).unwrap();
    watched.came(999);
    other.send(&question_of("slotted", 1000)).unwrap();
    watched.stays_away(1000);
    let begun = Instant::now();
    watched.retune("in_flight = 1", "in_flight = 2");
    is_answered(&mut other, 1000);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_connection_that_is_held_comes_in_when_there_is_room_for_it_or_no_limit_any_more() {
    let limit =
        "[[limit]]\nname = \"room\"\nkind = \"connections\"\nby = []\ncount = 1\nmax_throttle = \"8s\"\n";
    let mut watched = Watched::limited(limit);
    let mut first = watched.client();
    is_well(&mut first);
    let mut second = watched.client();
    second.send(&question(1000)).unwrap();
    watched.stays_away(1000);
    let begun = Instant::now();
    watched.retune("count = 1", "count = 2");
    is_answered(&mut second, 1000);
    let mut third = watched.client();
    third.send(&question(1001)).unwrap();
    watched.stays_away(1001);
    watched.retune(&limit.replace("= 1", "= 2"), "");
    is_answered(&mut third, 1001);
    assert!(begun.elapsed() < SOON + ms(1000), "{:?}", begun.elapsed());
}

#[test]
fn nothing_of_what_waits_goes_to_the_broker_when_the_gateway_ends() {
    let mut watched = Watched::limited(TWO_KINDS);
    let mut holder = watched.client();
    holder.send(&long_question("slotted", 999)).unwrap();
    watched.came(999);
    let clients = waiting(&watched);
    let told = Instant::now();
    watched.stage.gateway.terminate().unwrap();
    for (mut client, id) in clients {
        assert_eq!(client.until_closed().unwrap(), b"", "{id}");
    }
    // What the broker has is answered.
    watched.gate.open();
    assert_eq!(holder.receive().unwrap()[8..], *b"hold");
    assert_eq!(holder.until_closed().unwrap(), b"");
    assert!(watched.stage.gateway.wait_end(LIMIT).unwrap().success());
    assert!(told.elapsed() < ms(5000), "{:?}", told.elapsed());
    assert_eq!([1001, 1002, 1003].map(|id| watched.has_come(id)), [None; 3]);
}

#[test]
fn a_connection_that_is_held_does_not_hold_the_end_up() {
    let mut watched = Watched::limited(
        "[[limit]]\nname = \"one\"\nkind = \"connections\"\nby = []\ncount = 1\nmax_throttle = \"8s\"\n",
    );
    let mut first = watched.client();
    is_well(&mut first);
    let mut second = watched.client();
    second.send(&question(1000)).unwrap();
    watched.stays_away(1000);
    let told = Instant::now();
    watched.stage.gateway.terminate().unwrap();
    assert_eq!(second.until_closed().unwrap(), b"");
    assert_eq!(first.until_closed().unwrap(), b"");
    drop((first, second));
    assert!(watched.stage.gateway.wait_end(LIMIT).unwrap().success());
    assert!(told.elapsed() < ms(5000), "{:?}", told.elapsed());
    assert_eq!(watched.has_come(1000), None);
}
