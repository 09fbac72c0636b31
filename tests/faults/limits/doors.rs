//! Connections: who is too many, or too early, is held, and closed without a word if their turn does not come in time.

use std::time::Instant;

use super::{LIST_OFFSETS, SOON, Watched, is_answered, ms, question};
use crate::bytes::{Bytes, heartbeat};
use crate::stage::{Setup, asking_who, is_well, login};

#[test]
fn a_connection_too_many_is_held_until_another_one_closes() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"one\"\nkind = \"connections\"\nby = [\"address\"]\ncount = 1\nmax_throttle = \"8s\"\n",
    );
    let mut first = watched.client();
    is_well(&mut first);
    let mut second = watched.client();
    second.send(&question(1000)).unwrap();
    watched.stays_away(1000);
    is_well(&mut first);
    let left = Instant::now();
    drop(first);
    is_answered(&mut second, 1000);
    assert!(watched.came(1000) >= left && left.elapsed() < SOON, "{:?}", left.elapsed());
    assert!((watched.tally("throttled", "one") - 1.0).abs() < 0.5);
    assert!(watched.tally("rejected", "one") < 0.5);
}

#[test]
fn a_connection_that_is_held_for_too_long_is_closed_without_an_answer() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"one\"\nkind = \"connections\"\nby = []\ncount = 1\nmax_throttle = \"400ms\"\n",
    );
    let mut first = watched.client();
    is_well(&mut first);
    let came = Instant::now();
    watched.stage.is_closed_for("gateway", "limited", &testkit::raw::sized(&question(1000)));
    assert!(came.elapsed() >= ms(400), "{:?}", came.elapsed());
    assert_eq!(watched.has_come(1000), None);
    assert!((watched.tally("rejected", "one") - 1.0).abs() < 0.5);
    is_well(&mut first);
    // It has left no trace: the place is free once the first is gone.
    watched.stage.ends(1, "client", "closed", || drop(first));
    is_well(&mut watched.client());
}

#[test]
fn a_principal_with_a_connection_too_many_is_held_after_the_login_and_others_are_not() {
    let limits = "[[limit]]\nname = \"one\"\nkind = \"connections\"\nby = [\"principal\"]\ncount = 1\n\
                  max_throttle = \"8s\"\n";
    let watched = Watched::new(&Setup { more: limits, ..asking_who() }, |_| None);
    let mut alice = watched.client();
    is_well(&mut alice);
    // Its login is answered, and with no error.
    let mut again = watched.client();
    again.send(&question(1000)).unwrap();
    watched.stays_away(1000);
    let mut bob = watched.stage.connect();
    assert_eq!(login(&mut bob, "bob", "bob's password").unwrap(), 0);
    is_well(&mut bob);
    drop(alice);
    is_answered(&mut again, 1000);
}

#[test]
fn connections_come_in_one_after_the_other_at_their_rate() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"pace\"\nkind = \"connection-rate\"\nby = []\nrate = 2.5\nburst = 1\n",
    );
    let begun = Instant::now();
    let mut clients: Vec<_> = (1000..1004).map(|id| (watched.client(), id)).collect();
    for (client, id) in &mut clients {
        client.send(&question(*id)).unwrap();
    }
    for (client, id) in &mut clients {
        is_answered(client, *id);
    }
    let mut came: Vec<Instant> = (1000..1004).map(|id| watched.came(id)).collect();
    came.sort();
    for (n, at) in came.iter().enumerate() {
        let turn = ms(400) * u32::try_from(n).unwrap();
        assert!(*at - begun >= turn, "the {n}th came after {:?}", *at - begun);
    }
    assert!(watched.tally("rejected", "pace") < 0.5);
}

#[test]
fn a_connection_whose_turn_is_too_far_away_is_closed_without_an_answer() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"pace\"\nkind = \"connection-rate\"\nby = []\nrate = 0.01\nburst = 1\n\
         max_throttle = \"300ms\"\n",
    );
    is_well(&mut watched.client());
    let came = Instant::now();
    watched.stage.is_closed_for("gateway", "limited", &testkit::raw::sized(&question(1000)));
    assert!(came.elapsed() >= ms(300), "{:?}", came.elapsed());
    assert!((watched.tally("rejected", "pace") - 1.0).abs() < 0.5);
}

