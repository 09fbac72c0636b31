//! Ends that the gateway itself brings about: nobody's answer is cut, and nobody stays who should not.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{Reply, raw, wait};

use crate::bytes::{self, Bytes};
use crate::stage::{LIMIT, Setup, Stage, asking_who, is_well, login};

const ANSWER: usize = 8 * 120_000;

/// A broker that says much, slowly, to a Heartbeat whose body is `slow`.
fn slow(setup: &Setup) -> Stage {
    Stage::new(setup, |request| {
        let slow = request.frame.ends_with(b"slow");
        slow.then(|| {
            let size = Bytes::default().i32(4 + i32::try_from(ANSWER).unwrap()).raw(request.correlation()).0;
            let pieces = std::iter::once(size).chain((0..8).map(|n| vec![n; ANSWER / 8]));
            Reply::Slowly(pieces.collect(), Duration::from_millis(60))
        })
    })
}

fn is_whole(answer: &[u8]) {
    assert_eq!(answer.len(), 4 + ANSWER);
    assert!(
        answer[4..]
            .chunks(ANSWER / 8)
            .enumerate()
            .all(|(n, piece)| piece.iter().all(|byte| usize::from(*byte) == n))
    );
}

#[test]
fn an_answer_under_way_is_finished_before_the_process_ends() {
    let mut stage = slow(&Setup::default());
    let mut idle = stage.client();
    is_well(&mut idle);
    let mut client = stage.client();
    client.send(&bytes::heartbeat(1, b"slow")).unwrap();
    client.send(&bytes::heartbeat(2, b"and this")).unwrap();
    wait::until("both questions", LIMIT, || Ok((stage.seen().len() >= 2).then_some(()))).unwrap();
    stage.gateway.terminate().unwrap();
    stage.gateway.wait_log("ending", LIMIT).unwrap();
    assert_eq!(idle.until_closed().unwrap(), b"");
    // What is asked from now on does not harm what was asked before; the client's thread may not have heard of the end.
    client.send(&bytes::heartbeat(3, b"too late")).unwrap();
    is_whole(&client.receive().unwrap());
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(2).raw(b"and this").0);
    let late = raw::sized(&Bytes::default().i32(3).raw(b"too late").0);
    let rest = client.until_closed().unwrap();
    assert!(rest.is_empty() || rest == late, "{rest:?}");
    assert!(TcpStream::connect(stage.address()).is_err());
    drop((idle, client));
    assert!(stage.gateway.wait_end(LIMIT).unwrap().success());
}

