//! A broker that comes back elsewhere keeps its port at the gateway.

use std::net::TcpStream;

use rdkafka::admin::{NewTopic, TopicReplication};
use testkit::{Gateway, GatewayConfig, KAFKA_NEW, KafkaCluster, Spec, Tap, Tool};

use crate::ground::{BINARY, create_on, kcat};

fn at(address: &str, arguments: &[&str]) -> Tool {
    kcat().args(&["-b", address]).args(arguments)
}

#[test]
fn a_node_that_moved_is_reached_at_the_port_that_it_had() {
    let cluster = KafkaCluster::start(Spec::new(KAFKA_NEW, 3)).unwrap();
    // The only replica is on the node that moves.
    let assignment: [&[i32]; 1] = [&[2]];
    create_on(&cluster, NewTopic::new("moves", 1, TopicReplication::Variable(&assignment)));
    let mut config = GatewayConfig::in_front_of(&cluster).unwrap();
    let tap = Tap::start(&config.tapped(3), cluster.needles()).unwrap();
    let mut gateway = Gateway::start(BINARY, &config).unwrap();
    let address = gateway.address();
    let produce = |text: &str| at(&address, &["-P", "-t", "moves"]).input(text).run().unwrap().ok().unwrap();
    let listing = || at(&address, &["-L", "-t", "moves"]).run().unwrap().ok().unwrap();
    produce("before\n");
    let before = listing();

    cluster.stop_node(2).unwrap();
    let port = config.clusters[0].listeners[0].node_port_base + 2;
    TcpStream::connect(("127.0.0.1", port)).unwrap();

    let moved = cluster.spare_port().unwrap();
    cluster.start_node_as(2, None, Some(moved)).unwrap();
    config.clusters[0].node_addresses = cluster.node_addresses();
    config.clusters[0].bootstrap = cluster.bootstrap();
    gateway.reload(&config).unwrap();
    produce("after\n");
    let consumed = at(&address, &["-C", "-t", "moves", "-q", "-o", "beginning", "-c", "2"]);
    assert_eq!(consumed.run().unwrap().ok().unwrap(), "before\nafter\n");
    let ours = |listing: &str| listing.lines().filter(|line| line.contains("broker 2 at")).count();
    let name = format!("broker 2 at 127.0.0.1:{}", config.clusters[0].listeners[0].advertised.unwrap().1 + 2);
    for listing in [before, listing()] {
        assert!(ours(&listing) == 1 && listing.contains(&name), "{listing}");
    }
    assert!(tap.searched() > 1000 && tap.found().is_empty(), "{:?}", tap.found());
}
