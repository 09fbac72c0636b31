//! How much a Fetch asks for, where its bytes are limited.

use std::cell::Cell;
use std::sync::Arc;

use config::limit::Mode;
use policy::quota::portion::Share;
use policy::quota::{Handle, Measure, Nanos};
use wire::Api;

use super::Limits;
use super::charged::Charged;
use crate::conn::Session;
use crate::moment::Moment;

/// What a connection begins with whose topics are not known yet, and may be limited.
const UNKNOWN_TOPICS: Share = Share { at_once: 32 * 1024, free: u64::MAX, connections: 1 };

/// The portions of one connection.
#[derive(Default)]
pub(super) struct Portion {
    asked: Cell<u64>,
    /// Bytes of the answer, until the next one is asked for.
    brought: Cell<Option<u64>>,
    /// Whether the request at hand has its portion: it may be looked at several times until it is complete.
    is_set: Cell<bool>,
}

impl Portion {
    /// Bytes of the last answer.
    pub(super) fn last(&self) -> u64 {
        self.brought.get().unwrap_or(0)
    }

    /// Whether the answer to come is to a request that had its portion.
    pub(super) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// An answer came.
    pub(super) fn brought(&self, bytes: u64) {
        self.brought.set(Some(bytes));
        self.is_set.set(false);
    }
}

impl Limits {
    /// The most bytes that a Fetch should ask for; `None` where nobody limits them.
    pub fn fetch_bytes_max(&self, session: &Session, now: Moment) -> Option<i32> {
        let charged = self.charged(Api::Fetch, session, now);
        if !charged.takes_fetched && !charged.meters {
            return None;
        }
        let portion = &charged.portion;
        if !portion.is_set.replace(true) {
            let (asked, brought) = (portion.asked.get(), portion.brought.take());
            let shares = shares(&charged, self.clock.at(now)).into_iter();
            let next = shares.map(|share| share.next(asked, brought)).min();
            portion.asked.set(next.unwrap_or(0));
        }
        let asked = portion.asked.get();
        (asked > 0).then(|| i32::try_from(asked).unwrap_or(i32::MAX))
    }
}

/// What each limit on the bytes of a Fetch leaves to this connection.
fn shares(charged: &Charged, at: Nanos) -> Vec<Share> {
    let mut shares: Vec<Share> = charged.handles.iter().filter_map(|handle| share(handle, at)).collect();
    if charged.meters {
        let mut is_known = false;
        charged.ahead.each_topic(|topic| {
            is_known = true;
            shares.extend(topic.handles.iter().filter_map(|handle| share(handle, at)));
        });
        if !is_known {
            shares.push(UNKNOWN_TOPICS);
        }
    }
    shares
}

fn share(handle: &Handle, at: Nanos) -> Option<Share> {
    if handle.measure != Measure::FetchBytes || handle.rule.limit.mode == Mode::Observe {
        return None;
    }
    let (at_once, free) = handle.used.room(at)?;
    // Each connection holds the bucket, and the rule does.
    let connections = Arc::strong_count(&handle.used).saturating_sub(1) as u64;
    Some(Share { at_once, free, connections })
}
