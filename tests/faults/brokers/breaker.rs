//! A broker that cannot be reached is left alone, and is found back soon.

use std::time::{Duration, Instant};

use super::{Troop, spread, who_serves};
use crate::bytes;
use crate::gone::produce;
use crate::stage::LIMIT;

/// The topology is not looked at again within the test: what is noticed is noticed otherwise.
const ONCE: &str = "refresh = \"1h\"";
const OFTEN: &str = "refresh = \"200ms\"";

/// The least distance of two probes.
const PROBE: Duration = Duration::from_millis(160);

#[test]
fn however_many_clients_wait_for_a_broker_it_is_probed_by_one_dial_after_the_other() {
    let troop = Troop::of(2, &[ONCE, "hold = \"1m\""]);
    troop.is_sick(2);
    let mut clients: Vec<_> = (0..40).map(|_| troop.client_of(2)).collect();
    for client in &mut clients {
        client.send(&bytes::heartbeat(3, b"who")).unwrap();
    }
    troop.waits_for("open", 2, |open| open > 0.5);
    // The dials that were under way when it opened are over.
    let probes = troop.waits_for("probes_total", 2, |probes| probes > 2.5);
    let (dialled, accepted, begun) = (troop.told("dials_total", 2), troop.up[&2].accepted(), Instant::now());
    troop.waits_for("probes_total", 2, |now| now > probes + 8.5);
    let accepted = troop.up[&2].accepted() - accepted;
    let most = begun.elapsed().as_millis() / PROBE.as_millis() + 2;
    assert!(u128::from(accepted) <= most, "{accepted} connections and not {most}");
    assert!((troop.told("dials_total", 2) - dialled).abs() < 0.5, "clients dialled it");
    let told = troop.described(2);
    assert!(told["last_failure"]["kind"] == "protocol" && told["breaker"] != "closed", "{told}");
    troop.is_well(2);
    let back = Instant::now();
    for client in &mut clients {
        client.patience(LIMIT).unwrap();
        assert_eq!(client.receive().unwrap()[4..], 2_i32.to_be_bytes());
    }
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    troop.waits_for("open", 2, |open| open < 0.5);
    assert!(troop.told("openings_total", 2) < 1.5);
    assert_eq!(troop.described(2)["breaker"], "closed");
    assert_eq!(troop.described(2)["connections"]["node"], 40);
    let ended = troop.gateway.metric("portcullis_connections_ended_total", &[("side", "broker")]).unwrap();
    assert!(ended < 0.5, "{ended}");
}

#[test]
fn who_waits_for_a_broker_goes_on_soon_after_it_is_back() {
    let mut troop = Troop::of(2, &[ONCE, "hold = \"1m\""]);
    troop.stops(2);
    let mut client = troop.client_of(2);
    client.send(&bytes::heartbeat(3, b"who")).unwrap();
    // So often that a probe at doubling times would not come within the test's patience.
    troop.waits_for("probes_total", 2, |probes| probes > 11.5);
    troop.starts(2);
    let back = Instant::now();
    client.patience(LIMIT).unwrap();
    assert_eq!(client.receive().unwrap()[4..], 2_i32.to_be_bytes());
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    troop.waits_for("up", 2, |up| up > 0.5);
}

#[test]
fn a_broker_for_which_nobody_waits_is_probed_at_doubling_times() {
    let mut troop = Troop::of(2, &[ONCE, "hold = \"500ms\""]);
    troop.stops(2);
    let mut client = troop.client_of(2);
    client.send(&produce(3, -1, &[3], 10)).unwrap();
    // It is told to look elsewhere, and waits no more.
    assert_eq!(client.receive().unwrap()[..4], 3_i32.to_be_bytes());
    let begun = Instant::now();
    let probes = troop.told("probes_total", 2);
    // At least half of 200, 400, 800 ms.
    troop.waits_for("probes_total", 2, |now| now > probes + 2.5);
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[test]
fn a_broken_connection_is_looked_into_although_no_client_comes_back() {
    let troop = Troop::of(2, &[ONCE]);
    let mut client = troop.client_of(2);
    assert_eq!(who_serves(&mut client), 2);
    client.send(&bytes::heartbeat(3, b"slow")).unwrap();
    client.patience(Duration::from_millis(300)).unwrap();
    assert!(client.receive().is_err(), "not yet");
    troop.is_sick(2);
    let lost = "portcullis_broker_connections_lost_total";
    troop.gateway.wait_metric(lost, &[], LIMIT, |now| now > 0.5).unwrap();
    drop(client);
    troop.waits_for("open", 2, |open| open > 0.5);
    troop.is_well(2);
    troop.waits_for("open", 2, |open| open < 0.5);
}

#[test]
fn what_any_broker_can_do_is_spread_over_those_that_are_well() {
    let mut troop = Troop::of(3, &[OFTEN, "hold = \"1m\""]);
    let shares = |troop: &Troop| -> Vec<(i32, usize)> {
        spread(troop, 30).into_iter().map(|(node, clients)| (node, clients.len())).collect()
    };
    assert_eq!(shares(&troop), [(1, 10), (2, 10), (3, 10)]);
    troop.stops(3);
    troop.waits_for("up", 3, |up| up < 0.5);
    let dialled = troop.told("dials_total", 3);
    assert_eq!(shares(&troop), [(1, 15), (2, 15)]);
    assert!((troop.told("dials_total", 3) - dialled).abs() < 0.5, "a broker that is down was dialled");
    troop.starts(3);
    troop.waits_for("up", 3, |up| up > 0.5);
    assert_eq!(shares(&troop), [(1, 10), (2, 10), (3, 10)]);
}

#[test]
fn a_broker_that_is_too_busy_for_a_probe_is_not_down_as_long_as_clients_hear_from_it() {
    let troop = Troop::of(2, &[OFTEN, "dial_timeout = \"1s\""]);
    let mut client = troop.client_of(2);
    assert_eq!(who_serves(&mut client), 2);
    troop.script.lock().unwrap().busy.insert(2);
    // Several looks begin and end meanwhile.
    let accepted = troop.up[&2].accepted();
    while troop.up[&2].accepted() < accepted + 3 {
        assert_eq!(who_serves(&mut client), 2);
        assert!(troop.told("up", 2) > 0.5 && troop.told("open", 2) < 0.5);
    }
    troop.waits_for("up", 2, |up| up < 0.5);
    troop.waits_for("open", 2, |open| open > 0.5);
    assert_eq!(who_serves(&mut client), 2);
}
