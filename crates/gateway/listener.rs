//! Listeners: the port that clients bootstrap at and one port per node, all bound before a client is told of them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use wire::{Advertised, Book, NodeId, Staying};

use crate::cluster::Cluster;
use crate::inherited::Inherited;
use crate::live::{Gateway, Phase};
use crate::sockets;
use crate::timer;
use crate::workers::Workers;

/// What a port stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Any broker.
    Bootstrap,
    /// This broker, wherever it is.
    Node(NodeId),
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bootstrap => f.write_str("bootstrap"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

/// A listener as configured, with what its TLS needs.
pub struct Door {
    /// The configuration.
    pub config: Arc<config::Listener>,
    /// TLS towards clients, if they are to speak it.
    pub tls: Option<TlsAcceptor>,
}

/// Where a connection came in. One per port, shared by its connections.
pub struct Place {
    /// The cluster behind.
    pub cluster: Arc<Cluster>,
    /// The listener, whose configuration a reload may replace.
    pub listener: Arc<Listener>,
    /// What the port stands for.
    pub entry: Entry,
}

/// A port being listened at; dropping it closes the socket.
struct Port {
    stop: Arc<Stop>,
    /// The same socket once more, to be handed over when a reload gives the address another meaning.
    socket: Option<TcpListener>,
}

/// Tells an acceptor to end.
#[derive(Default)]
struct Stop {
    stopped: AtomicBool,
    notify: Notify,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.stopped.store(true, Ordering::Release);
        self.stop.notify.notify_one();
    }
}

/// A listener: its ports, and the addresses that it advertises.
pub struct Listener {
    door: ArcSwap<Door>,
    book: ArcSwap<Book>,
    /// The nodes that clients see although brokers leave them out.
    staying: ArcSwap<Vec<Staying>>,
    ports: Mutex<BTreeMap<Entry, Port>>,
}

/// A port that can't be bound.
#[derive(Debug, thiserror::Error)]
#[error("{address} ({entry}) can't be bound: {source}")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What it was to stand for.
    pub entry: Entry,
    /// The system's reason.
    pub source: std::io::Error,
}

/// Bound sockets that are not accepted from yet: a reload binds all of them before it changes anything.
pub type Bound = Vec<(Entry, TcpListener)>;

/// The address of an entry's port. `None` where the node id has none.
pub fn address_of(config: &config::Listener, entry: Entry) -> Option<SocketAddr> {
    match entry {
        Entry::Bootstrap => Some(config.bind),
        Entry::Node(NodeId(node)) => {
            let port = u16::try_from(i32::from(config.node_port_base).checked_add(node)?).ok()?;
            (node >= 0 && port > 0).then(|| SocketAddr::new(config.bind.ip(), port))
        }
    }
}

/// Binds the port of an entry, where no socket was inherited that is bound there.
pub fn bind(
    config: &config::Listener,
    entry: Entry,
    inherited: &Inherited,
) -> Result<TcpListener, BindError> {
    let unfit = || BindError {
        address: config.bind,
        entry,
        source: std::io::Error::other("node_port_base plus the node's id is no port"),
    };
    let address = address_of(config, entry).ok_or_else(unfit)?;
    if let Some(socket) = inherited.at(address) {
        return Ok(socket);
    }
    sockets::listen(address).map_err(|source| BindError { address, entry, source })
}

impl Listener {
    /// A listener without ports.
    pub fn new(door: Door) -> Self {
        Self {
            door: ArcSwap::from_pointee(door),
            book: ArcSwap::default(),
            staying: ArcSwap::default(),
            ports: Mutex::default(),
        }
    }

    /// Its configuration now, for a new connection.
    pub fn door(&self) -> Guard<Arc<Door>> {
        self.door.load()
    }

    /// Takes over a reloaded configuration. Ports of another base are closed: they stand for nothing now.
    pub fn set_door(&self, door: Door) {
        let moved = self.door().config.node_port_base != door.config.node_port_base;
        self.door.store(Arc::new(door));
        if moved {
            self.ports().retain(|entry, _| *entry == Entry::Bootstrap);
        }
    }

    /// The addresses that clients are told.
    pub fn book(&self) -> Guard<Arc<Book>> {
        self.book.load()
    }

    /// True when the entry's port is bound.
    pub fn has(&self, entry: Entry) -> bool {
        self.ports().contains_key(&entry)
    }

