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

/// A client asks in vain, is told so in the end, and stays.
fn is_told_in_vain(stage: &Stage, request: &[u8]) {
    let mut bystander = stage.client();
    is_well(&mut bystander);
    let mut client = stage.client();
    is_well(&mut client);
    let answer = client.ask(request).unwrap();
    assert_eq!(answer, Bytes::default().i32(5).i32(0).i16(16).0);
    is_well(&mut client);
    is_well(&mut bystander);
    let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
    assert!(in_flight < 0.5, "{in_flight} in flight");
    assert!(stage.ended("broker", "bad-answer") < 0.5);
}

#[test]
fn an_answer_that_is_none_costs_the_brokers_connection_and_no_clients() {
    let size = |size: i32| Reply::Bytes(size.to_be_bytes().repeat(2));
    let faults: [fn(&Request) -> Reply; 3] = [
        |request| Reply::Frame(Bytes::default().i32(99).raw(&request.frame).0),
        |_| Reply::Bytes(Bytes::default().i32(-1).i32(5).0),
        |_| Reply::Bytes(Bytes::default().i32(3).i32(5).0),
    ];
    for fault in faults {
        is_told_in_vain(&faulty(fault), &bytes::heartbeat(5, b"bad"));
    }
    // 2 GiB of an API that passes: it would stream, were it of this question.
    is_told_in_vain(&faulty(move |_| size(i32::MAX)), &bytes::heartbeat(5, b"bad"));
}

#[test]
fn a_second_answer_to_one_question_goes_to_nobody() {
    let stage = faulty(|request| {
        let one = raw::sized(&Bytes::default().raw(request.correlation()).0);
        Reply::Bytes([one.clone(), one].concat())
    });
    let mut client = stage.client();
    assert_eq!(client.ask(&bytes::heartbeat(5, b"bad")).unwrap(), 5_i32.to_be_bytes());
    is_well(&mut client);
}

#[test]
fn a_fetch_answer_whose_structure_lies_is_not_passed_on_as_if_it_were_whole() {
    let brokers: Vec<Broker> = (0..10_000).map(|id| (id, SECRET_HOST.to_owned(), 9092)).collect();
    let huge_tail = bytes::endpoints(&brokers);
    let lies: [Vec<u8>; 5] =
        [vec![0xff, 0xff, 0xff, 0xff, 0x0f], vec![1, 0, 0xff, 0x7f, 1], vec![], vec![0, 0, 0], huge_tail];
    for records in [100, 100_000] {
        let answers = lies.iter().filter(|tail| records > 100 || tail.len() < 100_000).map(|tail| {
            let tail = tail.clone();
            Box::new(move |correlation: &[u8]| bytes::fetch_answer(correlation, records, &tail))
                as Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>
        });
        let cut = Box::new(move |correlation: &[u8]| {
            let answer = bytes::fetch_answer(correlation, records, &[0]);
            answer[..answer.len() - 20].to_vec()
        });
        for answer in answers.chain([cut as Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>]) {
            let stage = faulty(move |request| Reply::Frame(answer(request.correlation())));
            let mut client = stage.client();
            if records == 100 {
                // Held whole: it is asked for again, and in the end answered with an error.
                let answer = client.ask(&bytes::fetch(5, &[0])).unwrap();
                assert!(answer.len() < 100 && answer.starts_with(&5_i32.to_be_bytes()));
                is_well(&mut client);
            } else {
                stage.ends(1, "broker", "bad-answer", || {
                    client.send(&bytes::fetch(5, &[0])).unwrap();
                    // What streamed may have begun; it does not end well.
                    assert!(!contains(&client.until_closed().unwrap(), SECRET_HOST));
                });
            }
        }
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
    for client in [&mut promised, &mut connected] {
        stage.ends(1, "broker", "downgraded", || {
            client.send(&bytes::heartbeat(1, b"")).unwrap();
            assert_eq!(client.until_closed().unwrap(), b"");
        });
    }
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
    waiting.send(&raw::request(bytes::HEARTBEAT, 3, 3, "test", HeadStyle::Classic, b"also bad")).unwrap();
    for _ in 0..10 {
        is_well(&mut stage.client());
    }
    waiting.patience(Duration::from_millis(200)).unwrap();
    assert!(waiting.receive().is_err(), "an answer out of turn");
}
