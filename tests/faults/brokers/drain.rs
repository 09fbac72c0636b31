//! A broker that is about to be taken down is let go.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use testkit::RawClient;

use super::{Troop, spread, who_serves};
use crate::bytes;
use crate::stage::is_well;

const OFTEN: &str = "refresh = \"200ms\"";

fn portcullis(troop: &Troop, arguments: &[&str]) -> Output {
    let admin = format!("127.0.0.1:{}", troop.config.admin_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).args(["--admin", &admin]).output().unwrap()
}

fn drain(troop: &Troop, arguments: &[&str]) -> String {
    let output = portcullis(troop, &[&["drain", "main", "2"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// When each of these is closed, in their order of that.
fn closed(clients: Vec<RawClient>) -> Vec<Instant> {
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                assert_eq!(client.until_closed().unwrap(), b"");
                Instant::now()
            })
        })
        .collect();
    let mut moments: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    moments.sort_unstable();
    moments
}

#[test]
fn a_drained_broker_lets_go_who_can_go_elsewhere_bit_by_bit_and_nobody_else() {
    let troop = Troop::of(3, &[OFTEN]);
    let mut by_node = spread(&troop, 30);
    let mut at_its_port = troop.client_of(2);
    assert_eq!(who_serves(&mut at_its_port), 2);
    let mut leaving = by_node.remove(&2).unwrap();
    let mut owed = leaving.pop().unwrap();
    owed.send(&bytes::heartbeat(3, b"slow")).unwrap();
    troop.gateway.wait_metric("portcullis_in_flight", &[], Duration::from_secs(5), |n| n > 0.5).unwrap();
    let told = drain(&troop, &[]);
    assert!(
        told.contains("10 connections by bootstrap ports go elsewhere; 1 at its own port stay"),
        "{told}"
    );
    assert_eq!(spread(&troop, 10).into_keys().collect::<Vec<_>>(), [1, 3]);
    let moments = closed(leaving);
    let apart = *moments.last().unwrap() - moments[0];
    // Two seconds is what they have, drain.reload here.
    assert!(apart > Duration::from_millis(200), "all went within {apart:?}");
    assert_eq!(owed.receive().unwrap()[4..], 2_i32.to_be_bytes());
    assert_eq!(owed.until_closed().unwrap(), b"");
    let ended = [("side", "gateway"), ("reason", "node-drained")];
    let is_all = |n: f64| n > 9.5;
    let name = "portcullis_connections_ended_total";
    let gone = troop.gateway.wait_metric(name, &ended, Duration::from_secs(5), is_all).unwrap();
    assert!(gone < 10.5, "{gone}");
    assert_eq!(who_serves(&mut at_its_port), 2);
    by_node.values_mut().flatten().for_each(is_well);
    assert!(troop.told("draining", 2) > 0.5 && troop.told("draining", 1) < 0.5);
    assert!(drain(&troop, &["--undo"]).contains("is not drained"));
    assert_eq!(spread(&troop, 30)[&2].len(), 10);
}

#[test]
fn at_a_drained_brokers_own_port_only_idle_clients_are_let_go() {
    let troop = Troop::of(2, &[OFTEN]);
    let (mut idle, mut busy) = (troop.client_of(2), troop.client_of(2));
    is_well(&mut idle);
    is_well(&mut busy);
    drain(&troop, &[]);
    let drained = Instant::now();
    let waiting = thread::spawn(move || {
        idle.patience(Duration::from_secs(30)).unwrap();
        assert_eq!(idle.until_closed().unwrap(), b"");
    });
    while !waiting.is_finished() {
        assert_eq!(who_serves(&mut busy), 2);
        thread::sleep(Duration::from_millis(50));
    }
    waiting.join().unwrap();
    assert!(drained.elapsed() > Duration::from_secs(5), "{:?}", drained.elapsed());
    assert_eq!(who_serves(&mut busy), 2);
    // Who comes there is served: the leaders are where they are.
    assert_eq!(who_serves(&mut troop.client_of(2)), 2);
}

#[test]
fn nobody_is_let_go_by_a_drain_while_no_other_broker_is_well() {
    let mut troop = Troop::of(2, &[OFTEN]);
    let mut client = spread(&troop, 2).remove(&2).unwrap().remove(0);
    troop.stops(1);
    troop.waits_for("up", 1, |up| up < 0.5);
    assert!(drain(&troop, &[]).contains("stay, for no other broker is well"));
    assert_eq!(who_serves(&mut troop.client()), 2);
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        assert_eq!(who_serves(&mut client), 2);
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_file_drains_as_well_and_only_the_file_takes_that_back() {
    let mut troop = Troop::of(2, &[OFTEN]);
    let clients = spread(&troop, 4).remove(&2).unwrap();
    let mut config = troop.config.clone();
    config.clusters[0].more.push("drain_nodes = [2]".to_owned());
    troop.gateway.reload(&config).unwrap();
    closed(clients);
    assert_eq!(troop.described(2)["drained_by"], "file");
    let output = portcullis(&troop, &["drain", "main", "2", "--undo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("take it out of drain_nodes"), "{output:?}");
    // What an operator drained stays drained over a reload.
    drain(&troop, &[]);
    let config = troop.config.clone();
    troop.gateway.reload(&config).unwrap();
    assert_eq!(troop.described(2)["drained_by"], "operator");
    assert_eq!(spread(&troop, 4).into_keys().collect::<Vec<_>>(), [1]);
    drain(&troop, &["--undo"]);
    assert_eq!(spread(&troop, 4).len(), 2);
}

#[test]
fn a_drain_that_is_asked_for_wrongly_or_by_a_page_in_a_browser_is_refused() {
    let troop = Troop::of(1, &[]);
    for (arguments, said) in [
        (["drain", "main", "7"], "no node 7 of main was ever seen"),
        (["drain", "other&node=1", "1"], "there is no cluster other&node=1"),
    ] {
        let output = portcullis(&troop, &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
    let status = |method: &str, more: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", troop.config.admin_port())).unwrap();
        let line = format!("{method} /drain?cluster=main&node=1 HTTP/1.1\r\nhost: x\r\n{more}\r\n");
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].to_owned()
    };
    assert_eq!(status("POST", "origin: https://example.com\r\n"), "403");
    assert_eq!(status("GET", ""), "405");
    assert!(troop.told("draining", 1) < 0.5);
    assert_eq!(status("POST", ""), "200");
    assert!(troop.told("draining", 1) > 0.5);
}
