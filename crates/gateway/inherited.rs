//! Listening sockets that were there before this process: those of the process that it follows, or systemd's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use crate::listener::{self, Entry};

/// Sockets by the address that they are bound to. Whoever wants to be bound there gets the same socket once more, as
/// often as wanted: systemd's stay open whatever this process does, so their addresses can't be bound anew.
#[derive(Default)]
pub struct Inherited(Mutex<Pool>);

#[derive(Default)]
struct Pool {
    sockets: BTreeMap<SocketAddr, TcpListener>,
    /// Nodes that the process before has a port for, by cluster: a broker that is down now is not in any answer.
    nodes: BTreeSet<(String, i32)>,
}

impl Inherited {
    /// What systemd has opened for this process (`LISTEN_FDS`). To be asked before there are threads: it takes the
    /// variables away, so that no child takes the sockets for its own.
    pub fn of_systemd() -> io::Result<Self> {
        let inherited = Self::default();
        let mut passed = listenfd::ListenFd::from_env();
        for index in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(index)? {
                inherited.adopt(socket)?;
            }
        }
        Ok(inherited)
    }

    /// Takes a socket up under its own address.
    pub fn adopt(&self, socket: TcpListener) -> io::Result<()> {
        let address = socket.local_addr()?;
        if socket_type(&socket)? != SocketType::STREAM || !socket_acceptconn(&socket)? {
            return Err(io::Error::other(format!("the socket passed for {address} does not listen")));
        }
        socket.set_nonblocking(true)?;
        self.pool().sockets.insert(address, socket);
        Ok(())
    }

    /// Notes that a node of a cluster had a port.
    pub fn has_node(&self, cluster: String, node: i32) {
        self.pool().nodes.insert((cluster, node));
    }

    /// The socket that is bound to this address.
    pub fn at(&self, address: SocketAddr) -> Option<TcpListener> {
        self.pool().sockets.get(&address)?.try_clone().ok()
    }

    /// The nodes that were served at this listener's ports.
    pub fn nodes(&self, config: &config::Listener) -> Vec<wire::NodeId> {
        let pool = self.pool();
        let is_there = |node: &wire::NodeId| {
            let address = listener::address_of(config, Entry::Node(*node));
            address.is_some_and(|address| pool.sockets.contains_key(&address))
        };
        let of_cluster = pool.nodes.iter().filter(|(cluster, _)| **cluster == *config.cluster);
        of_cluster.map(|(_, node)| wire::NodeId(*node)).filter(is_there).collect()
    }

    /// Closes what nobody wanted.
    pub fn clear(&self) {
        *self.pool() = Pool::default();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
