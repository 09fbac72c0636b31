//! The client libraries that people use, each by its program in tests/clients: what is sent arrives, without an error
//! and without a rebalance.

use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testkit::{Client, Library, wait};

use crate::ground::{ALICE, Ground, Way, scenarios};

scenarios! {
    both:;
    full: every_library_sends_and_reads_in_a_group_without_a_fault;
    new:;
}

const RECORDS: u64 = 300;
const SIZE: usize = 1024;

fn every_library_sends_and_reads_in_a_group_without_a_fault(ground: &Ground) {
    // One after the other: the first group makes the topic of groups, and what is made last settles last.
    for way in [ground.direct(), ground.through(ALICE)] {
        for library in Library::ALL {
            has_coordinator(ground, &way.topic(&name(library), 3));
        }
    }
    thread::scope(|scope| {
        for library in Library::ALL {
            scope.spawn(move || {
                let faults = ground.agree(|way| without_own_faults(way, library));
                assert_eq!(faults, Vec::<String>::new());
            });
        }
    });
}

fn name(library: Library) -> String {
    format!("clients-{}", library.name())
}

/// What a user would have noticed; but what a library does to itself, without the gateway, it may try again.
fn without_own_faults(way: &Way<'_>, library: Library) -> Vec<String> {
    let first = faults(way, library, &name(library));
    if way.label != "direct" || first.is_empty() {
        return first;
    }
    let again = format!("{}-again", name(library));
    has_coordinator(way.ground, &way.topic(&again, 3));
    faults(way, library, &again)
}

/// Sends and reads; what a user would have noticed.
fn faults(way: &Way<'_>, library: Library, name: &str) -> Vec<String> {
    let client = Client::new(library, &way.bootstrap, way.user);
    let name = way.name(name);
    let sent = client.produce(&name, RECORDS, SIZE).run().unwrap();
    // Longer than a heartbeat.
    let read = client.consume(&name, &name, RECORDS).staying(Duration::from_secs(4)).run().unwrap();
    let mut faults = [sent.faults(), read.faults()].concat();
    for report in [sent, read] {
        if (report.records, report.bytes) != (RECORDS, RECORDS * SIZE as u64)
            || report.library != library.name()
        {
            faults.push(format!("{report:?}"));
        }
    }
    faults
}

/// Waits until the group of this name has a coordinator: while there is none some libraries log errors, as they may.
pub(crate) fn has_coordinator(ground: &Ground, group: &str) {
    let bootstrap = ground.cluster.internal();
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(group, 0, Offset::Invalid).unwrap();
    wait::until("a group's coordinator", Duration::from_mins(1), || {
        Ok(consumer.committed_offsets(partitions.clone(), Duration::from_secs(10)).ok())
    })
    .unwrap();
}
