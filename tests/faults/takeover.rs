//! One process follows another: no connection is refused or reset, and what goes wrong leaves the first as it was.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use testkit::{Gateway, RawClient, Reply, ScriptedBroker, raw, wait};

use crate::bytes::{self, Bytes};
use crate::stage::{LIMIT, Setup, Stage, is_well};

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

fn stage() -> Stage {
    Stage::new(&Setup { takeover: true, ..Setup::default() }, |_| None)
}

fn socket(stage: &Stage) -> PathBuf {
    stage.config.takeover_socket().unwrap()
}

/// A configuration that can't be put in place beside the first: one more listener, at a port that is taken.
fn obstructed(stage: &Stage) -> (testkit::GatewayConfig, std::net::TcpListener) {
    let mut config = stage.config.clone();
    let mut listener = config.listener();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.port = taken.local_addr().unwrap().port();
    config.clusters[0].listeners.push(listener);
    (config, taken)
}

/// Connects as fast as it goes, and asks something on each connection, until it is over. A connection that the gateway
/// lets go in order is none of its business; one that is refused or reset is.
fn knock(address: std::net::SocketAddr, over: &AtomicBool, answered: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        let mut client = RawClient::connect(address).unwrap_or_else(|error| panic!("connecting: {error}"));
        match client.ask(&bytes::heartbeat(1, b"knock")) {
            Ok(answer) => {
                assert_eq!(answer, Bytes::default().i32(1).raw(b"knock").0);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            Err(error) => panic!("asking: {error}"),
        }
    }
}

#[test]
fn a_client_that_connects_all_the_time_is_never_refused_or_reset() {
    let Stage { gateway, broker, config, .. } = stage();
    let _broker = broker;
    let node =
        std::net::SocketAddr::from(([127, 0, 0, 1], config.clusters[0].listeners[0].node_port_base + 1));
    let address = gateway.address().parse().unwrap();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let knocking = [address, node].map(|address| {
            let (over, answered) = (&over, &answered);
            scope.spawn(move || knock(address, over, answered))
        });
        let mut gateway = gateway;
        for _ in 0..5 {
            let before = answered.load(Ordering::Relaxed);
            let next = gateway.followed(BINARY).unwrap();
            assert!(gateway.wait_end(LIMIT).unwrap().success(), "{}", gateway.log());
            wait::until("answers of the successor", LIMIT, || {
                let now = answered.load(Ordering::Relaxed);
                Ok((now > before || knocking.iter().any(thread::ScopedJoinHandle::is_finished)).then_some(()))
            })
            .unwrap();
            gateway = next;
        }
        over.store(true, Ordering::Relaxed);
        for knocking in knocking {
            knocking.join().unwrap();
        }
        assert_eq!(gateway.http("/readyz").unwrap().0, 200);
    });
}

#[test]
fn the_first_answers_what_it_was_asked_and_lets_go_of_idle_clients_first() {
    let setup = Setup { takeover: true, ..Setup::default() };
    let mut stage = Stage::new(&setup, |request| {
        let slow = request.frame.ends_with(b"slow");
        slow.then(|| {
            let pieces = raw::sized(&Bytes::default().raw(request.correlation()).raw(b"slow").0);
            Reply::Slowly(pieces.into_iter().map(|byte| vec![byte]).collect(), Duration::from_millis(150))
        })
    });
    let (mut idle, mut busy) = (stage.client(), stage.client());
    is_well(&mut idle);
    busy.send(&bytes::heartbeat(1, b"slow")).unwrap();
    wait::until("the question", LIMIT, || Ok((stage.seen().len() >= 2).then_some(()))).unwrap();
    let next = stage.gateway.followed(BINARY).unwrap();
    assert_eq!(idle.until_closed().unwrap(), b"");
    is_well(&mut RawClient::connect(stage.address()).unwrap());
    assert_eq!(busy.receive().unwrap(), Bytes::default().i32(1).raw(b"slow").0);
    assert_eq!(busy.until_closed().unwrap(), b"");
    drop((idle, busy));
    assert!(stage.gateway.wait_end(LIMIT).unwrap().success());
    assert_eq!(next.http("/readyz").unwrap().0, 200);
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let stage = stage();
    let mut client = stage.client();
    let (config, taken) = obstructed(&stage);
    let mut failing = Gateway::begin(BINARY, &config).unwrap();
    assert_eq!(failing.wait_end(LIMIT).unwrap().code(), Some(1), "{}", failing.log());
    assert!(failing.log().contains("can't be bound"), "{}", failing.log());
    stage.gateway.wait_log("this process goes on", LIMIT).unwrap();
    is_well(&mut client);
    is_well(&mut stage.client());
    drop(taken);
    stage.gateway.followed(BINARY).unwrap();
}

