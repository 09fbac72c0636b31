//! Take-overs: a new process of the gateway asks the running one for its listening sockets, and that one ends once the
//! new one can serve.
//!
//! Both hold the same sockets for a while, with the same queue of connections in the kernel, so none is refused or lost
//! in between. The new process accepts nothing before it may; until then the running one serves as ever, and goes on if
//! nothing comes of it. The conversation is in [`message`]; here is the side of the process that runs.

mod arrival;
mod message;
mod successor;

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub use self::arrival::{Predecessor, ask};
use self::message::{Message, SOCKETS_MAX, StandsFor, Topology, VERSION, receive, send};
pub use self::successor::{program, start};
use crate::listener::Entry;
use crate::live::Gateway;
use crate::timer;

/// Time for each thing that a peer says without having to do anything for it.
const WORD_WITHIN: Duration = Duration::from_secs(5);

/// Time for a successor to become ready, by the clock of the process that waits for it. Above [`arrival::READY_WITHIN`],
/// so that the successor is the one who gives up.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Why nobody can be taken over from, or nobody could take over from this process.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// What lies at the socket's path is not to be removed.
    #[error("{0} (process.takeover) is there and is no socket: remove it or name another place")]
    NotASocket(PathBuf),
    /// The socket can't be listened at.
    #[error("{0} (process.takeover) can't be listened at: {1}")]
    Bind(PathBuf, io::Error),
    /// The process that runs does not hand over.
    #[error("the process that runs does not let itself be taken over: {0}")]
    Refused(String),
    /// The conversation broke.
    #[error("the process that runs can't be taken over from: {0}")]
    Conversation(#[from] io::Error),
    /// A cluster that the process that runs serves was not reached.
    #[error("cluster {0} was not reached in time, the process that runs goes on")]
    NotReached(Arc<str>),
}

/// Listens for successors where nobody else does; a socket that a dead process has left behind is replaced.
pub fn listen(path: &Path) -> Result<UnixListener, TakeoverError> {
    let failed = |error| TakeoverError::Bind(path.to_owned(), error);
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(TakeoverError::NotASocket(path.to_owned()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Others are also turned away by their user id, because they may have come before this.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// A successor that could accept now.
pub struct Candidate {
    // Declared first: who hears the end of the stream may come again at once.
    _only: OwnedSemaphorePermit,
    stream: UnixStream,
    /// Its process.
    pub pid: i32,
}

impl Candidate {
    /// Lets it accept. The caller stops to.
    pub fn go(&self) -> io::Result<()> {
        send(&self.stream, &Message::Go, &[])
    }
}

/// What is passed to a successor.
pub struct Estate {
    gateway: Arc<Gateway>,
    admin: Option<TcpListener>,
    takeover: UnixListener,
}

impl Estate {
    /// Everything that this process listens at.
    pub fn new(gateway: Arc<Gateway>, admin: Option<TcpListener>, takeover: UnixListener) -> Self {
        Self { gateway, admin, takeover }
    }

    /// The sockets once more, with what each stands for.
    fn sockets(&self) -> io::Result<Vec<(StandsFor, OwnedFd)>> {
        let mut sockets = vec![(StandsFor::Takeover, self.takeover.try_clone()?.into())];
        if let Some(admin) = &self.admin {
            sockets.push((StandsFor::Admin, admin.try_clone()?.into()));
        }
        for cluster in self.gateway.live().clusters.values() {
            let topology = if cluster.topology().is_some() { Topology::Known } else { Topology::Unknown };
            for listener in cluster.listeners.load().iter() {
                for (entry, _, socket) in listener.sockets(|_| true) {
                    let cluster = cluster.name.to_string();
                    let stands_for = match entry {
                        Entry::Bootstrap => StandsFor::Bootstrap { cluster, topology },
                        Entry::Node(node) => StandsFor::Node { cluster, node: node.0 },
                    };
                    sockets.push((stands_for, socket.into()));
                }
            }
        }
        Ok(sockets)
    }
}

/// Waits for successors for as long as this process serves, and gives those that are ready to `ready`. One at a time.
pub async fn wait(estate: Estate, ready: mpsc::Sender<Candidate>) {
    let listening = estate.takeover.try_clone().and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    });
    let listener = match listening {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "nobody can take over"),
    };
    let estate = Arc::new(estate);
    let only = Arc::new(Semaphore::new(1));
    loop {
        let accepted = async {
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream.peer_cred()?, stream.into_std()?))
        };
        let (peer, stream) = match accepted.await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a successor can't be heard");
                timer::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !is_trusted(peer.uid()) {
            tracing::warn!(uid = peer.uid(), "another user wanted to take over");
            continue;
        }
        let Ok(only) = Arc::clone(&only).try_acquire_owned() else {
            refuse(&stream, "another process is about to take over");
            continue;
        };
        let candidate = Candidate { _only: only, stream, pid: peer.pid().unwrap_or(0) };
        let (estate, ready) = (Arc::clone(&estate), ready.clone());
        // A thread, because passing sockets is no business of a runtime; this one ends with its candidate.
        let talk = move || talk_to(candidate, &estate, &ready);
        if let Err(error) = std::thread::Builder::new().name("takeover".to_owned()).spawn(talk) {
            tracing::warn!(%error, "a successor can't be heard");
        }
    }
}

/// Whether this user may have the sockets: the same one, or root, who can take them anyway.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn refuse(stream: &UnixStream, why: &str) {
    tracing::warn!(why, "a take-over was refused");
    // Whoever does not hear it hears the end of the stream.
    let _ = send(stream, &Message::Refused { why: why.to_owned() }, &[]);
}

fn talk_to(candidate: Candidate, estate: &Estate, ready: &mpsc::Sender<Candidate>) {
    match pass(&candidate.stream, estate) {
        Ok(()) => drop(ready.blocking_send(candidate)),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            tracing::warn!(pid = candidate.pid, "a successor left before it was ready, this process goes on");
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            refuse(&candidate.stream, "it took too long");
        }
        Err(error) => refuse(&candidate.stream, &error.to_string()),
    }
}

/// Passes the sockets and waits until the successor is ready.
fn pass(stream: &UnixStream, estate: &Estate) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(WORD_WITHIN))?;
    stream.set_write_timeout(Some(WORD_WITHIN))?;
    let hello = receive(stream)?.0;
    let Message::Hello { version } = hello else { return Err(unexpected(&hello)) };
    if version != VERSION {
        return Err(io::Error::other(format!("it speaks version {version}, this process {VERSION}")));
    }
    for some in estate.sockets()?.chunks(SOCKETS_MAX) {
        let named = some.iter().map(|(stands_for, _)| stands_for.clone()).collect();
        let sockets: Vec<_> = some.iter().map(|(_, socket)| socket.as_fd()).collect();
        send(stream, &Message::Sockets(named), &sockets)?;
    }
    send(stream, &Message::AllPassed, &[])?;
    stream.set_read_timeout(Some(READY_WITHIN))?;
    let ready = receive(stream)?.0;
    if matches!(ready, Message::Ready) { Ok(()) } else { Err(unexpected(&ready)) }
}

fn unexpected(message: &Message) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it was not the time to say {message:?}"))
}
