//! The load within TLS: every work arrives, in the one way of TLS that it proposes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bench::ask::{Stream, Work};
use bench::cue::Cues;
use bench::dial::Door;
use bench::line::Trust;
use bench::pace::Pace;
use bench::sink;
use bench::stream::{Plan, Reading, run};
use rustls::{CipherSuite, NamedGroup, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Takes TLS off in front of `broker`, a request and its answer after the other.
fn terminator(config: ServerConfig, broker: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    thread::spawn(move || {
        for client in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let client = StreamOwned::new(session, client.unwrap());
            thread::spawn(move || relay(client, broker));
        }
    });
    address
}

fn relay(mut client: StreamOwned<ServerConnection, TcpStream>, broker: SocketAddr) {
    let mut broker = TcpStream::connect(broker).unwrap();
    while let Some(request) = frame(&mut client) {
        let suite = client.conn.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, CipherSuite::TLS13_AES_256_GCM_SHA384);
        assert_eq!(client.conn.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519);
        broker.write_all(&request).unwrap();
        client.write_all(&frame(&mut broker).unwrap()).unwrap();
    }
}

/// The next frame, size and all.
fn frame(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let size = u32::from_be_bytes(frame.as_slice().try_into().unwrap());
    frame.resize(4 + usize::try_from(size).unwrap(), 0);
    from.read_exact(frame.get_mut(4..).unwrap()).ok()?;
    Some(frame)
}

#[test]
fn every_work_is_carried_within_tls() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    fs::write(&authority, made.cert.pem()).unwrap();
    let chain = vec![CertificateDer::from(made.cert)];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let cluster = sink::start(&[0], 3, 4 * 1024 * 1024).unwrap();
    let address = terminator(config, (Ipv4Addr::LOCALHOST, cluster.ports[0]).into());
    let trust = Some(Trust::authority(&authority).unwrap());
    let door = Door { address, login: Some(("alice".into(), "secret".into())), trust };
    for (stream, version) in [(Stream::Produce, 11), (Stream::Fetch, 17)] {
        for (payload_bytes, in_flight) in [(1 << 20, 5), (16 << 10, 5), (1 << 10, 32)] {
            let work = Work { stream, version, payload_bytes };
            let (duration, reading) = (Duration::from_mins(1), Reading::Quick);
            let plan = Plan { work, in_flight, requests: 20, duration, warm_up: 1, reading };
            let (outcome, _) = run(&door, &[plan; 2], Pace::default(), Cues::Ignored).unwrap();
            assert_eq!((outcome.requests, outcome.errors), (40, 0), "{work:?}");
        }
    }
}

#[test]
fn a_peer_that_nobody_has_signed_for_is_not_spoken_to() {
    let own = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (trusted, made) = (own("127.0.0.1"), own("127.0.0.1"));
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    fs::write(&authority, trusted.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(made.cert)];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let cluster = sink::start(&[0], 3, 1024).unwrap();
    let address = terminator(config, (Ipv4Addr::LOCALHOST, cluster.ports[0]).into());
    let door = Door { address, login: None, trust: Some(Trust::authority(&authority).unwrap()) };
    assert!(door.open(None).is_err());
}
