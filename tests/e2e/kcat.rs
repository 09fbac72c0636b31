//! kcat: what most people try first.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use testkit::{KafkaCluster, wait};

use crate::ground::{Ground, Way, scenarios, sorted};

scenarios! {
    both: a_listing_shows_the_gateway_in_place_of_every_broker, every_compression_reaches_the_log_as_it_was_asked_for,
        a_group_goes_on_from_its_committed_offsets;
    full: records_are_found_by_offset_and_by_time, an_anonymous_listener_takes_clients_without_login;
    new:;
}

fn a_listing_shows_the_gateway_in_place_of_every_broker(ground: &Ground) {
    ground.create_topic("kcat-listed", 6);
    let listing = ground.agree(|way| {
        let listing = way.kcat(&["-L", "-J", "-t", "kcat-listed"]).run().unwrap().ok().unwrap();
        let listing: Value = serde_json::from_str(&listing).unwrap();
        let names: Vec<&str> =
            listing["brokers"].as_array().unwrap().iter().filter_map(|b| b["name"].as_str()).collect();
        if way.label == "gateway" {
            let config = ground.gateway.config();
            let (_, base) = config.clusters[0].listeners[0].advertised.unwrap();
            let expected: Vec<String> = (1..=3).map(|node| format!("127.0.0.1:{}", base + node)).collect();
            assert_eq!(sorted(&names.join("\n")), expected);
        }
        let ids: BTreeSet<i64> =
            listing["brokers"].as_array().unwrap().iter().filter_map(|b| b["id"].as_i64()).collect();
        (ids, listing["topics"].to_string())
    });
    assert_eq!(listing.0, BTreeSet::from([1, 2, 3]));
}

fn every_compression_reaches_the_log_as_it_was_asked_for(ground: &Ground) {
    let lines: Vec<String> = (0..200).map(|n| format!("key-{}:{} {n}", n % 7, "value ".repeat(20))).collect();
    for (number, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        ground.agree(|way| {
            let topic = way.topic(&format!("kcat-{codec}"), 1);
            // Idempotent with acks=all; without an answer with acks=0.
            for more in [&["-X", "acks=0"][..], &["-X", "acks=1"], &["-X", "enable.idempotence=true"]] {
                let produce = ["-P", "-t", &topic, "-p", "0", "-K:", "-z", codec, "-X", "linger.ms=100"];
                let kcat = way.kcat(&[&produce[..], more].concat()).input(lines.join("\n"));
                kcat.run().unwrap().ok().unwrap();
            }
            let consumed = consume(way, &topic, &["-o", "beginning", "-c", "600", "-K:"]);
            let expected: Vec<&String> = lines.iter().chain(&lines).chain(&lines).collect();
            assert_eq!(
                sorted(&consumed),
                sorted(&expected.into_iter().cloned().collect::<Vec<_>>().join("\n"))
            );
            assert_eq!(codecs(&ground.cluster, &topic), BTreeSet::from([number]), "{codec}");
        });
    }
}

fn consume(way: &Way<'_>, topic: &str, more: &[&str]) -> String {
    let kcat = way.kcat(&[&["-C", "-t", topic, "-q", "-X", "check.crcs=true"], more].concat());
    kcat.limit(Duration::from_secs(30)).run().unwrap().ok().unwrap()
}

/// The compressions of the batches in partition 0, as the fullest replica has them on disk.
fn codecs(cluster: &KafkaCluster, topic: &str) -> BTreeSet<usize> {
    let of_node = |id: i32| {
        let directory = cluster.directory().join(format!("node-{id}/data/{topic}-0"));
        fs::read(directory.join("00000000000000000000.log")).unwrap_or_default()
    };
    let log = cluster.ids().into_iter().map(of_node).max_by_key(Vec::len).unwrap();
    let mut found = BTreeSet::new();
    let mut rest = log.as_slice();
    // base offset i64, length i32, leader epoch i32, magic i8, crc i32, attributes i16
    while let (Some(length), Some(attributes)) = (rest.get(8..12), rest.get(22)) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        found.insert(usize::from(attributes & 7));
        rest = rest.get(12 + length..).unwrap_or_default();
    }
    found
}

fn a_group_goes_on_from_its_committed_offsets(ground: &Ground) {
    let outcome = ground.agree(|way| {
        let topic = way.topic("kcat-group", 3);
        let group = way.name("kcat-group");
        let read = |count: &str| {
            let arguments =
                ["-G", &group, "-c", count, "-q", "-f", "%k=%s\\n", "-X", "auto.offset.reset=earliest"];
            let kcat = way.kcat(&[&arguments[..], &[&topic]].concat()).limit(Duration::from_mins(1));
            sorted(&kcat.run().unwrap().ok().unwrap())
        };
        let write = |from: u32| {
            let lines: Vec<String> = (from..from + 30).map(|n| format!("{n:03}:v{n}")).collect();
            let kcat = way.kcat(&["-P", "-t", &topic, "-K:"]).input(lines.join("\n"));
            kcat.run().unwrap().ok().unwrap();
        };
        write(0);
        let first = read("30");
        write(30);
        (first, read("30"))
    });
    assert_eq!(outcome.1.first().map(String::as_str), Some("030=v30"));
}

fn records_are_found_by_offset_and_by_time(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.topic("kcat-offsets", 1);
        let kcat = way.kcat(&["-P", "-t", &topic, "-p", "0"]).input("a\nb\nc\nd\n");
        kcat.run().unwrap().ok().unwrap();
        let last_two = consume(way, &topic, &["-o", "-2", "-e"]);
        let since_1970 = consume(way, &topic, &["-o", "s@1", "-c", "4"]);
        let third = consume(way, &topic, &["-o", "2", "-c", "1", "-f", "%p %o %s\\n"]);
        let query = way.kcat(&["-Q", "-t", &format!("{topic}:0:-1")]).run().unwrap().ok().unwrap();
        (last_two, since_1970, third, way.neutral(&query))
    });
}

fn an_anonymous_listener_takes_clients_without_login(ground: &Ground) {
    ground.agree_by(&ground.through_anonymously(), |way| {
        let topic = way.topic("kcat-anonymous", 1);
        way.kcat(&["-P", "-t", &topic]).input("one\ntwo\n").run().unwrap().ok().unwrap();
        wait::until("both records", Duration::from_secs(20), || {
            let consumed = consume(way, &topic, &["-o", "beginning", "-e"]);
            Ok((consumed == "one\ntwo\n").then_some(()))
        })
        .unwrap();
    });
}
