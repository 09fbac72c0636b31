//! Brokers that answer wrongly, less than before, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;
use testkit::{FreePorts, Gateway, GatewayConfig, RawClient, Reply};

use crate::bytes::{self, Broker, Bytes};
use crate::stage::{LIMIT, SECRET_HOST, Setup, Stage, contains, is_well};

/// A broker that answers Heartbeats whose body is `bad` and Fetches like this, and all else as usual.
fn faulty(fault: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stage {
    Stage::new(&Setup::default(), move |request| {
        let bad = request.frame.ends_with(b"bad") || request.key() == bytes::FETCH;
        bad.then(|| fault(request))
    })
}

fn ends_for(stage: &Stage, reason: &str, request: &[u8]) {
    let mut bystander = stage.client();
    is_well(&mut bystander);
    stage.ends(1, "broker", reason, || {
        let mut client = stage.client();
        is_well(&mut client);
        client.send(request).unwrap();
        // What streamed may have begun; it does not end well.
        let rest = client.until_closed().unwrap();
        assert!(!contains(&rest, SECRET_HOST));
    });
    is_well(&mut bystander);
    is_well(&mut stage.client());
    let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
    assert!(in_flight < 0.5, "{in_flight} in flight");
}

#[test]
fn an_answer_that_is_none_ends_the_connection_and_no_other() {
    let size = |size: i32| Reply::Bytes(size.to_be_bytes().repeat(2));
    let faults: [fn(&Request) -> Reply; 4] = [
        |request| Reply::Frame(Bytes::default().i32(99).raw(&request.frame).0),
        |_| Reply::Bytes(Bytes::default().i32(-1).i32(5).0),
        |_| Reply::Bytes(Bytes::default().i32(3).i32(5).0),
        |request| {
            let one = Bytes::default().i32(4).raw(request.correlation());
            Reply::Bytes([one.0.clone(), one.0].concat())
        },
    ];
    for fault in faults {
        ends_for(&faulty(fault), "bad-answer", &bytes::heartbeat(5, b"bad"));
    }
    // 2 GiB of an API that passes: it would stream, were it of this question.
    ends_for(&faulty(move |_| size(i32::MAX)), "bad-answer", &bytes::heartbeat(5, b"bad"));
}

#[test]
fn a_broker_that_leaves_in_the_middle_is_told_from_one_that_leaves_between() {
    let stage = faulty(|request| Reply::Close(Bytes::default().i32(100).raw(request.correlation()).0));
    ends_for(&stage, "cut-off", &bytes::heartbeat(5, b"bad"));
    ends_for(&faulty(|_| Reply::Close(Vec::new())), "unanswered", &bytes::heartbeat(5, b"bad"));
}

#[test]
fn a_fetch_answer_whose_structure_lies_is_not_passed_on_as_if_it_were_whole() {
    let brokers: Vec<Broker> = (0..10_000).map(|id| (id, SECRET_HOST.to_owned(), 9092)).collect();
    let huge_tail = bytes::endpoints(&brokers);
    let tails: [Vec<u8>; 5] =
        [vec![0xff, 0xff, 0xff, 0xff, 0x0f], vec![1, 0, 0xff, 0x7f, 1], vec![], vec![0, 0, 0], huge_tail];
    for records in [100, 100_000] {
        for tail in tails.clone() {
            if records == 100 && tail.len() > 100_000 {
                continue; // held whole, and rewritten: no fault
            }
            let stage = faulty(move |request| {
                Reply::Frame(bytes::fetch_answer(request.correlation(), records, &tail))
            });
            ends_for(&stage, "bad-answer", &bytes::fetch(5, &[0]));
        }
        let stage = faulty(move |request| {
            let answer = bytes::fetch_answer(request.correlation(), records, &[0]);
            Reply::Frame(answer[..answer.len() - 20].to_vec())
        });
        ends_for(&stage, "bad-answer", &bytes::fetch(5, &[0]));
    }
}

#[test]
fn what_a_broker_offers_beyond_the_gateway_is_capped_or_hidden() {
    let stage = Stage::new(&Setup::default(), |request| {
        let offered = [(0, 0, 99), (1, 4, 25), (3, 0, 12), (12, 0, 4), (18, 0, 9), (27, 0, 1), (120, 0, 1)];
        let asked = request.key() == bytes::API_VERSIONS;
        asked.then(|| Reply::Frame(bytes::api_versions_answer(request.correlation(), &offered)))
    });
    let answer = stage.client().ask(&bytes::api_versions(0, 1)).unwrap();
    let ranges: Vec<Vec<u8>> = answer[10..].chunks(6).map(<[u8]>::to_vec).collect();
    let of = |key: i16| {
        let range = ranges.iter().find(|range| range[..2] == key.to_be_bytes());
        range.map(|range| i16::from_be_bytes([range[4], range[5]]))
    };
    assert!((13..20).contains(&of(bytes::PRODUCE).unwrap()));
    assert!((17..25).contains(&of(bytes::FETCH).unwrap()));
    assert_eq!(of(bytes::API_VERSIONS), Some(4));
    assert_eq!((of(27), of(120)), (None, None));
}

#[test]
fn a_client_that_was_promised_more_than_a_broker_holds_is_let_go() {
    let shrunk = Arc::new(AtomicBool::new(false));
    let of_broker = Arc::clone(&shrunk);
    let stage = Stage::new(&Setup::default(), move |request| {
        let shrinks = request.key() == bytes::API_VERSIONS && of_broker.load(Ordering::SeqCst);
        shrinks.then(|| {
            let ranges: Vec<_> =
                bytes::RANGES.iter().filter(|range| range.0 != bytes::FETCH).copied().collect();
            Reply::Frame(bytes::api_versions_answer(request.correlation(), &ranges))
        })
    });
    let mut promised = stage.client();
    promised.ask(&bytes::api_versions(0, 1)).unwrap();
    let mut connected = stage.client();
    is_well(&mut connected);
    shrunk.store(true, Ordering::SeqCst);
    stage.broker.cut();
    assert!(connected.ask(&bytes::heartbeat(1, b"")).is_err());
    stage.ends(1, "broker", "downgraded", || {
        promised.send(&bytes::heartbeat(1, b"")).unwrap();
        assert_eq!(promised.until_closed().unwrap(), b"");
    });
}

#[test]
fn clients_are_held_and_then_let_go_while_no_broker_answers() {
    let ports = FreePorts::reserve(1).unwrap();
    let mut config = GatewayConfig::new().unwrap();
    let nobody = format!("127.0.0.1:{}", ports.base());
    config.add_cluster("main", vec![nobody], [].into()).more.push("hold = \"500ms\"".to_owned());
    let gateway = Gateway::begin(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
    gateway.wait_log("serving", LIMIT).unwrap();
    assert_eq!(gateway.http("/readyz").unwrap().0, 503);
    for request in [bytes::api_versions(0, 1), bytes::metadata(1, 1)] {
        let mut client = RawClient::connect(gateway.address()).unwrap();
        let asked = Instant::now();
        client.send(&request).unwrap();
        assert_eq!(client.until_closed().unwrap(), b"");
        assert!(asked.elapsed() >= Duration::from_millis(500));
    }
    let labels = [("side", "gateway"), ("reason", "no-topology")];
    gateway.wait_metric("portcullis_connections_ended_total", &labels, LIMIT, |n| n > 1.5).unwrap();
}

#[test]
fn a_node_without_a_port_is_left_out_said_once_and_in_no_reloads_way() {
    let mut stage = Stage::new(&Setup::default(), |request| {
        let brokers = [(1, SECRET_HOST.to_owned(), 9092), (60_000, SECRET_HOST.to_owned(), 9093)];
        let asked = request.key() == bytes::METADATA;
        let answer = || bytes::metadata_answer(request.correlation(), request.version(), &brokers);
        asked.then(|| Reply::Frame(answer()))
    });
    let node_port = i32::from(stage.config.first_listener().unwrap().node_port_base) + 1;
    let ours = [(1, "127.0.0.1".to_owned(), node_port)];
    let mut client = stage.client();
    for n in 0..20 {
        for version in [1, 12] {
            let answer = client.ask(&bytes::metadata(version, n)).unwrap();
            assert_eq!(answer, bytes::metadata_answer(&n.to_be_bytes(), version, &ours));
        }
    }
    let config = stage.config.clone();
    stage.gateway.reload(&config).unwrap();
    is_well(&mut client);
    let log = stage.gateway.log();
    assert_eq!(log.matches("a node has no port").count(), 1, "{log}");
    assert_eq!(log.matches("is left out of answers").count(), 1, "{log}");
}

#[test]
fn answers_that_the_broker_never_gives_are_not_waited_for_by_others() {
    let stage = faulty(|_| Reply::Nothing);
    let mut waiting = stage.client();
    waiting.send(&bytes::heartbeat(1, b"bad")).unwrap();
    // Its own later questions wait for their turn, those answered by the gateway as well.
    waiting.send(&bytes::api_versions(0, 2)).unwrap();
    waiting.send(&raw::request(bytes::HEARTBEAT, 3, 3, "test", HeadStyle::Classic, b"good")).unwrap();
    for _ in 0..10 {
        is_well(&mut stage.client());
    }
    waiting.patience(Duration::from_millis(200)).unwrap();
    assert!(waiting.receive().is_err(), "an answer out of turn");
}
