//! Frames that cannot be, that come in pieces, or that are another protocol's.

use std::io::Write;
use std::time::Duration;

use testkit::raw::sized;

use crate::bytes::{self, Bytes};
use crate::stage::{LIMIT, Setup, Stage, asking_who, handshake, is_well, reset_at_close};

#[test]
fn a_frame_that_cannot_be_ends_its_connection_and_no_other() {
    for stage in [Stage::plain(), Stage::asking_who()] {
        let mut bystander = stage.client();
        is_well(&mut bystander);
        for size in [-1, i32::MIN] {
            stage.is_closed_for("client", "malformed", &size.to_be_bytes());
        }
        for size in [(100 << 20) + 1, i32::MAX] {
            stage.is_closed_for("client", "too-large", &size.to_be_bytes());
        }
        is_well(&mut bystander);
        is_well(&mut stage.client());
        // Only what the bystanders asked has reached the broker.
        assert_eq!(stage.seen().len(), 3);
    }
    let stage = Stage::plain();
    for size in 0..8_u8 {
        let frame = sized(&vec![0; usize::from(size)]);
        stage.is_closed_for("client", "malformed", &frame);
    }
    is_well(&mut stage.client());
}

#[test]
fn a_frame_as_large_as_the_listener_allows_passes_and_one_byte_more_does_not() {
    let setup = Setup { listener: vec!["frame_bytes_max = \"1MiB\""], ..Setup::default() };
    let stage = Stage::new(&setup, |_| None);
    let head = bytes::heartbeat(1, b"").len();
    let largest = bytes::heartbeat(1, &vec![5; (1 << 20) - head]);
    let answer = stage.client().ask(&largest).unwrap();
    assert_eq!(answer.len(), (1 << 20) - head + 4);
    stage.is_closed_for("client", "too-large", &((1 << 20) + 1_i32).to_be_bytes());
}

#[test]
fn other_protocols_are_told_apart_on_a_plain_port() {
    for stage in [Stage::plain(), Stage::asking_who()] {
        stage.is_closed_for("client", "http", b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n");
        stage.is_closed_for("client", "tls-on-plain-port", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]);
        stage.is_closed_for("client", "not-kafka", b"SSH-2.0-OpenSSH_9.2\r\n");
        stage.gateway.wait_log("tls-on-plain-port", LIMIT).unwrap();
        is_well(&mut stage.client());
    }
}

#[test]
fn a_client_that_never_finishes_its_login_is_let_go_in_time() {
    let mut setup = asking_who();
    setup.listener.push("login_timeout = \"300ms\"");
    let stage = Stage::new(&setup, |_| None);
    // A size prefix begun; a handshake answered and then silence.
    stage.is_closed_for("client", "login-timeout", &[0]);
    stage.ends(1, "client", "login-timeout", || {
        let mut client = stage.connect();
        client.ask(&handshake(1, "PLAIN")).unwrap();
        assert_eq!(client.until_closed().unwrap(), b"");
    });
    is_well(&mut stage.client());
}

#[test]
fn a_frame_cut_anywhere_ends_quietly_by_fin_and_by_reset() {
    let stage = Stage::plain();
    let frame = sized(&bytes::produce(1, -1, &[9; 40]));
    let cuts = u32::try_from(frame.len() - 1).unwrap();
    stage.ends(cuts, "client", "cut-off", || {
        for cut in 1..frame.len() {
            let mut client = stage.connect();
            client.send_bytes(&frame[..cut]).unwrap();
            client.stream().shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(client.until_closed().unwrap(), b"");
        }
    });
    for cut in 1..frame.len() {
        let mut client = stage.connect();
        client.send_bytes(&frame[..cut]).unwrap();
        reset_at_close(&client);
    }
    is_well(&mut stage.client());
    assert_eq!(stage.seen().len(), 1, "a part of a frame is no request");
    let open = [("listener", &*stage.gateway.address())];
    stage.gateway.wait_metric("portcullis_connections_open", &open, LIMIT, |open| open < 0.5).unwrap();
    stage.gateway.wait_metric("portcullis_in_flight", &[], LIMIT, |left| left < 0.5).unwrap();
}

#[test]
fn glued_and_split_frames_mean_the_same() {
    let stage = Stage::plain();
    let mut all = Vec::new();
    let mut expected = Vec::new();
    for n in 0..40_u8 {
        let body = vec![n; usize::from(n) * 7];
        all.extend(sized(&bytes::heartbeat(i32::from(n), &body)));
        expected.extend(sized(&Bytes::default().i32(i32::from(n)).raw(&body).0));
    }
    // All at once, byte by byte, and in pieces whose lengths share no rhythm with the frames.
    for piece in [all.len(), 1, 3, 17, 64] {
        let mut client = stage.client();
        let mut stream = client.stream().try_clone().unwrap();
        let pieces: Vec<Vec<u8>> = all.chunks(piece).map(<[u8]>::to_vec).collect();
        let writer = std::thread::spawn(move || pieces.iter().try_for_each(|piece| stream.write_all(piece)));
        let mut answered = Vec::new();
        for _ in 0..40 {
            answered.extend(sized(&client.receive().unwrap()));
        }
        writer.join().unwrap().unwrap();
        assert_eq!(answered, expected);
    }
}

#[test]
fn kafka_on_a_tls_port_gets_an_alert_and_is_counted() {
    let stage = Stage::new(&Setup { tls: true, ..Setup::default() }, |_| None);
    for bytes in [sized(&bytes::heartbeat(1, b"")), b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        stage.ends(1, "client", "tls", || {
            let mut client = stage.connect();
            client.patience(Duration::from_secs(5)).unwrap();
            client.send_bytes(&bytes).unwrap();
            let alert = client.until_closed().unwrap();
            assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
        });
    }
}
