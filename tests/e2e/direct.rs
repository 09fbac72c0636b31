//! Kafka without a gateway: what every other scenario takes for granted.

use testkit::{KAFKA_NEW, KafkaCluster, Spec, Tool};

#[test]
fn kcat_lists_three_brokers() {
    let cluster = KafkaCluster::start(Spec::new(KAFKA_NEW, 3)).unwrap();
    let listing =
        Tool::program("kcat", "kcat").args(&["-L", "-b", &cluster.direct()]).run().unwrap().ok().unwrap();
    assert!(listing.contains("3 brokers"), "{listing}");
}
