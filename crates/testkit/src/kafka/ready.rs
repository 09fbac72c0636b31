//! When a cluster is ready: every running node lists every running node, and knows the controller.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::raw::{self, HeadStyle, RawClient};

const METADATA: i16 = 3;
const ATTEMPT: Duration = Duration::from_secs(2);

/// The nodes that the node at this loopback port lists; an error while it does not answer.
pub(super) fn listed_by(port: u16) -> Result<BTreeSet<i32>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut client = RawClient::connect_within(address, ATTEMPT)?;
    // Version 1, an empty array: no topics, just brokers.
    let frame = client.ask(&raw::request(METADATA, 1, 1, "testkit", HeadStyle::Classic, &[0; 4]))?;
    let mut rest = frame.get(4..).context("no correlation id")?;
    let count = take_i32(&mut rest)?;
    let mut nodes = BTreeSet::new();
    for _ in 0..count {
        nodes.insert(take_i32(&mut rest)?);
        skip_string(&mut rest)?; // host
        take_i32(&mut rest)?; // port
        skip_string(&mut rest)?; // rack
    }
    if take_i32(&mut rest)? < 0 {
        bail!("no controller yet");
    }
    Ok(nodes)
}

fn take_i32(rest: &mut &[u8]) -> Result<i32> {
    let (value, after) = rest.split_first_chunk::<4>().context("a short Metadata answer")?;
    *rest = after;
    Ok(i32::from_be_bytes(*value))
}

fn skip_string(rest: &mut &[u8]) -> Result<()> {
    let (length, after) = rest.split_first_chunk::<2>().context("a short Metadata answer")?;
    let length = usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0); // -1: null
    *rest = after.get(length..).context("a short Metadata answer")?;
    Ok(())
}