#[test]
fn a_client_in_its_login_does_not_hold_the_end_up() {
    let mut stage = Stage::asking_who();
    let mut waiting = stage.connect();
    waiting.ask(&bytes::api_versions(0, 1)).unwrap();
    let told = Instant::now();
    stage.gateway.terminate().unwrap();
    assert_eq!(waiting.until_closed().unwrap(), b"");
    assert!(stage.gateway.wait_end(LIMIT).unwrap().success());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[test]
fn a_removed_user_is_drained_and_the_others_stay() {
    let mut stage = slow(&asking_who());
    let mut alice = stage.client();
    let mut bob = stage.connect();
    assert_eq!(login(&mut bob, "bob", "bob's password").unwrap(), 0);
    is_well(&mut alice);
    bob.send(&bytes::heartbeat(1, b"slow")).unwrap();
    wait::until("the question", LIMIT, || Ok((stage.seen().len() >= 2).then_some(()))).unwrap();
    let mut config = stage.config.clone();
    config.users.retain(|(name, _)| name != "bob");
    stage.gateway.reload(&config).unwrap();
    is_whole(&bob.receive().unwrap());
    assert_eq!(bob.until_closed().unwrap(), b"");
    drop(bob);
    let labels = [("side", "gateway"), ("reason", "removed")];
    stage.gateway.wait_metric("portcullis_connections_ended_total", &labels, LIMIT, |n| n > 0.5).unwrap();
    assert_eq!(login(&mut stage.connect(), "bob", "bob's password").unwrap(), 58);
    is_well(&mut alice);
}

#[test]
fn a_removed_listener_is_drained_and_its_ports_are_free() {
    let mut stage = slow(&Setup::default());
    let mut config = stage.config.clone();
    let second = config.listener();
    config.clusters[0].listeners.push(second.clone());
    stage.gateway.reload(&config).unwrap();
    let mut client = testkit::RawClient::connect(("127.0.0.1", second.port)).unwrap();
    is_well(&mut client);
    client.send(&bytes::heartbeat(1, b"slow")).unwrap();
    wait::until("the question", LIMIT, || Ok((stage.seen().len() >= 2).then_some(()))).unwrap();
    config.clusters[0].listeners.pop();
    stage.gateway.reload(&config).unwrap();
    is_whole(&client.receive().unwrap());
    assert_eq!(client.until_closed().unwrap(), b"");
    let closed = || Ok(TcpStream::connect(("127.0.0.1", second.port)).is_err().then_some(()));
    wait::until("a closed port", LIMIT, closed).unwrap();
    is_well(&mut stage.client());
}

#[test]
fn a_cluster_removed_while_it_is_looked_at_gives_all_its_ports_back() {
    let mut stage = Stage::plain();
    let mut config = stage.config.clone();
    // A broker that answers everybody slowly: a look at its topology takes its time.
    let other = testkit::ScriptedBroker::start(0, |request| {
        std::thread::sleep(Duration::from_millis(150));
        crate::stage::usual(request)
    })
    .unwrap();
    let address = other.address().to_string();
    config.add_cluster("other", vec![address.clone()], [(1, address)].into()).more =
        vec!["refresh = \"100ms\"".to_owned()];
    stage.gateway.reload(&config).unwrap();
    let node_port = config.clusters[1].listeners[0].node_port_base + 1;
    let connects = || TcpStream::connect(("127.0.0.1", node_port)).is_ok();
    wait::until("the node's port", LIMIT, || Ok(connects().then_some(()))).unwrap();
    config.clusters.pop();
    stage.gateway.reload(&config).unwrap();
    wait::until("a closed port", LIMIT, || Ok((!connects()).then_some(()))).unwrap();
    // Longer than a look takes: the port must not come back.
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        assert!(!connects(), "the port of a removed cluster is bound again");
        std::thread::sleep(Duration::from_millis(20));
    }
    is_well(&mut stage.client());
}

#[test]
fn a_renamed_cluster_takes_its_ports_over_and_no_connect_is_refused() {
    let mut stage = Stage::plain();
    let mut config = stage.config.clone();
    is_well(&mut stage.client());
    for name in ["renamed", "main", "renamed"] {
        config.clusters[0].name = name.to_owned();
        stage.gateway.reload(&config).unwrap();
        is_well(&mut stage.client());
    }
}

#[test]
fn an_answer_that_never_comes_ends_the_drain_in_its_time() {
    let mut stage =
        Stage::new(&asking_who(), |request| request.frame.ends_with(b"never").then_some(Reply::Nothing));
    let mut client = stage.client();
    client.send(&bytes::heartbeat(1, b"never")).unwrap();
    wait::until("the question", LIMIT, || Ok((!stage.seen().is_empty()).then_some(()))).unwrap();
    let mut config = stage.config.clone();
    config.users.retain(|(name, _)| name != "alice");
    let told = Instant::now();
    stage.gateway.reload(&config).unwrap();
    assert_eq!(client.until_closed().unwrap(), b"");
    // [drain] reload is two seconds here.
    assert!(told.elapsed() >= Duration::from_millis(1500), "{:?}", told.elapsed());
    let labels = [("side", "gateway"), ("reason", "drain-timeout")];
    stage.gateway.wait_metric("portcullis_connections_ended_total", &labels, LIMIT, |n| n > 0.5).unwrap();
}
