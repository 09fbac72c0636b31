//! Ordinary Fetch requests, in which a replica could hide only in the tail.

use super::CONSUMER;
use crate::api::{Api, RequestPath};
use crate::plain::Plain;

/// Whether the whole body of a Fetch request is plainly a consumer's. `false` says nothing.
pub fn is_plain_consumers(version: i16, body: &[u8]) -> bool {
    if Api::Fetch.request_path(version) == RequestPath::Replica {
        return body.first_chunk() == Some(&CONSUMER.to_be_bytes());
    }
    let tail = plain_fetch_tail(version, body).and_then(|at| body.get(at..));
    tail == Some(&[0])
}

/// Where the tail of the whole body of a Fetch request begins (15 or later), if there are no tags before it. `None` says nothing: a
/// [`Walker`](crate::walk::Walker) tells what there is.
pub fn plain_fetch_tail(version: i16, body: &[u8]) -> Option<usize> {
    if version < 15 || !Api::Fetch.speaks(version) {
        return None;
    }
    let mut plain = Plain { rest: body, is_flexible: true };
    // Waiting time, bytes at least and at most, isolation level, session and its epoch.
    plain.skip(4 + 4 + 4 + 1 + 4 + 4)?;
    for _ in 0..plain.count()? {
        plain.topic(true)?;
        for _ in 0..plain.count()? {
            // Number, leader's epoch, offset, last epoch, start of the log, bytes at most, no tags.
            let [.., 0] = plain.take::<33>()? else { return None };
        }
        plain.no_tags()?;
    }
    // Topics that the session forgets.
    for _ in 0..plain.count()? {
        plain.topic(true)?;
        for _ in 0..plain.count()? {
            plain.skip(4)?;
        }
        plain.no_tags()?;
    }
    // The rack.
    plain.string()?;
    body.len().checked_sub(plain.rest.len())
}
