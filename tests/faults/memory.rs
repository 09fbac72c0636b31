//! Memory that does not follow the size of frames, the number of questions or the slowness of readers.

use std::io::Read;

use testkit::raw::sized;
use testkit::{RawClient, Reply, wait};

use crate::bytes::{self, Bytes};
use crate::stage::{LIMIT, Setup, Stage, asking_who, is_well};

/// Resident KiB that the gateway may grow by while nothing is to grow: buffers of its threads, the allocator's whim.
const FLAT_KIB: u64 = 12 * 1024;

#[test]
fn large_frames_of_many_connections_are_not_held() {
    let stage = Stage::new(&Setup::default(), |request| {
        let large = request.frame.len() > 1 << 20;
        large.then(|| Reply::Frame(Bytes::default().raw(request.correlation()).raw(b"got it").0))
    });
    is_well(&mut stage.client());
    let before = stage.gateway.rss_kib().unwrap();
    let frame = sized(&bytes::heartbeat(3, &vec![6; 12 << 20]));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = stage.client();
                client.patience(LIMIT).unwrap();
                client.send_bytes(&frame).unwrap();
                assert_eq!(client.receive().unwrap(), Bytes::default().i32(3).raw(b"got it").0);
            });
        }
        for _ in 0..20 {
            let grown = stage.gateway.rss_kib().unwrap().saturating_sub(before);
            assert!(grown < 32 * 1024, "{grown} KiB");
            is_well(&mut stage.client());
        }
    });
    // And one as large as frames may be.
    let head = bytes::heartbeat(1, b"").len();
    let mut client = stage.client();
    client.send_bytes(&(100_i32 << 20).to_be_bytes()).unwrap();
    client.send_bytes(&bytes::heartbeat(3, b"")).unwrap();
    let part = vec![1; (100 << 20) - head];
    client.send_bytes(&part).unwrap();
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(3).raw(b"got it").0);
    assert!(stage.gateway.rss_kib().unwrap().saturating_sub(before) < 32 * 1024);
}

#[test]
fn a_reader_that_sleeps_makes_the_gateway_hold_nothing() {
    const ANSWER: usize = 48 << 20;
    let stage = Stage::new(&Setup::default(), |request| {
        let large = request.frame.ends_with(b"much");
        large.then(|| Reply::Frame(Bytes::default().raw(request.correlation()).raw(&vec![3; ANSWER]).0))
    });
    is_well(&mut stage.client());
    let before = stage.gateway.rss_kib().unwrap();
    let mut sleeper = stage.client();
    sleeper.send(&bytes::heartbeat(8, b"much")).unwrap();
    let mut size = [0; 8];
    sleeper.stream().read_exact(&mut size).unwrap();
    for _ in 0..20 {
        is_well(&mut stage.client());
    }
    assert!(stage.gateway.rss_kib().unwrap() < before + FLAT_KIB);
    let mut rest = vec![0; ANSWER];
    sleeper.stream().read_exact(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == 3));
    is_well(&mut sleeper);
}

#[test]
fn a_reader_that_never_wakes_is_let_go() {
    let setup = Setup { listener: vec!["stall_timeout = \"500ms\""], ..Setup::default() };
    let stage = Stage::new(&setup, |request| {
        let large = request.frame.ends_with(b"much");
        large.then(|| Reply::Frame(Bytes::default().raw(request.correlation()).raw(&vec![3; 32 << 20]).0))
    });
    let mut sleeper = stage.client();
    stage.ends(1, "client", "stalled", || sleeper.send(&bytes::heartbeat(8, b"much")).unwrap());
    is_well(&mut stage.client());
}

#[test]
fn connections_that_rest_hold_no_buffers() {
    let stage = Stage::new(&asking_who(), |_| None);
    let mut warm: Vec<RawClient> = (0..20).map(|_| stage.client()).collect();
    warm.iter_mut().for_each(is_well);
    let before = stage.gateway.rss_kib().unwrap();
    let mut clients: Vec<RawClient> = (0..300).map(|_| stage.client()).collect();
    clients.iter_mut().for_each(is_well);
    let grown = stage.gateway.rss_kib().unwrap().saturating_sub(before);
    // Two sockets, a task and a timer; a debug build's tasks are larger than a release's.
    assert!(grown < 300 * 24, "{grown} KiB for 300 connections");
    clients.iter_mut().for_each(is_well);
}

#[test]
fn sizes_of_two_gigabytes_are_believed_by_nobody() {
    let stage = Stage::asking_who();
    is_well(&mut stage.client());
    let before = stage.gateway.rss_kib().unwrap();
    stage.ends(500, "client", "too-large", || {
        for _ in 0..500 {
            let mut client = stage.connect();
            client.send_bytes(&i32::MAX.to_be_bytes()).unwrap();
            assert_eq!(client.until_closed().unwrap(), b"");
        }
    });
    assert!(stage.gateway.rss_kib().unwrap() < before + FLAT_KIB);
}

#[test]
fn more_ports_than_connections_may_be_still_let_everybody_in() {
    let setup = Setup {
        listener: vec!["node_ids = \"1-12\""],
        more: "[process]\nconnections_max = 3\n",
        ..Setup::default()
    };
    let stage = Stage::new(&setup, |_| None);
    let mut inside: Vec<RawClient> = (0..3).map(|_| stage.client()).collect();
    inside.iter_mut().for_each(is_well);
    // The fourth waits, and is served when one of the three has left.
    let mut fourth = stage.client();
    fourth.send(&bytes::heartbeat(4, b"")).unwrap();
    let open = stage.gateway.metric("portcullis_connections_open", &[]).unwrap();
    assert!(open < 3.5, "{open}");
    inside.pop();
    assert_eq!(fourth.receive().unwrap(), 4_i32.to_be_bytes());
    wait::until("three again", LIMIT, || {
        let open = stage.gateway.metric("portcullis_connections_open", &[])?;
        Ok(((open - 3.0).abs() < 0.5).then_some(()))
    })
    .unwrap();
}
