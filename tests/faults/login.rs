//! Who a client is: every way in which a login goes wrong, and the ways in which it comes again.

use std::time::{Duration, Instant};

use testkit::RawClient;
use testkit::raw::{self, HeadStyle, sized};

use crate::bytes::{self, Bytes};
use crate::stage::{
    Setup, Stage, asking_who, authenticate, handshake, is_well, login, plain, reset_at_close,
};

/// The answer to a failed `SaslAuthenticate` v1.
fn refusal() -> Vec<u8> {
    Bytes::default().i32(2).i16(58).classic("Authentication failed").i32(0).i64(0).0
}

#[test]
fn nothing_is_answered_before_the_login_and_no_broker_hears_of_it() {
    let stage = Stage::asking_who();
    let accepted = stage.broker.accepted();
    for frame in [
        bytes::heartbeat(1, b"x"),
        bytes::metadata(1, 1),
        bytes::metadata(12, 1),
        bytes::produce(1, 0, b"x"),
        authenticate(&plain("alice", "alice's password")),
        raw::request(-1, 0, 1, "x", HeadStyle::Classic, &[]),
    ] {
        stage.is_closed_for("client", "login", &sized(&frame));
    }
    // The second ApiVersions that succeeds is one too many.
    let twice = [sized(&bytes::api_versions(0, 1)), sized(&bytes::api_versions(0, 1))].concat();
    stage.ends(1, "client", "login", || {
        let mut client = stage.connect();
        client.send_bytes(&twice).unwrap();
        client.receive().unwrap();
        assert_eq!(client.until_closed().unwrap(), b"");
    });
    assert_eq!(stage.seen(), Vec::<Vec<u8>>::new());
    // What the gateway itself keeps open to look at the topology is all there is.
    assert_eq!(stage.broker.accepted(), accepted);
    is_well(&mut stage.client());
}

#[test]
fn an_unknown_mechanism_is_answered_with_those_there_are() {
    let stage = Stage::asking_who();
    for version in [0, 1] {
        stage.ends(1, "client", "login", || {
            let mut client = stage.connect();
            let answer = client.ask(&handshake(version, "SCRAM-SHA-512")).unwrap();
            assert_eq!(answer, Bytes::default().i32(1).i16(33).i32(1).classic("PLAIN").0);
            assert_eq!(client.until_closed().unwrap(), b"");
        });
    }
}

#[test]
fn every_bad_password_is_told_the_same_after_a_delay() {
    let stage = Stage::asking_who();
    let long = "x".repeat(32 * 1024);
    let tokens = [
        plain("alice", "wrong"),
        plain("nobody", "wrong"),
        plain("", "wrong"),
        plain("alice", ""),
        b"bob\0alice\0alice's password".to_vec(),
        b"alice\0alice's password".to_vec(),
        b"\0alice\0alice's password\0".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"".to_vec(),
        b"\0alice\0\xff\xfe".to_vec(),
        plain("alice", &long),
    ];
    let times = u32::try_from(tokens.len()).unwrap();
    stage.ends(times, "client", "login", || {
        for token in tokens {
            let mut client = stage.connect();
            client.ask(&handshake(1, "PLAIN")).unwrap();
            let asked = Instant::now();
            assert_eq!(client.ask(&authenticate(&token)).unwrap(), refusal());
            assert!(asked.elapsed() >= Duration::from_millis(100), "{:?}", asked.elapsed());
            assert_eq!(client.until_closed().unwrap(), b"");
        }
    });
    let lines = stage.gateway.log();
    assert!(!lines.contains("alice's password"), "{lines}");
    is_well(&mut stage.client());
}

#[test]
fn a_token_that_comes_raw_is_answered_raw() {
    let stage = Stage::asking_who();
    let raw_login = |token: &[u8]| {
        let mut client = stage.connect();
        client.ask(&handshake(0, "PLAIN")).unwrap();
        client.send(token).unwrap();
        client
    };
    let mut client = raw_login(&plain("alice", "alice's password"));
    assert_eq!(client.receive().unwrap(), b"");
    is_well(&mut client);
    // Failure has no words here: a wrong password, an empty token, a framed request.
    let framed = authenticate(&plain("alice", "alice's password"));
    stage.ends(3, "client", "login", || {
        for token in [&plain("alice", "wrong"), &Vec::new(), &framed] {
            assert_eq!(raw_login(token).until_closed().unwrap(), b"");
        }
    });
}

#[test]
fn a_frame_before_the_login_is_small() {
    let stage = Stage::asking_who();
    stage.is_closed_for("client", "too-large", &(64 * 1024 + 1_i32).to_be_bytes());
    // As large as it may be, and never finished: the client goes.
    stage.ends(1, "client", "cut-off", || {
        let mut client = stage.connect();
        client.send_bytes(&[&(64 * 1024_i32).to_be_bytes()[..], &vec![0; 60_000]].concat()).unwrap();
        client.stream().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.until_closed().unwrap(), b"");
    });
}

