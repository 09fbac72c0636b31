//! Brokers that come, and brokers that are somewhere else now.

use std::cell::Cell;
use std::net::TcpStream;

use testkit::{RawClient, wait};

use super::{Troop, broker, who_serves};
use crate::bytes;
use crate::stage::{LIMIT, is_well};

const OFTEN: &str = "refresh = \"200ms\"";
const ONCE: &str = "refresh = \"1h\"";

#[test]
fn a_broker_that_is_added_has_its_port_although_no_client_asks() {
    let mut troop = Troop::of(2, &[OFTEN]);
    assert!(TcpStream::connect(("127.0.0.1", troop.node_port(3))).is_err());
    let port = troop.ports.at(3);
    troop.starts_at(3, port);
    troop.script.lock().unwrap().named.insert(3, port);
    let node_port = troop.node_port(3);
    let client = || Ok(RawClient::connect(("127.0.0.1", node_port)).ok());
    let mut client = wait::until("the port of a new node", LIMIT, client).unwrap();
    assert_eq!(who_serves(&mut client), 3);
}

#[test]
fn a_reload_of_addresses_touches_no_connection_and_new_ones_go_to_the_new_address() {
    let mut troop = Troop::of(2, &[ONCE]);
    let mut clients = [troop.client_of(1), troop.client_of(2), troop.client()];
    clients.iter_mut().for_each(is_well);
    let accepted = troop.up[&1].accepted() + troop.up[&2].accepted();
    // Node 9 is who serves at the new address of node 1.
    let moved = broker(9, troop.ports.at(9), &troop.script);
    let mut config = troop.config.clone();
    config.clusters[0].bootstrap = vec![format!("127.0.0.1:{}", troop.ports.at(2))];
    config.clusters[0].node_addresses = [(1, moved.address().to_string())].into();
    troop.gateway.reload(&config).unwrap();
    let asked = Cell::new(0);
    let serves = || {
        asked.set(asked.get() + 1);
        Ok((who_serves(&mut troop.client_of(1)) == 9).then_some(()))
    };
    wait::until("the new address", LIMIT, serves).unwrap();
    assert_eq!(who_serves(&mut clients[0]), 1);
    assert_eq!(who_serves(&mut clients[1]), 2);
    clients.iter_mut().for_each(is_well);
    let ended = |side| troop.gateway.metric("portcullis_connections_ended_total", &[("side", side)]).unwrap();
    assert!(ended("broker") + ended("gateway") < 0.5);
    // Of those that asked before the new address was known all but the last were served at the old one. Nobody else came.
    let anew = troop.up[&1].accepted() + troop.up[&2].accepted() - accepted;
    assert!(anew < asked.get(), "{anew} connections for {} clients", asked.get());
}

#[test]
fn who_waits_for_a_broker_goes_on_when_it_is_somewhere_else() {
    let mut troop = Troop::of(2, &[ONCE, "hold = \"1m\""]);
    troop.stops(2);
    let mut client = troop.client_of(2);
    client.send(&bytes::heartbeat(3, b"who")).unwrap();
    troop.waits_for("open", 2, |open| open > 0.5);
    let moved = broker(2, troop.ports.at(9), &troop.script);
    let mut config = troop.config.clone();
    config.clusters[0].node_addresses = [(2, moved.address().to_string())].into();
    troop.gateway.reload(&config).unwrap();
    client.patience(LIMIT).unwrap();
    assert_eq!(client.receive().unwrap()[4..], 2_i32.to_be_bytes());
}
