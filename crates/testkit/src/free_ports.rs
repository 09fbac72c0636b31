//! Contiguous ranges of free loopback ports, reserved among all processes of this machine.
//!
//! The space below the ephemeral range is cut into blocks. A block is taken by a file lock that lives as long as
//! the reservation, so two test processes never get the same block, and the kernel never gives such a port to an
//! outgoing connection. Ports that something else listens on are found by binding them.

use std::env;
use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::ops::Range;
use std::process;

use anyhow::{Context, Result, bail};

const FIRST: u16 = 10_000;
const BLOCK: u16 = 20;
/// Linux's default beginning of the ephemeral range; a lower one of this machine is respected.
const EPHEMERAL: u16 = 32_768;

/// A reserved range of ports on loopback; given back at drop.
#[derive(Debug)]
pub struct FreePorts {
    ports: Range<u16>,
    _locks: Vec<File>,
}

impl FreePorts {
    /// Reserves `count` contiguous ports that nobody listens on.
    pub fn reserve(count: u16) -> Result<FreePorts> {
        let directory = env::temp_dir().join("portcullis-ports");
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let wanted = count.div_ceil(BLOCK);
        let blocks = (ephemeral_begin() - FIRST) / BLOCK;
        if wanted > blocks {
            bail!("{count} contiguous ports are more than there are");
        }
        // Processes begin at different places, so that they seldom meet; any start is correct.
        let begin = u16::try_from(process::id().wrapping_mul(7919) % u32::from(blocks)).unwrap_or(0);
        for step in 0..blocks {
            let block = (begin + step) % blocks;
            if block + wanted > blocks {
                continue;
            }
            let ports = FIRST + block * BLOCK..FIRST + block * BLOCK + count;
            let locked: Option<Vec<File>> = (block..block + wanted)
                .map(|number| try_lock(&directory.join(number.to_string())))
                .collect::<Result<_>>()?;
            if let Some(locks) = locked
                && ports.clone().all(is_free)
            {
                return Ok(FreePorts { ports, _locks: locks });
            }
        }
        bail!("no {count} contiguous free ports below {}", ephemeral_begin())
    }

    /// The first port.
    pub fn base(&self) -> u16 {
        self.ports.start
    }

    /// The port at this place of the range.
    ///
    /// # Panics
    /// When the range has no such place.
    pub fn at(&self, place: u16) -> u16 {
        assert!(place < self.ports.end - self.ports.start, "port {place} of {:?}", self.ports);
        self.ports.start + place
    }

    /// All of them.
    pub fn all(&self) -> Range<u16> {
        self.ports.clone()
    }
}

fn try_lock(path: &std::path::Path) -> Result<Option<File>> {
    let file = File::options().create(true).append(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn is_free(port: u16) -> bool {
    // The wildcard as well: something may listen there only.
    TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok()
}

fn ephemeral_begin() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next().and_then(|first| first.parse().ok()))
        .map_or(EPHEMERAL, |begin: u16| begin.clamp(FIRST + 100 * BLOCK, EPHEMERAL))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::FreePorts;

    #[test]
    fn two_reservations_share_no_port() {
        let one = FreePorts::reserve(45).unwrap();
        let other = FreePorts::reserve(45).unwrap();
        assert!(one.all().end <= other.base() || other.all().end <= one.base());
    }
}
