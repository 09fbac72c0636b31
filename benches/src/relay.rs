//! A bare tokio relay: what any proxy on tokio pays. Current-thread runtimes, to which connections are dealt in
//! turn; one task per connection; a buffer for each direction; nothing is parsed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Relays what comes to `listener` to `broker`, on threads, until the process ends.
pub fn start(listener: TcpListener, broker: SocketAddr, runtimes: usize, buffer_bytes: usize) -> Result<()> {
    let mut dealt = Vec::new();
    for _ in 0..runtimes.max(1) {
        let (sender, receiver) = unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        thread::Builder::new().spawn(move || runtime.block_on(live(receiver, broker, buffer_bytes)))?;
        dealt.push(sender);
    }
    thread::Builder::new().spawn(move || deal(&listener, &dealt)).context("no thread")?;
    Ok(())
}

fn deal(listener: &TcpListener, dealt: &[UnboundedSender<std::net::TcpStream>]) {
    for (stream, runtime) in listener.incoming().zip(dealt.iter().cycle()) {
        match stream {
            Ok(stream) => {
                if runtime.send(stream).is_err() {
                    return;
                }
            }
            Err(error) => eprintln!("relay: {error}"),
        }
    }
}

async fn live(mut clients: UnboundedReceiver<std::net::TcpStream>, broker: SocketAddr, buffer_bytes: usize) {
    while let Some(client) = clients.recv().await {
        tokio::spawn(async move {
            // How connections end is not this program's interest.
            relay(client, broker, buffer_bytes).await.ok();
        });
    }
}

async fn relay(client: std::net::TcpStream, broker: SocketAddr, buffer_bytes: usize) -> io::Result<()> {
    client.set_nonblocking(true)?;
    client.set_nodelay(true)?;
    let mut client = TcpStream::from_std(client)?;
    let mut broker = TcpStream::connect(broker).await?;
    broker.set_nodelay(true)?;
    let (client_reads, client_writes) = client.split();
    let (broker_reads, broker_writes) = broker.split();
    let requests = copy(client_reads, broker_writes, buffer_bytes);
    let responses = copy(broker_reads, client_writes, buffer_bytes);
    tokio::try_join!(requests, responses)?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    buffer_bytes: usize,
) -> io::Result<()> {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}
