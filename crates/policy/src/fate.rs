//! What becomes of a request whose broker's connection broke: it is sent once more, or answered with what is true.
//!
//! Of what was not sent whole nothing can have happened, so any code that makes the client ask again is true. Of what was
//! sent, everything may have happened: what only reads is sent again, what a client repeats by itself is told to find its
//! broker anew, and what must not happen twice has timed out. Records are never sent twice: only their producer knows
//! how to (KIP-98).

mod asked;
mod deadline;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use wire::api::Api;
use wire::error::code;

pub use asked::Asked;
pub use deadline::allowed;
use table::{Effect, row};

/// How much of the request the broker has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// Its last byte never left: nothing, or a part of it.
    Not,
    /// As above, and on the same connection a Produce request was sent before it and was not answered. Records must not
    /// overtake others.
    NotBehindRecords,
    /// All of it; no answer has begun to come.
    Wholly,
}

/// Where it can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// To the broker that it was for, once that is back.
    SameNode,
    /// To any broker of the cluster.
    AnyNode,
    /// To whichever broker coordinates its group by then.
    Coordinator,
}

impl Whom {
    /// How long it is kept, where others are kept for `hold`. The controller misses a broker that died only after nine
    /// seconds (`broker.session.timeout.ms`), and then another one coordinates its groups: who is told before that gives up
    /// its session for nothing.
    pub const fn patience(self, hold: Duration) -> Duration {
        match self {
            Whom::SameNode | Whom::AnyNode => hold,
            Whom::Coordinator => hold.saturating_mul(3),
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is kept, to be sent for the first time. When that takes too long, or not all of it is at hand, this code answers it.
    Hold {
        /// Where it can be sent.
        to: Whom,
        /// What is true when time runs out.
        or: i16,
    },
    /// It is kept, to be sent once more. When that takes too long, or not all of it is at hand, this code answers it.
    SendAgain {
        /// Where it can be sent.
        to: Whom,
        /// What is true when time runs out.
        or: i16,
    },
    /// This code answers it now.
    Answer(i16),
    /// Nobody waits for an answer.
    Forget,
}

impl Fate {
    /// The code that answers it where it cannot be sent, now or in the end.
    pub const fn code(self) -> Option<i16> {
        match self {
            Fate::Hold { or, .. } | Fate::SendAgain { or, .. } => Some(or),
            Fate::Answer(code) => Some(code),
            Fate::Forget => None,
        }
    }
}

/// What becomes of a request. `None` for what no broker ever gets ([`wire::api::Stance::Local`], `Hidden`).
///
/// `Metadata` and `DescribeCluster` are answered by [`wire::known`] rather than by the code alone, and a Produce by
/// [`wire::refuse::produce::refuse`].
pub fn fate(api: Api, asked: Asked, sent: Sent) -> Option<Fate> {
    let (effect, or) = row(api, asked)?;
    let to = whom(api, asked);
    Some(match (effect, sent) {
        (Effect::Unanswered, Sent::Not | Sent::NotBehindRecords | Sent::Wholly) => Fate::Forget,
        (Effect::Records, Sent::NotBehindRecords) | (Effect::Repeated, Sent::Wholly) => Fate::Answer(or),
        (
            Effect::Records | Effect::Nothing | Effect::Harmless | Effect::Repeated | Effect::Once,
            Sent::Not | Sent::NotBehindRecords,
        ) => Fate::Hold { to, or },
        (Effect::Nothing | Effect::Harmless, Sent::Wholly) => Fate::SendAgain { to, or },
        (Effect::Records | Effect::Once, Sent::Wholly) => Fate::Answer(code::REQUEST_TIMED_OUT),
    })
}

/// Whether it is what members of groups say without looking for their coordinator first.
#[inline]
pub const fn is_for_coordinator(api: Api) -> bool {
    matches!(api, Api::Heartbeat | Api::OffsetCommit | Api::LeaveGroup)
}

/// Who can answer it as well as the broker that it was for: of what all brokers know, and ids that any may give, any of them; and
/// what is for a coordinator ([`is_for_coordinator`]), the one that it is by then.
fn whom(api: Api, asked: Asked) -> Whom {
    if is_for_coordinator(api) {
        return Whom::Coordinator;
    }
    let by_any = matches!(api, Api::Metadata | Api::FindCoordinator | Api::DescribeCluster)
        || (api == Api::InitProducerId && asked == Asked::Plain);
    if by_any { Whom::AnyNode } else { Whom::SameNode }
}
