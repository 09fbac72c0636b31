//! Brokers that take what they are asked and say nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::scripted::Request;
use testkit::{FreePorts, Gateway, GatewayConfig, RawClient, Reply, ScriptedBroker, wait};

use crate::bytes::{self, HEARTBEAT, METADATA, PRODUCE};
use crate::gone::{TIMED_OUT, codes, heartbeat_answer, produce};
use crate::stage::{LIMIT, Setup, Stage, is_well, usual};

#[test]
fn a_broker_that_owes_an_answer_in_silence_is_left_when_its_time_is_over() {
    let seen = Mutex::new(Vec::new());
    let setup = Setup { cluster: vec!["answer_timeout = \"400ms\""], ..Setup::default() };
    let stage = Stage::new(&setup, move |request| {
        let mut seen = seen.lock().unwrap();
        let is_asked_anew = seen.contains(&request.key());
        seen.push(request.key());
        let hangs = [HEARTBEAT, PRODUCE].contains(&request.key()) && !is_asked_anew;
        hangs.then_some(Reply::Nothing)
    });
    let mut client = stage.client();
    let begun = Instant::now();
    assert_eq!(client.ask(&bytes::heartbeat(1, b"body")).unwrap(), heartbeat_answer(1));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400) && took < LIMIT, "{took:?}");
    // The broker may have done it. It has a timeout of its own, which comes first.
    client.send(&produce(2, -1, &[3], 1000)).unwrap();
    assert_eq!(codes(&client.receive().unwrap(), 2, &[3]), [TIMED_OUT]);
    is_well(&mut client);
    let lost = stage.gateway.metric("portcullis_broker_connections_lost_total", &[]).unwrap();
    assert!((lost - 2.0).abs() < 0.5, "{lost} lost");
}

#[test]
fn a_broker_that_nobody_reaches_is_not_waited_for_although_a_question_allows_it_more() {
    let ports = FreePorts::reserve(2).unwrap();
    let hangs = Arc::new(AtomicBool::new(false));
    let both: Vec<bytes::Broker> =
        [1, 2].map(|node| (node, "kafka.invalid".to_owned(), 9092 + node)).to_vec();
    let start = |n: u16| {
        let (hangs, both) = (Arc::clone(&hangs), both.clone());
        let script = move |request: &Request| match request.key() {
            _ if n == 0 && hangs.load(Ordering::Relaxed) => Reply::Nothing,
            METADATA => Reply::Frame(bytes::metadata_answer(request.correlation(), request.version(), &both)),
            _ => usual(request),
        };
        ScriptedBroker::start(ports.base() + n, script).unwrap()
    };
    let _brokers = [0, 1].map(start);
    let address = |n: u16| format!("127.0.0.1:{}", ports.base() + n);
    let mut config = GatewayConfig::new().unwrap();
    let nodes = [(1, address(0)), (2, address(1))];
    let cluster = config.add_cluster("main", vec![address(1)], nodes.into());
    let times = ["dial_timeout = \"200ms\"", "hold = \"300ms\"", "answer_timeout = \"1h\""];
    cluster.more.extend(times.map(str::to_owned));
    let base = config.first_listener().unwrap().node_port_base;
    let _gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
    let mut client =
        wait::until("node 1", LIMIT, || Ok(RawClient::connect(("127.0.0.1", base + 1)).ok())).unwrap();
    is_well(&mut client);
    hangs.store(true, Ordering::Relaxed);
    client.send(&produce(2, -1, &[3], 1000)).unwrap();
    assert_eq!(codes(&client.receive().unwrap(), 2, &[3]), [TIMED_OUT]);
    // The client's connection stays, and finds the broker when it is back.
    hangs.store(false, Ordering::Relaxed);
    wait::until("the broker", LIMIT, || {
        Ok((client.ask(&bytes::heartbeat(3, b"body"))? == heartbeat_answer(3)).then_some(()))
    })
    .unwrap();
}
