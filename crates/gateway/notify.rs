//! What systemd is told of the process's life (`sd_notify`), where it wants to know.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A turn in the process's life.
#[derive(Debug, Clone, Copy)]
pub enum News {
    /// Its ports are open.
    Ready,
    /// It ends, and nobody follows.
    Stopping,
    /// The process with this id has taken over.
    FollowedBy(i32),
}

/// Tells systemd, if it has asked by `NOTIFY_SOCKET`.
pub fn tell(news: News) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text = match news {
        News::Ready => "READY=1".to_owned(),
        News::Stopping => "STOPPING=1".to_owned(),
        News::FollowedBy(pid) => format!("MAINPID={pid}"),
    };
    if let Err(error) = send(&address, &text) {
        tracing::warn!(%error, "systemd can't be told of {text}");
    }
}

fn send(address: &OsStr, text: &str) -> std::io::Result<()> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not read must not hold the control thread up.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}