#[test]
fn ports_are_taken_over_however_many_and_also_those_of_nodes_that_nobody_sees_now() {
    let mut stage = stage();
    let mut config = stage.config.clone();
    for _ in 0..3 {
        let listener = config.listener();
        config.clusters[0].listeners.push(listener);
    }
    let without_nodes = config.clone();
    for listener in &mut config.clusters[0].listeners {
        listener.more.push("node_ids = \"1-22\"".to_owned());
    }
    stage.gateway.reload(&config).unwrap();
    let next = Gateway::begin(BINARY, &without_nodes).unwrap();
    next.wait_log("took over", LIMIT).unwrap();
    // Four times a bootstrap port and 22 nodes, the admin address and the socket of take-overs.
    next.wait_log("sockets=94", LIMIT).unwrap();
    assert!(stage.gateway.wait_end(LIMIT).unwrap().success());
    for listener in &config.clusters[0].listeners {
        is_well(&mut RawClient::connect(("127.0.0.1", listener.port)).unwrap());
        is_well(&mut RawClient::connect(("127.0.0.1", listener.node_port_base + 1)).unwrap());
        drop(RawClient::connect(("127.0.0.1", listener.node_port_base + 22)).unwrap());
    }
}

#[test]
fn a_cluster_that_the_successor_does_not_reach_is_waited_for() {
    let stage = stage();
    let mut config = stage.config.clone();
    config.clusters[0].bootstrap = vec!["127.0.0.1:1".to_owned()];
    config.clusters[0].node_addresses.clear();
    let waiting = Gateway::begin(BINARY, &config).unwrap();
    waiting.wait_log("the topology can't be learned", LIMIT).unwrap();
    // One at a time: what comes meanwhile is told so, and the first serves.
    let mut second = Gateway::begin(BINARY, &stage.config).unwrap();
    assert_eq!(second.wait_end(LIMIT).unwrap().code(), Some(1));
    assert!(second.log().contains("another process is about to take over"), "{}", second.log());
    is_well(&mut stage.client());
    drop(waiting);
    stage.gateway.wait_log("this process goes on", LIMIT).unwrap();
    stage.gateway.followed(BINARY).unwrap();
}

#[test]
fn a_successor_serves_although_the_first_dies_before_it_is_ready() {
    let mut stage = stage();
    let mut config = stage.config.clone();
    let late = config.listener().port;
    let address = format!("127.0.0.1:{late}");
    config.clusters[0].bootstrap = vec![address.clone()];
    config.clusters[0].node_addresses = [(1, address)].into();
    let mut next = Gateway::begin(BINARY, &config).unwrap();
    next.wait_log("the topology can't be learned", LIMIT).unwrap();
    kill("-KILL", &stage.gateway.pid().to_string());
    stage.gateway.wait_end(LIMIT).unwrap();
    // It was not accepted yet, and waits in the queue that both had.
    let mut early = RawClient::connect(stage.address()).unwrap();
    let _broker = ScriptedBroker::start(late, crate::stage::usual).unwrap();
    is_well(&mut early);
    next.wait_log("ended before it was told to", LIMIT).unwrap();
    // The next one is heard, too.
    let last = Gateway::begin(BINARY, &config).unwrap();
    last.wait_log("took over", LIMIT).unwrap();
    drop(early);
    assert!(next.wait_end(LIMIT).unwrap().success());
}

#[test]
fn what_is_no_successor_is_turned_away_and_the_next_one_is_heard() {
    let stage = stage();
    let path = socket(&stage);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let heard = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset where it did not read all of what was said.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(answer.get(4..).unwrap_or_default()).into_owned()
    };
    assert!(heard(b"GET / HTTP/1.1\r\n\r\n").contains("no message of a take-over"));
    let hello = |version: u32| raw::sized(format!("{{\"hello\":{{\"version\":{version}}}}}").as_bytes());
    assert!(heard(&hello(2)).contains("it speaks version 2, this process 1"));
    assert!(heard(&raw::sized(b"\"ready\"")).contains("it was not the time to say"));
    // Silent peers come one at a time as well, and have five seconds.
    let mut silent = UnixStream::connect(&path).unwrap();
    assert!(heard(&hello(1)).contains("another process is about to take over"));
    let mut told = Vec::new();
    silent.read_to_end(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told).contains("it took too long"));
    is_well(&mut stage.client());
    stage.gateway.followed(BINARY).unwrap();
}