    /// The sockets of those entries that are `leaving`, once more, for whoever is to be bound there next.
    pub fn sockets(&self, leaving: impl Fn(Entry) -> bool) -> Vec<(Entry, SocketAddr, TcpListener)> {
        let config = Arc::clone(&self.door().config);
        let ports = self.ports();
        let socket = |(entry, port): (&Entry, &Port)| {
            let again = port.socket.as_ref()?.try_clone().ok()?;
            Some((*entry, address_of(&config, *entry)?, again))
        };
        ports.iter().filter(|(entry, _)| leaving(**entry)).filter_map(socket).collect()
    }

    /// Stops accepting everywhere.
    pub fn close(&self) {
        self.ports().clear();
    }

    /// Makes the book of the nodes whose ports are bound, all with the advertised host.
    pub fn publish_book(&self) {
        let config = Arc::clone(&self.door().config);
        let advertised = |entry: &Entry| match entry {
            Entry::Bootstrap => None,
            Entry::Node(node) => {
                let port = u16::try_from(i32::from(config.advertised_port_base).checked_add(node.0)?).ok()?;
                Some((*node, Advertised { host: Arc::clone(&config.advertised_host), port }))
            }
        };
        let book = Book::new(self.ports().keys().filter_map(advertised));
        self.book.store(Arc::new(book.with_staying(self.staying.load().iter().cloned())));
    }

    /// Clients see these nodes from now on, whatever brokers say.
    pub fn show(&self, staying: &[Staying]) {
        if **self.staying.load() != *staying {
            self.staying.store(Arc::new(staying.to_vec()));
            self.publish_book();
        }
    }

    fn ports(&self) -> MutexGuard<'_, BTreeMap<Entry, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts at bound sockets. Called on the control thread's runtime.
    pub fn accept_at(
        self: &Arc<Self>,
        bound: Bound,
        cluster: &Arc<Cluster>,
        gateway: &Arc<Gateway>,
        workers: &Arc<Workers>,
    ) {
        for (entry, socket) in bound {
            let stop = Arc::new(Stop::default());
            let place = Arc::new(Place { cluster: Arc::clone(cluster), listener: Arc::clone(self), entry });
            let (gateway, workers) = (Arc::clone(gateway), Arc::clone(workers));
            let again = socket.try_clone().ok();
            tokio::task::spawn_local(accept(socket, place, gateway, workers, Arc::clone(&stop)));
            self.ports().insert(entry, Port { stop, socket: again });
        }
        self.publish_book();
    }
}

/// Accepts, takes a permit, hands on, and awaits nothing of a peer.
async fn accept(
    socket: TcpListener,
    place: Arc<Place>,
    gateway: Arc<Gateway>,
    workers: Arc<Workers>,
    stop: Arc<Stop>,
) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, entry = %place.entry, "a listening socket can't be waited for");
            return;
        }
    };
    let mut changes = gateway.changes();
    let mut waiting = None;
    loop {
        let phase = *changes.borrow_and_update();
        if stop.stopped.load(Ordering::Acquire) || matches!(phase, Phase::Ending(_)) {
            break;
        }
        if phase == Phase::Arriving {
            tokio::select! {
                () = stop.notify.notified() => {}
                _ = changes.changed() => {}
            }
            continue;
        }
        // With as many connections as there may be, one more is taken from the kernel's queue and waits here. The
        // permit comes second: a port where nobody calls must not keep one from a port where somebody does.
        let admit = async {
            if waiting.is_none() {
                waiting = Some(socket.accept().await?);
            }
            Arc::clone(&gateway.connections).acquire_owned().await.map_err(std::io::Error::other)
        };
        let admitted = tokio::select! {
            admitted = admit => admitted,
            () = stop.notify.notified() => continue,
            _ = changes.changed() => continue,
        };
        // The socket leaves this thread's runtime for that of the thread where it will live.
        let moved = waiting.take().map(|(client, peer)| client.into_std().map(|client| (client, peer)));
        match (admitted, moved.transpose()) {
            (Ok(permit), Ok(Some((client, peer)))) => workers.hand(client, peer, &place, permit, &gateway),
            (Ok(_), Ok(None)) => {}
            (Err(error), _) | (_, Err(error)) => accept_failed(&error).await,
        }
    }
    drop(socket);
    if let Some((client, peer)) = waiting {
        // It was let in, and nobody else can serve it: it is let go like all others.
        let permit = Arc::clone(&gateway.connections).acquire_owned().await;
        if let (Ok(permit), Ok(client)) = (permit, client.into_std()) {
            workers.hand(client, peer, &place, permit, &gateway);
        }
    }
}

/// Says so, and waits where the system has nothing to give (descriptors, memory): trying again at once would spin.
async fn accept_failed(error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::ConnectionAborted {
        tracing::warn!(%error, "a connection can't be accepted");
        timer::sleep(std::time::Duration::from_millis(100)).await;
    }
}
