//! The load that does nothing: thousands of connections, logged in, a broker connection behind each, held.

use std::io;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cue;
use crate::dial::Door;
use crate::line::Line;

/// Opens `connections`, tells it, and holds them until stdin ends; at every line it tells how many are still open.
pub fn run(door: &Door, connections: u32) -> Result<()> {
    let lines: Vec<Line> = (0..connections)
        .map(|number| door.open_through().with_context(|| format!("connection {number}")))
        .collect::<Result<_>>()?;
    for line in &lines {
        line.socket().set_nonblocking(true)?;
    }
    loop {
        let open = lines.iter().filter(|line| is_open(line)).count();
        cue::tell(&json!({ "open": open }))?;
        if !cue::wait()? {
            return Ok(());
        }
    }
}

/// What comes unasked, as a ticket of TLS may, does not end a connection.
fn is_open(line: &Line) -> bool {
    match line.socket().peek(&mut [0]) {
        Ok(peeked) => peeked > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
