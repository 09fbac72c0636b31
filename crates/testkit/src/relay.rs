//! Relays: they stand between two peers, hand every byte on as it is, and show it to whoever watches.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough to move bulk, and small enough that what is looked for does meet the borders.
const CHUNK: usize = 64 << 10;

/// Sees the bytes of one direction before they are handed on.
pub type Eye = Box<dyn FnMut(&[u8]) + Send>;

/// What watches one connection.
pub struct Eyes {
    /// Sees what goes to the peer that is dialled.
    pub asked: Eye,
    /// Sees what comes back.
    pub answered: Eye,
}

impl Eyes {
    /// Nobody looks.
    pub fn closed() -> Eyes {
        Eyes { asked: Box::new(|_| {}), answered: Box::new(|_| {}) }
    }
}

/// Relays for a list of ports; end with all of their connections at drop.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// Those that are open, both sides of each.
    connections: Mutex<BTreeMap<u64, [Arc<TcpStream>; 2]>>,
}

/// From where, and to which port.
#[derive(Clone, Copy, Debug)]
struct Way {
    source: Ipv4Addr,
    to: u16,
}

impl Relay {
    /// Listens at each first port of 127.0.0.1, and dials the second port from `source` for each connection. `watch` is
    /// asked for eyes for each of them, which are counted from 0 over all ports.
    pub fn start(
        pairs: &[(u16, u16)],
        source: Ipv4Addr,
        watch: impl Fn(u64) -> Eyes + Send + Sync + 'static,
    ) -> Result<Relay> {
        allow_many_sockets()?;
        let shared = Arc::<Shared>::default();
        let next = Mutex::new(0..);
        let watch = Arc::new(move || {
            let number = lock(&next).next().unwrap_or(u64::MAX);
            (number, watch(number))
        });
        let mut addresses = Vec::new();
        for (at, to) in pairs {
            let listener = TcpListener::bind(("127.0.0.1", *at))?;
            addresses.push(listener.local_addr()?);
            let (shared, watch, way) = (Arc::clone(&shared), Arc::clone(&watch), Way { source, to: *to });
            thread::spawn(move || accept(&listener, way, &shared, &*watch));
        }
        Ok(Relay { shared, addresses })
    }

    /// Where it listens, in the order of the pairs.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Cuts every connection that is open now, as a network would.
    pub fn cut(&self) {
        for stream in lock(&self.shared.connections).values().flatten() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the accepting thread, which then sees that it is over.
            let _ = TcpStream::connect(address);
        }
        self.cut();
    }
}

fn accept(listener: &TcpListener, way: Way, shared: &Arc<Shared>, watch: &dyn Fn() -> (u64, Eyes)) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // A peer that refuses is seen by the client as a closed connection.
        let Ok(client) = client else { continue };
        let Ok(peer) = dial(way) else { continue };
        let (number, eyes) = watch();
        if let Err(error) = relay(client, peer, number, eyes, shared) {
            eprintln!("relay: {error}");
        }
    }
}

fn dial(way: Way) -> io::Result<TcpStream> {
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if way.source != Ipv4Addr::LOCALHOST {
        bind(&stream, &SocketAddrV4::new(way.source, 0))?;
    }
    connect(&stream, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, way.to))?;
    Ok(TcpStream::from(stream))
}

fn relay(
    client: TcpStream,
    peer: TcpStream,
    number: u64,
    eyes: Eyes,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    peer.set_nodelay(true)?;
    let (client, peer) = (Arc::new(client), Arc::new(peer));
    lock(&shared.connections).insert(number, [Arc::clone(&client), Arc::clone(&peer)]);
    let (from, to, shared) = (Arc::clone(&peer), Arc::clone(&client), Arc::clone(shared));
    let forth = thread::spawn(move || flow(&client, &peer, eyes.asked));
    thread::spawn(move || {
        flow(&from, &to, eyes.answered);
        // Whatever happened there, it is over.
        let _ = forth.join();
        lock(&shared.connections).remove(&number);
    });
    Ok(())
}

fn flow(mut from: &TcpStream, mut to: &TcpStream, mut seen: Eye) {
    let mut chunk = vec![0; CHUNK];
    // An error on either side ends this direction, and the peer sees an end.
    while let Ok(count) = from.read(&mut chunk) {
        let bytes = chunk.get(..count).unwrap_or_default();
        seen(bytes);
        if count == 0 || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// Lets this process have as many sockets as it may: two for each connection are more than some machines begin with.
fn allow_many_sockets() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