#[test]
fn the_socket_of_a_dead_process_is_replaced_and_a_file_that_is_none_is_left_alone() {
    let mut stage = stage();
    let path = socket(&stage);
    kill("-KILL", &stage.gateway.pid().to_string());
    stage.gateway.wait_end(LIMIT).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let mut gateway = Gateway::start(BINARY, &stage.config).unwrap();
    gateway.terminate().unwrap();
    assert!(gateway.wait_end(LIMIT).unwrap().success());
    assert!(!path.exists(), "the socket stays after an end in order");
    fs::write(&path, "precious").unwrap();
    let mut refused = Gateway::begin(BINARY, &stage.config).unwrap();
    assert_eq!(refused.wait_end(LIMIT).unwrap().code(), Some(1));
    assert!(refused.log().contains("is there and is no socket"), "{}", refused.log());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[test]
fn at_sigusr2_the_program_starts_anew_and_takes_over_and_systemd_is_told() {
    let stage = stage();
    let directory = stage.gateway.directory();
    let notified = UnixDatagram::bind(directory.join("notify")).unwrap();
    notified.set_read_timeout(Some(LIMIT)).unwrap();
    let program = directory.join("supervised");
    let script = format!("#!/bin/sh\nNOTIFY_SOCKET={}/notify exec {BINARY} \"$@\"\n", directory.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let told = || {
        let mut text = [0; 100];
        let n = notified.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    let first = stage.gateway.followed(&program).unwrap();
    assert_eq!(told(), "READY=1");
    kill("-USR2", &first.pid().to_string());
    // The successor is of the first's group of processes, and ends with it on the leash.
    first.wait_log("ended open=0", LIMIT).unwrap();
    let mut news = [told(), told()];
    news.sort_unstable();
    let [successor, ready] = news;
    assert_eq!(ready, "READY=1");
    let pid = successor.strip_prefix("MAINPID=").unwrap();
    assert_ne!(pid, first.pid().to_string());
    is_well(&mut stage.client());
    kill("-TERM", pid);
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn sockets_that_systemd_has_opened_are_served() {
    let stage = Stage::plain();
    let mut config = stage.config.clone();
    config.clusters[0].listeners = vec![config.listener()];
    let listener = config.clusters[0].listeners[0].clone();
    let opened = std::net::TcpListener::bind(("127.0.0.1", listener.port)).unwrap();
    // A client that came before the gateway.
    let mut early = RawClient::connect(("127.0.0.1", listener.port)).unwrap();
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text =
        config.to_toml().replace(&format!("127.0.0.1:{}\"", config.admin_port()), &format!("{admin}\""));
    let file = stage.gateway.directory().join("systemd.toml");
    fs::write(&file, text).unwrap();
    let mut process = Command::new("sh")
        .args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" run \"$1\" 3<&0 </dev/null", BINARY])
        .arg(&file)
        .stdin(Stdio::from(OwnedFd::from(opened)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| is_well(&mut early)));
    process.kill().unwrap();
    process.wait().unwrap();
    well.unwrap();
}

#[test]
fn a_shutdown_is_spread_and_serves_until_a_connections_turn() {
    let mut stage = Stage::plain();
    let mut config = stage.config.clone();
    config.more = "[drain]\nshutdown = \"5s\"\nspread = \"2s\"\n".to_owned();
    stage.gateway.reload(&config).unwrap();
    let mut clients: Vec<RawClient> = (0..40).map(|_| stage.client()).collect();
    clients.iter_mut().for_each(is_well);
    let told = Instant::now();
    stage.gateway.terminate().unwrap();
    stage.gateway.wait_log("ending", LIMIT).unwrap();
    assert!(TcpStream::connect(stage.address()).is_err());
    let ends: Vec<Duration> = thread::scope(|scope| {
        let ends = clients.iter_mut().map(|client| {
            scope.spawn(|| {
                assert_eq!(client.until_closed().unwrap(), b"");
                told.elapsed()
            })
        });
        let ends: Vec<_> = ends.collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    });
    let [first, last] = [ends.iter().min().unwrap(), ends.iter().max().unwrap()];
    assert!(last.saturating_sub(*first) > Duration::from_millis(400), "all at once: {first:?} to {last:?}");
    drop(clients);
    assert!(stage.gateway.wait_end(LIMIT).unwrap().success());
}