#[test]
fn what_is_only_observed_waits_for_nothing_and_is_counted() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"pace\"\nkind = \"leaky-bucket\"\nby = []\nrate = 0.001\nmode = \"observe\"\n\
         [[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nby = []\nproduce_rate = \"1B/s\"\nmode = \"observe\"\n\
         [[limit]]\nname = \"slots\"\nkind = \"concurrency\"\nby = []\nin_flight = 1\nmode = \"observe\"\n\
         [[limit]]\nname = \"open\"\nkind = \"connections\"\nby = []\ncount = 1\nmode = \"observe\"\n\
         [[limit]]\nname = \"door\"\nkind = \"connection-rate\"\nby = []\nrate = 0.001\nburst = 1\n\
         mode = \"observe\"\n",
    );
    let (mut first, mut second) = (watched.client(), watched.client());
    is_well(&mut first);
    let sent = Instant::now();
    first.send(&super::long_question("test", 1000)).unwrap();
    watched.came(1000);
    for id in 1001..1004 {
        second.send(&crate::bytes::produce(id, 1, b"much")).unwrap();
        assert_eq!(second.receive().unwrap()[..4], i32::to_be_bytes(id));
    }
    watched.gate.open();
    assert_eq!(first.receive().unwrap(), Bytes::default().i32(1000).i32(-1).raw(b"hold").0);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    for limit in ["pace", "bytes", "slots", "open", "door"] {
        assert!(watched.tally("observed", limit) > 0.5, "{limit}");
        assert!(watched.tally("throttled", limit) + watched.tally("rejected", limit) < 0.5, "{limit}");
    }
}

/// What `GET /limits` says to a question: the limits in their order.
fn limits(watched: &Watched, query: &str) -> Vec<serde_json::Value> {
    let (status, body) = watched.stage.gateway.http(&format!("/limits?{query}")).unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    answer["limits"].as_array().unwrap().clone()
}

#[test]
fn the_admin_address_tells_which_limits_apply_and_how_full_they_are() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"window\"\nkind = \"fixed-window\"\nby = [\"client_id\"]\ncount = 4\nwindow = \"1d\"\n\
         match = { client_id = [\"a *\"], api = [\"ListOffsets\"] }\n[[limit]]\nname = \"alices\"\n\
         kind = \"leaky-bucket\"\nmatch = { principal = [\"alice\"] }\nrate = 1\n[[limit]]\nname = \"open\"\n\
         kind = \"connections\"\nby = [\"address\"]\ncount = 5\n[[limit.override]]\naddress = \"10.0.0.1\"\ncount = 9\n",
    );
    let mut client = watched.client();
    let body = b"\xff\xff\xff\xffbody";
    let style = testkit::raw::HeadStyle::Classic;
    for id in [1000, 1001] {
        client.ask(&testkit::raw::request(LIST_OFFSETS, 1, id, "a b", style, body)).unwrap();
    }
    client.ask(&heartbeat(1002, b"x")).unwrap();
    let found = limits(&watched, "client_id=a%20b&address=127.0.0.1");
    let told = |n: usize, field: &str| found[n][field].clone();
    assert_eq!(
        (told(0, "limit"), told(0, "used"), told(0, "fullness")),
        ("window".into(), 2.into(), 0.5.into())
    );
    assert_eq!(told(0, "key"), "client_id=a\\ b");
    assert_eq!(
        (told(1, "limit"), told(1, "used"), told(1, "fullness")),
        ("open".into(), 1.into(), 0.2.into())
    );
    assert_eq!(found.len(), 2);
    let names = |query| limits(&watched, query).iter().map(|one| one["limit"].clone()).collect::<Vec<_>>();
    assert_eq!(names("principal=alice&client_id=c"), ["alices", "open"]);
    let open = limits(&watched, "principal=bob&address=10.0.0.1").remove(0);
    assert_eq!((&open["allows"]["at_once"], &open["used"]), (&9.into(), &0.into()));
    assert_eq!(watched.stage.gateway.http("/limits?principle=bob").unwrap().0, 400);
}
