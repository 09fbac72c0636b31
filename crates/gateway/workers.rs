//! The threads that move bytes: one current-thread runtime each, no work stealing, nothing shared per request.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::conn;
use crate::listener::Place;
use crate::live::Gateway;
use crate::metrics::Turned;
use crate::timer::{self, Keeper};

/// Accepted connections that a thread has not taken up yet; more are turned away.
const WAITING_MAX: usize = 4096;

/// A connection on its way from the acceptor to the thread where it lives and dies.
pub struct Accepted {
    /// The socket, registered with no runtime yet.
    pub client: TcpStream,
    /// The client's address.
    pub peer: SocketAddr,
    /// Where it came in.
    pub place: Arc<Place>,
    /// What all connections share.
    pub gateway: Arc<Gateway>,
    /// Which thread it lives on.
    pub worker: usize,
    /// Given back at the connection's end.
    pub permit: Permit,
}

/// Counts a connection of a thread, and holds its share of the process's limit.
pub struct Permit {
    open: Arc<AtomicUsize>,
    _share: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Worker {
    sender: mpsc::Sender<Accepted>,
    open: Arc<AtomicUsize>,
}

/// All threads that move bytes.
pub struct Workers(Vec<Worker>);

impl Workers {
    /// Starts `threads` threads. They end when this value is dropped and their last connection has ended.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let keeper = Keeper::start()?;
        let start = |n| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let keeper = Arc::clone(&keeper);
            let work = move || {
                timer::leave_to(keeper);
                work(receiver);
            };
            std::thread::Builder::new().name(format!("worker-{n}")).spawn(work)?;
            Ok(Worker { sender, open: Arc::default() })
        };
        (0..threads).map(start).collect::<std::io::Result<Vec<_>>>().map(Self)
    }

    /// Connections open on all threads.
    pub fn open(&self) -> usize {
        self.0.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum()
    }

    /// Hands a connection to the thread that has the fewest.
    pub fn hand(
        &self,
        client: TcpStream,
        peer: SocketAddr,
        place: &Arc<Place>,
        share: OwnedSemaphorePermit,
        gateway: &Arc<Gateway>,
    ) {
        let least = self.0.iter().enumerate().min_by_key(|(_, worker)| worker.open.load(Ordering::Relaxed));
        let Some((n, worker)) = least else { return };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { open: Arc::clone(&worker.open), _share: share };
        let (place, gateway) = (Arc::clone(place), Arc::clone(gateway));
        let accepted = Accepted { client, peer, place, gateway, worker: n, permit };
        if let Err(mpsc::error::TrySendError::Full(refused) | mpsc::error::TrySendError::Closed(refused)) =
            worker.sender.try_send(accepted)
        {
            refused.gateway.metrics.turned_away(&refused.place.cluster.name, Turned::Backlog);
        }
    }
}

/// One thread's life: it takes connections up and lives as long as they do.
fn work(mut receiver: mpsc::Receiver<Accepted>) {
    let runtime = match Builder::new_current_thread().enable_io().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker thread has no runtime");
            return;
        }
    };
    runtime.block_on(async move {
        while let Some(accepted) = receiver.recv().await {
            tokio::task::spawn_local(conn::serve(accepted));
        }
    });
}
