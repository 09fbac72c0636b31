//! The load that does nothing: thousands of connections, logged in, a broker connection behind each, held.

use std::io;
use std::net::TcpStream;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cue;
use crate::dial::Door;

/// Opens `connections`, tells it, and holds them until stdin ends; at every line it tells how many are still open.
pub fn run(door: &Door, connections: u32) -> Result<()> {
    let streams: Vec<TcpStream> = (0..connections)
        .map(|number| door.open_through().with_context(|| format!("connection {number}")))
        .collect::<Result<_>>()?;
    for stream in &streams {
        stream.set_nonblocking(true)?;
    }
    loop {
        let open = streams.iter().filter(|stream| is_open(stream)).count();
        cue::tell(&json!({ "open": open }))?;
        if !cue::wait()? {
            return Ok(());
        }
    }
}

fn is_open(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
