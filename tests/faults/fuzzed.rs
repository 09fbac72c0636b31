//! The properties of `fuzz/` on seeded inputs: chance, and changes to what is nearly right.

use crate::bytes;
use crate::streaming::Numbers;

#[allow(dead_code, unreachable_pub, clippy::pedantic)]
#[path = "../../fuzz/src/lib.rs"]
mod properties;

/// Inputs that get far into the readers, to be changed a little.
fn seeds() -> Vec<Vec<u8>> {
    let brokers = [(1, "broker".to_owned(), 9092), (2, "b".to_owned(), 9092)];
    let id = 7_i32.to_be_bytes();
    vec![
        bytes::fetch(7, &[0]),
        bytes::produce(7, 1, &[1; 30]),
        bytes::metadata(12, 7),
        bytes::metadata_answer(&id, 12, &brokers),
        bytes::metadata_answer(&id, 1, &brokers),
        bytes::fetch_answer(&id, 50, &bytes::endpoints(&brokers)),
        bytes::api_versions_answer(&id, bytes::RANGES),
        crate::stage::handshake(1, "PLAIN"),
        crate::stage::authenticate(&crate::stage::plain("alice", "secret")),
    ]
}

fn holds(property: fn(&[u8]), times: usize) {
    let mut numbers = Numbers(11);
    let seeds = seeds();
    for _ in 0..times {
        let byte = |numbers: &mut Numbers| u8::try_from(numbers.below(256)).unwrap();
        // The first bytes choose; then a seed or chance.
        let mut input: Vec<u8> = (0..numbers.below(80)).map(|_| byte(&mut numbers)).collect();
        if numbers.below(4) > 0 {
            input.truncate([3, 4, 68][numbers.below(3)]);
            input.extend(&seeds[numbers.below(seeds.len())]);
        }
        for _ in 0..numbers.below(4) {
            let at = numbers.below(input.len().max(1));
            if let Some(place) = input.get_mut(at) {
                *place = [0, 1, 0x7f, 0x80, 0xff, byte(&mut numbers)][numbers.below(6)];
            }
        }
        property(&input);
    }
}

#[test]
fn no_upstream_address_escapes() {
    holds(properties::no_upstream_address_escapes, 3000);
}

#[test]
fn walker_is_split_invariant() {
    holds(properties::walker_is_split_invariant, 20_000);
}

#[test]
fn request_reading_is_total() {
    holds(properties::request_reading_is_total, 20_000);
}

#[test]
fn answer_reading_is_total() {
    holds(properties::answer_reading_is_total, 20_000);
}

#[test]
fn config_check_is_total() {
    holds(properties::config_check_is_total, 2000);
    // Every way of cutting the example off, and of losing a line of it.
    let example = include_str!("../../proxy.toml");
    let lines: Vec<&str> = example.lines().collect();
    for n in 0..lines.len() {
        properties::config_check_is_total(lines[..n].join("\n").as_bytes());
        properties::config_check_is_total([&lines[..n], &lines[n + 1..]].concat().join("\n").as_bytes());
    }
}
