//! Limits on changes of topics: those who make them wait, and see no error.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::gateway;
use crate::ground::{ALICE, Ground, Way, wait_for};

/// Partitions per second, and at once.
const RATE: i32 = 10;
/// Partitions of each topic: three seconds' worth.
const PARTITIONS: i32 = 30;

pub(super) fn changes_wait_for_their_turn(ground: &Ground) {
    let gateway = gateway(
        ground,
        &format!(
            "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = [\"client_id\"]\nrate = {RATE}\nburst = {RATE}\n"
        ),
    );
    let way = Way { label: "mutations", bootstrap: gateway.address(), ..ground.through(ALICE) };
    let took = [by_librdkafka(&way), by_java(&way)];
    // The last one waits for nobody but those before it.
    let least = Duration::from_secs(u64::try_from(2 * PARTITIONS / RATE - 1 - 1).unwrap());
    assert!(took.iter().all(|took| *took >= least), "{took:?} for {least:?}");
}

/// Two topics come, and one goes.
fn by_librdkafka(way: &Way<'_>) -> Duration {
    let admin: AdminClient<DefaultClientContext> = way.librdkafka().create().unwrap();
    let begun = Instant::now();
    let names = ["of-librdkafka-1", "of-librdkafka-2"].map(|name| way.name(name));
    for name in &names {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        let created = wait_for(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }
    let deleted = wait_for(admin.delete_topics(&[&names[0]], &AdminOptions::new())).unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    begun.elapsed()
}

/// The same by Kafka's own tool, a program for each.
fn by_java(way: &Way<'_>) -> Duration {
    let begun = Instant::now();
    let partitions = PARTITIONS.to_string();
    let names = ["of-java-1", "of-java-2"].map(|name| way.name(name));
    let on = |name: &str, how: &[&str]| way.run("kafka-topics", &[how, &["--topic", name]].concat());
    for name in &names {
        on(name, &["--create", "--partitions", &partitions, "--replication-factor", "1"]);
    }
    on(&names[0], &["--delete"]);
    begun.elapsed()
}