#[test]
fn a_login_may_be_renewed_but_not_become_another_one() {
    let mut setup = asking_who();
    setup.listener.push("session_lifetime = \"1h\"");
    let stage = Stage::new(&setup, |_| None);
    let mut client = stage.client();
    is_well(&mut client);
    // Questions in flight are answered first, in order.
    for n in 0..5 {
        client.send(&bytes::heartbeat(n, b"before")).unwrap();
    }
    client.send(&handshake(1, "PLAIN")).unwrap();
    client.send(&authenticate(&plain("alice", "alice's password"))).unwrap();
    client.send(&bytes::heartbeat(9, b"after")).unwrap();
    for n in 0..5 {
        assert_eq!(client.receive().unwrap(), Bytes::default().i32(n).raw(b"before").0);
    }
    assert_eq!(client.receive().unwrap()[..6], Bytes::default().i32(1).i16(0).0);
    let renewed = client.receive().unwrap();
    assert_eq!(renewed[..6], Bytes::default().i32(2).i16(0).0);
    assert!(renewed.ends_with(&3_600_000_i64.to_be_bytes()));
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(9).raw(b"after").0);
    // Again within a second, and without a handshake: 34, and the connection goes on.
    assert_eq!(client.ask(&handshake(1, "PLAIN")).unwrap()[..6], Bytes::default().i32(1).i16(34).0);
    let stray = client.ask(&authenticate(&plain("alice", "alice's password"))).unwrap();
    assert_eq!(stray[..6], Bytes::default().i32(2).i16(34).0);
    is_well(&mut client);
    // As somebody else: 58, and the end.
    let mut client = stage.client();
    stage.ends(1, "client", "login", || {
        assert_eq!(login(&mut client, "bob", "bob's password").unwrap(), 58);
        assert_eq!(client.until_closed().unwrap(), b"");
    });
}

#[test]
fn an_anonymous_listener_knows_no_login() {
    let stage = Stage::plain();
    let mut client = stage.client();
    assert_eq!(client.ask(&handshake(1, "PLAIN")).unwrap()[..6], Bytes::default().i32(1).i16(34).0);
    is_well(&mut client);
}

#[test]
fn a_session_past_its_life_ends_at_its_next_request() {
    let mut setup = asking_who();
    setup.listener.push("session_lifetime = \"300ms\"");
    let stage = Stage::new(&setup, |_| None);
    let mut client = stage.client();
    is_well(&mut client);
    let begun = Instant::now();
    stage.ends(1, "client", "session-expired", || {
        loop {
            client.send(&bytes::heartbeat(1, b"")).unwrap();
            if client.receive().is_err() {
                break;
            }
        }
    });
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

/// A credential that takes some ten milliseconds to verify.
fn slow_credential(password: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut hashing = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["hash-password", "--iterations", "16384"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(hashing.stdin.take().unwrap(), "{password}").unwrap();
    String::from_utf8(hashing.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_fault_of_our_own_is_never_told_as_a_wrong_password() {
    // alice is last: her own logins below use the clear password.
    let users = vec![("carol".to_owned(), slow_credential("right"))];
    let stage = Stage::new(&Setup { users, ..Setup::default() }, |_| None);
    // More right passwords at once than may wait: some are let in, some turned away, none is told 58.
    let mut clients: Vec<RawClient> = (0..400).map(|_| stage.connect()).collect();
    let both = [sized(&handshake(1, "PLAIN")), sized(&authenticate(&plain("carol", "right")))].concat();
    for client in &mut clients {
        client.send_bytes(&both).unwrap();
    }
    let (mut welcome, mut turned_away) = (0, 0);
    for client in &mut clients {
        client.receive().unwrap();
        match client.receive() {
            Ok(answer) => {
                assert_eq!(answer[4..6], [0, 0]);
                welcome += 1;
            }
            Err(_) => turned_away += 1,
        }
    }
    assert!(welcome > 0);
    // On a busy machine some have waited for as long as a login may take.
    let name = "portcullis_connections_ended_total";
    let are_all = |n: f64| (n - f64::from(turned_away)).abs() < 0.5;
    stage.gateway.wait_metric(name, &[], crate::stage::LIMIT, are_all).unwrap();
    let labels = [("side", "gateway"), ("reason", "login")];
    assert!(turned_away == 0 || stage.gateway.metric(name, &labels).unwrap() > 0.5);
    clients.iter().for_each(reset_at_close);
}
