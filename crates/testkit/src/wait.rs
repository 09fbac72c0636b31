//! Waiting for an event, with a limit.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(25);

/// Asks again and again until `happened` says `Ok(Some(_))`; fails at once with its error, or after `limit`.
pub fn until<T>(what: &str, limit: Duration, mut happened: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = happened()? {
            return Ok(value);
        }
        if begun.elapsed() > limit {
            bail!("{what}: not within {limit:?}");
        }
        thread::sleep(PAUSE);
    }
}
