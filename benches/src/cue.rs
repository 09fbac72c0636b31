//! How the programs talk to the one who started them: lines of JSON on stdout, cues on stdin.

use std::io::{self, BufRead, Write};
use std::process;
use std::thread;

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints one line of JSON.
pub fn tell(line: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(line)?;
    writeln!(io::stdout(), "{line}").context("nobody reads stdout")
}

/// Waits for a line on stdin; false where it ends instead.
pub fn wait() -> Result<bool> {
    Ok(io::stdin().lock().read_line(&mut String::new())? > 0)
}

/// Whether a load says when it is ready and waits to be told to go, and again at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cues {
    /// Yes: whoever measures reads the proxy's counters while the connections are open and nothing flows.
    Awaited,
    /// No: for a human.
    Ignored,
}

impl Cues {
    /// Prints `{"ready":true}` and waits for a line.
    pub fn ready(self) -> Result<()> {
        if self == Cues::Awaited {
            tell(&serde_json::json!({ "ready": true }))?;
            wait()?;
        }
        Ok(())
    }

    /// Waits for a line or the end of stdin.
    pub fn end(self) -> Result<()> {
        if self == Cues::Awaited {
            wait()?;
        }
        Ok(())
    }
}

/// Ends the process when stdin ends, so that nothing outlives the one who started it.
pub fn end_with_stdin() {
    thread::spawn(|| {
        while matches!(wait(), Ok(true)) {}
        process::exit(0);
    });
}
