//! Socket options, and listening sockets whose connections belong to no runtime yet.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Idle time before a keepalive probe towards a broker: balancers drop idle flows after minutes.
pub const KEEPALIVE: Duration = Duration::from_mins(1);

/// How long bytes may stay unacknowledged, or a peer's window shut, before the kernel gives a broker's connection
/// up. Longer than brokers mute a connection for its quota, which shuts the window too.
pub const USER_TIMEOUT: Duration = Duration::from_mins(6);

/// Connections that the kernel completes ahead of the acceptor.
const BACKLOG: i32 = 4096;

/// Between two keepalive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Sets what every socket of a connection has: no delay, keepalive, user timeout. A socket that refuses an option
/// still works; it only notices a dead peer later.
pub fn prepare(socket: &impl AsFd, keepalive: Duration, user_timeout: Duration) {
    let socket = SockRef::from(socket);
    let probes = TcpKeepalive::new().with_time(keepalive).with_interval(KEEPALIVE_INTERVAL);
    let set = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&probes))
        .and_then(|()| socket.set_tcp_user_timeout(Some(user_timeout)));
    if let Err(error) = set {
        tracing::debug!(%error, "a socket option was refused");
    }
}

/// Binds a listening socket that does not block.
pub fn listen(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted gateway takes its ports over while connections of the last one linger.
    socket.set_reuse_address(true)?;
    if bind.is_ipv6() {
        // [::] serves IPv4 as well.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
