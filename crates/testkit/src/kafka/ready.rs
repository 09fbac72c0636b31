//! When a cluster is ready: every running node lists every running node, and knows the controller.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::raw::{self, HeadStyle, RawClient};

pub(super) const METADATA: i16 = 3;
pub(super) const ATTEMPT: Duration = Duration::from_secs(2);

/// The nodes that the node at this address lists; an error while it does not answer.
pub(super) fn listed_by(address: SocketAddr) -> Result<BTreeSet<i32>> {
    let mut client = RawClient::connect_within(address, ATTEMPT)?;
    // Version 1, an empty array: no topics, just brokers.
    let frame = client.ask(&raw::request(METADATA, 1, 1, "testkit", HeadStyle::Classic, &[0; 4]))?;
    let mut rest = frame.get(4..).context("no correlation id")?;
    let nodes = brokers(&mut rest)?;
    if take_i32(&mut rest)? < 0 {
        bail!("no controller yet");
    }
    Ok(nodes)
}

/// The brokers of a Metadata answer, version 1.
pub(super) fn brokers(rest: &mut &[u8]) -> Result<BTreeSet<i32>> {
    let mut nodes = BTreeSet::new();
    for _ in 0..take_i32(rest)? {
        nodes.insert(take_i32(rest)?);
        string(rest)?; // host
        take_i32(rest)?; // port
        string(rest)?; // rack
    }
    Ok(nodes)
}

pub(super) fn take_i8(rest: &mut &[u8]) -> Result<i8> {
    take(rest).map(i8::from_be_bytes)
}

pub(super) fn take_i16(rest: &mut &[u8]) -> Result<i16> {
    take(rest).map(i16::from_be_bytes)
}

pub(super) fn take_i32(rest: &mut &[u8]) -> Result<i32> {
    take(rest).map(i32::from_be_bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (value, after) = rest.split_first_chunk::<N>().context("a short answer")?;
    *rest = after;
    Ok(*value)
}

/// A string; nothing where it is null.
pub(super) fn string(rest: &mut &[u8]) -> Result<String> {
    let length = usize::try_from(take_i16(rest)?).unwrap_or(0); // -1: null
    let (text, after) = rest.split_at_checked(length).context("a short answer")?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).into_owned())
}
