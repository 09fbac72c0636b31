//! A listing through the gateway, with everything on: TLS and login on both sides, names that nobody resolves, and a
//! tap that searches what the client is told.

use std::time::Duration;

use testkit::gateway::Reloaded;
use testkit::{Certs, Gateway, GatewayConfig, KAFKA_NEW, KafkaCluster, Spec, Tap};

use crate::ground::kcat;

#[test]
fn kcat_lists_the_gateway_and_nothing_else() {
    let certs = Certs::new().unwrap();
    let mut spec = Spec::new(KAFKA_NEW, 3).with_sasl(&[("gateway", "gateway-secret")]);
    spec.tls = Some(certs.nodes(3).unwrap());
    let cluster = KafkaCluster::start(spec).unwrap();

    let mut config = GatewayConfig::in_front_of(&cluster)
        .unwrap()
        .with_users(&[("alice", "alice-secret")])
        .with_tls(&certs.server("gateway", &["127.0.0.1"]).unwrap())
        .with_broker_login("gateway", "gateway-secret");
    config.clusters[0].more.push(format!("tls = {{ ca = {:?} }}", certs.authority()));
    let mut gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();

    let authority = certs.authority();
    let list = |address: &str| {
        let kcat = kcat().args(&["-L", "-b", address]);
        let kcat = kcat.args(&["-X", "security.protocol=SASL_SSL", "-X", "sasl.mechanism=PLAIN"]);
        let kcat = kcat.args(&["-X", "sasl.username=alice", "-X", "sasl.password=alice-secret"]);
        kcat.args(&["-X", &format!("ssl.ca.location={}", authority.display())]).run().unwrap().ok().unwrap()
    };
    let listing = list(&gateway.address());
    for node in 1..=3 {
        let port = config.clusters[0].listeners[0].node_port_base + node;
        assert!(listing.contains(&format!("broker {node} at 127.0.0.1:{port}")), "{listing}");
    }

    // The same without TLS towards the client, so that the tap can read; applied by a reload.
    config.first_listener().unwrap().tls = None;
    let tap = Tap::start(&config.tapped(3), cluster.needles()).unwrap();
    gateway.reload(&config).unwrap();
    let kcat = kcat().args(&["-L", "-b", &gateway.address()]);
    let kcat = kcat.args(&["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN"]);
    let kcat = kcat.args(&["-X", "sasl.username=alice", "-X", "sasl.password=alice-secret"]);
    kcat.run().unwrap().ok().unwrap();
    assert!(tap.searched() > 100, "{} bytes", tap.searched());
    assert!(tap.found().is_empty(), "{:?}", tap.found());

    assert_eq!(gateway.reload_text("nonsense").unwrap(), Reloaded::Refused);
    gateway.terminate().unwrap();
    assert!(gateway.wait_end(Duration::from_secs(10)).unwrap().success());
}
