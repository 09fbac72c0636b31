//! The blocking relay. Prints `{"ports":[…]}`, and ends when its stdin ends.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::Result;
use bench::cue;
use bench::floor::{self, Way};
use clap::Parser;
use serde_json::json;

/// A blocking relay, two threads for each connection: nothing is parsed
#[derive(Parser)]
struct Options {
    /// Where to relay to
    broker: SocketAddr,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Splice through pipes of 1 MiB in place of copying through 256 KiB
    #[arg(long)]
    splice: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.listen)?;
    let port = listener.local_addr()?.port();
    floor::start(listener, options.broker, if options.splice { Way::Splice } else { Way::Copy })?;
    cue::tell(&json!({ "ports": [port] }))?;
    cue::end_with_stdin();
    loop {
        thread::park();
    }
}
