//! The side of the process that arrives.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

use super::message::{Message, StandsFor, Topology, VERSION, receive, send};
use super::{TakeoverError, WORD_WITHIN, is_trusted, unexpected};
use crate::cluster::Cluster;
use crate::inherited::Inherited;

/// Time to reach the clusters that the predecessor serves.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(50);

/// Sockets that one process may be passed: ports, of which there are no more.
const SOCKETS_IN_ALL_MAX: usize = 1 << 16;

/// The process that serves, while this one gets ready.
pub struct Predecessor {
    stream: UnixStream,
    takeover: UnixListener,
    /// Clusters whose topology it knows.
    serves: BTreeSet<String>,
}

/// Asks the process that listens at `path` for its sockets. `None` where nobody does.
pub fn ask(path: &Path, inherited: &Inherited) -> Result<Option<Predecessor>, TakeoverError> {
    let Some(stream) = connect(path)? else { return Ok(None) };
    // Of whoever began to listen: the user is the same, the process may be one that ran before.
    let peer = socket_peercred(&stream).map_err(io::Error::from)?;
    if !is_trusted(peer.uid.as_raw()) {
        return Err(TakeoverError::Refused(format!("it belongs to the user {}", peer.uid.as_raw())));
    }
    stream.set_read_timeout(Some(WORD_WITHIN))?;
    stream.set_write_timeout(Some(WORD_WITHIN))?;
    match send(&stream, &Message::Hello { version: VERSION }, &[]) {
        // Who refuses at once may be gone before it is greeted; what it said is there to be read.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        Err(_) | Ok(()) => {}
    }
    let mut heard = Heard::default();
    let mut passed = 0;
    loop {
        match receive(&stream)? {
            (Message::Sockets(named), sockets) => {
                passed += sockets.len();
                if named.len() != sockets.len() || passed > SOCKETS_IN_ALL_MAX {
                    return Err(io::Error::other("the sockets are not those that it speaks of").into());
                }
                for (stands_for, socket) in named.into_iter().zip(sockets) {
                    heard.of(stands_for, socket, inherited)?;
                }
            }
            (Message::AllPassed, _) => break,
            (Message::Refused { why }, _) => return Err(TakeoverError::Refused(why)),
            (other, _) => return Err(unexpected(&other).into()),
        }
    }
    let Heard { takeover, serves } = heard;
    let takeover = takeover.ok_or_else(|| io::Error::other("it did not pass the socket of take-overs"))?;
    tracing::info!(sockets = passed, "taking over");
    Ok(Some(Predecessor { stream, takeover, serves }))
}

/// What the predecessor has told so far, beside the sockets that clients come to.
#[derive(Default)]
struct Heard {
    takeover: Option<UnixListener>,
    serves: BTreeSet<String>,
}

impl Heard {
    fn of(&mut self, stands_for: StandsFor, socket: OwnedFd, inherited: &Inherited) -> io::Result<()> {
        match stands_for {
            StandsFor::Takeover => {
                self.takeover = Some(UnixListener::from(socket));
                return Ok(());
            }
            StandsFor::Bootstrap { cluster, topology: Topology::Known } => drop(self.serves.insert(cluster)),
            StandsFor::Node { cluster, node } => inherited.has_node(cluster, node),
            StandsFor::Bootstrap { topology: Topology::Unknown, .. } | StandsFor::Admin => {}
        }
        inherited.adopt(TcpListener::from(socket))
    }
}

/// A connection without a wait: a process whose queue is full is not waited for.
fn connect(path: &Path) -> Result<Option<UnixStream>, TakeoverError> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => {
            socket.set_nonblocking(false)?;
            Ok(Some(OwnedFd::from(socket).into()))
        }
        // Nothing is there, or what a dead process has left.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Predecessor {
    /// Waits until every cluster is known that the predecessor serves: its clients must not come to one who can't.
    pub async fn matched_by(&self, clusters: &[Arc<Cluster>]) -> Result<(), TakeoverError> {
        let until = tokio::time::Instant::now() + READY_WITHIN;
        for cluster in clusters.iter().filter(|cluster| self.serves.contains(&*cluster.name)) {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if cluster.topology_within(left).await.is_none() {
                return Err(TakeoverError::NotReached(Arc::clone(&cluster.name)));
            }
        }
        Ok(())
    }

    /// Tells it to go, and gives the socket at which the next successor will ask. `None` where it is to be made anew:
    /// the predecessor has ended by itself, and may have taken the socket's name away.
    pub fn relieve(self) -> Result<Option<UnixListener>, TakeoverError> {
        let told = send(&self.stream, &Message::Ready, &[]).and_then(|()| receive(&self.stream));
        match told {
            Ok((Message::Go, _)) => Ok(Some(self.takeover)),
            Ok((Message::Refused { why }, _)) => Err(TakeoverError::Refused(why)),
            Ok((other, _)) => Err(unexpected(&other).into()),
            // It died or was told to end. Its sockets live on here, and nobody else serves them.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                ) =>
            {
                tracing::warn!("the process that ran ended before it was told to");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
