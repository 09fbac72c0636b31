//! The bare tokio relay. Prints `{"ports":[…]}`, and ends when its stdin ends.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::Result;
use bench::{cue, relay};
use clap::Parser;
use serde_json::json;

/// A bare tokio relay: nothing is parsed
#[derive(Parser)]
struct Options {
    /// Where to relay to
    broker: SocketAddr,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Current-thread runtimes
    #[arg(long, default_value_t = 2)]
    runtimes: usize,
    /// Bytes of each direction's buffer
    #[arg(long, default_value_t = 256 * 1024)]
    buffer_bytes: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.listen)?;
    let port = listener.local_addr()?.port();
    relay::start(listener, options.broker, options.runtimes, options.buffer_bytes)?;
    cue::tell(&json!({ "ports": [port] }))?;
    cue::end_with_stdin();
    loop {
        thread::park();
    }
}
