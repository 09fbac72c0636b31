//! Brokers that take what they are asked and say nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::{Reply, wait};

use crate::bytes::{self, HEARTBEAT, PRODUCE};
use crate::gone::{TIMED_OUT, codes, heartbeat_answer, produce};
use crate::stage::{LIMIT, Setup, Stage, Two, is_well};

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
    let hangs = Arc::new(AtomicBool::new(false));
    let does = Arc::clone(&hangs);
    let times = ["dial_timeout = \"200ms\"", "hold = \"300ms\"", "answer_timeout = \"1h\""];
    let two = Two::new(&times, move |_| does.load(Ordering::Relaxed).then_some(Reply::Nothing));
    let mut client = two.client_of_the_first();
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
