//! A storm of bad logins from one address, and those who must not notice it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testkit::raw::sized;

use crate::stage::{Stage, authenticate, handshake, is_well, login, plain};

/// A connection from another address of this host.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into())?;
    socket.connect(&to.into())?;
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket.into())
}

/// Guesses at a thousand a second until told to end; keeps some hundred connections so that their delays run.
fn guess(to: SocketAddr, over: &AtomicBool, made: &AtomicU32) {
    let from = Ipv4Addr::new(127, 0, 0, 2);
    let mut open = std::collections::VecDeque::new();
    let begun = Instant::now();
    for n in 0_u32.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let token = plain(if n % 2 == 0 { "alice" } else { "nobody" }, &format!("guess {n}"));
        let both = [sized(&handshake(1, "PLAIN")), sized(&authenticate(&token))].concat();
        if let Ok(mut stream) = connect_from(from, to) {
            let _ = stream.write_all(&both);
            made.fetch_add(1, Ordering::Relaxed);
            open.push_back(stream);
        }
        if open.len() > 300 {
            open.pop_front();
        }
        if let Some(early) = Duration::from_millis(u64::from(n)).checked_sub(begun.elapsed()) {
            std::thread::sleep(early);
        }
    }
}

#[test]
fn a_storm_of_bad_logins_is_noticed_by_nobody_else() {
    let stage = Stage::asking_who();
    let asked = Instant::now();
    let mut inside = stage.client();
    is_well(&mut inside);
    // What one login takes on a machine as busy as this one. Behind the storm's there would be more than a hundred.
    let patience = asked.elapsed() * 20 + Duration::from_secs(1);
    let (over, made) = (AtomicBool::new(false), AtomicU32::new(0));
    let to = stage.address();
    std::thread::scope(|scope| {
        scope.spawn(|| guess(to, &over, &made));
        let begun = Instant::now();
        let mut slowest = Duration::ZERO;
        while made.load(Ordering::Relaxed) < 2000 && begun.elapsed() < Duration::from_secs(10) {
            let asked = Instant::now();
            is_well(&mut inside);
            slowest = slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        // Bob has not been here yet: nobody remembers his password, it has to be verified.
        let asked = Instant::now();
        assert_eq!(login(&mut stage.connect(), "bob", "bob's password").unwrap(), 0);
        let took = asked.elapsed();
        over.store(true, Ordering::Relaxed);
        assert!(took < patience, "a good login took {took:?}");
        assert!(slowest < Duration::from_millis(500), "a client that was in waited {slowest:?}");
        assert!(made.load(Ordering::Relaxed) >= 1000, "no storm: {}", made.load(Ordering::Relaxed));
    });
    is_well(&mut inside);
}
