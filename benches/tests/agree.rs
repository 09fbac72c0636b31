//! The load and the sink agree on every work, directly and through the relays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use bench::ask::{Stream, Work};
use bench::cue::Cues;
use bench::dial::Door;
use bench::floor::{self, Way};
use bench::pace::Pace;
use bench::stream::{Plan, Reading, run};
use bench::{connect, relay, sink};

const MINUTE: Duration = Duration::from_mins(1);
const PLAN: Plan = Plan {
    work: Work { stream: Stream::Produce, version: 11, payload_bytes: 1024 },
    in_flight: 1,
    requests: 10,
    duration: MINUTE,
    warm_up: 0,
    reading: Reading::Quick,
};

fn sink() -> SocketAddr {
    let cluster = sink::start(&[0, 0], 3, 4 * 1024 * 1024).unwrap();
    (Ipv4Addr::LOCALHOST, cluster.ports[0]).into()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn carries_every_work(address: SocketAddr) {
    let door = Door { address, login: None, trust: None };
    for (stream, versions) in [(Stream::Produce, 9..=12), (Stream::Fetch, 12..=17)] {
        for version in versions {
            for (payload_bytes, in_flight) in [(1 << 20, 5), (16 << 10, 5), (1 << 10, 1), (1 << 10, 32)] {
                let work = Work { stream, version, payload_bytes };
                let plan = Plan { work, in_flight, requests: 25, warm_up: 1, ..PLAN };
                let (outcome, _) = run(&door, &[plan; 4], Pace::default(), Cues::Ignored).unwrap();
                assert_eq!((outcome.requests, outcome.errors), (100, 0), "{work:?}");
                assert_eq!(outcome.bytes, 100 * payload_bytes as u64);
            }
        }
    }
}

#[test]
fn the_sink_answers_every_work() {
    carries_every_work(sink());
}

#[test]
fn the_relay_carries_every_work() {
    let (listener, address) = listener();
    relay::start(listener, sink(), 2, 256 * 1024).unwrap();
    carries_every_work(address);
}

#[test]
fn the_floor_carries_every_work_copying_and_splicing() {
    for way in [Way::Copy, Way::Splice] {
        let (listener, address) = listener();
        floor::start(listener, sink(), way).unwrap();
        carries_every_work(address);
    }
}

#[test]
fn payloads_longer_than_the_piece_they_are_written_from_arrive_whole() {
    let door = Door { address: sink(), login: None, trust: None };
    let work = Work { stream: Stream::Produce, version: 11, payload_bytes: 5 * 1024 * 1024 / 2 };
    let plan = Plan { work, in_flight: 2, requests: 3, ..PLAN };
    assert_eq!(run(&door, &[plan; 2], Pace::default(), Cues::Ignored).unwrap().0.requests, 6);
}

#[test]
fn a_large_topic_is_told_of_with_every_partition() {
    let door = Door { address: sink(), login: None, trust: None };
    let work = Work { stream: Stream::Metadata, version: 12, payload_bytes: 0 };
    let (outcome, _) = run(&door, &[Plan { work, ..PLAN }; 2], Pace::default(), Cues::Ignored).unwrap();
    assert_eq!((outcome.requests, outcome.errors), (20, 0));
}

#[test]
fn slow_readers_end_with_the_quick_ones_and_are_not_counted() {
    let door = Door { address: sink(), login: None, trust: None };
    let work = Work { stream: Stream::Fetch, version: 17, payload_bytes: 4 * 1024 * 1024 };
    let quick = Plan { work, ..PLAN };
    let slow = Plan { reading: Reading::Slow, ..quick };
    let begin = Instant::now();
    let (outcome, _) = run(&door, &[quick, slow, slow], Pace::default(), Cues::Ignored).unwrap();
    assert_eq!((outcome.requests, outcome.errors), (10, 0));
    assert!(begin.elapsed() < MINUTE);
}

#[test]
fn visitors_log_in_and_are_told_of_the_brokers() {
    let door = Door { address: sink(), login: Some(("alice".into(), "secret".into())), trust: None };
    let plan = connect::Plan { connections: 2, visits: 20, duration: MINUTE, pace: Pace::default() };
    let outcome = connect::run(&door, plan, Cues::Ignored).unwrap();
    assert_eq!((outcome.requests, outcome.errors), (20, 0));
}

#[test]
fn a_load_at_a_rate_takes_the_time_that_the_rate_says() {
    let door = Door { address: sink(), login: None, trust: None };
    let work = Work { stream: Stream::Fetch, version: 17, payload_bytes: 1024 };
    let pace = Pace { rate: Some(400.0), every: None };
    let quick = Plan { work, in_flight: 5, requests: 50, warm_up: 1, ..PLAN };
    let slow = Plan { reading: Reading::Slow, ..quick };
    // Who reads slowly has no share of the rate.
    let outcome = run(&door, &[slow, quick, quick], pace, Cues::Ignored).unwrap().0;
    assert_eq!((outcome.requests, outcome.errors), (100, 0));
    // Ten bursts on each connection, 25 ms apart; the second's first is half of that behind the first's.
    assert!(outcome.seconds >= 0.225, "{} s", outcome.seconds);
}
