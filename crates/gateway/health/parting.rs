//! Draining a broker: which of its clients' connections are let go, and when.
//!
//! Those that came by a bootstrap port go elsewhere: each draws its moment by lot, so that they leave in small parts. Those
//! at the broker's own port have nowhere to go, for leaders and coordinators are where they are: they stay until Kafka's own
//! tools have moved what they use. Then clients leave them alone, and idle ones are let go.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Through;
use crate::conn::{Session, random_share};

/// Within this time connections by a bootstrap port leave: a tenth of them each second.
const SPREAD: Duration = Duration::from_secs(10);

/// A connection at a node's own port is idle that was not used for this long. Members of groups and consumers at work say
/// something more often.
const IDLE: Duration = Duration::from_secs(10);

/// After this time a connection that may stay is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A connection's part in a drain.
#[derive(Default)]
pub struct Parting {
    /// When it met the drain that is on, and what it drew.
    drawn: Cell<Option<(Instant, f64)>>,
}

/// Whether anything is owed to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// Answers.
    Something,
    /// Nothing.
    Nothing,
}

impl Parting {
    /// When the connection of this session is to leave the broker that serves it, or to be looked at again: it leaves once
    /// that moment is not in the future. `None`: that broker is not drained.
    pub fn at(&self, session: &Session, now: Instant, moved_at: Instant, owed: Owed) -> Option<Instant> {
        let cluster = &session.place.cluster;
        let Some(node) = session.served_by().filter(|node| cluster.is_draining(*node)) else {
            self.drawn.set(None);
            return None;
        };
        let (met, drawn) = self.drawn.get().unwrap_or_else(|| (now, random_share()));
        self.drawn.set(Some((met, drawn)));
        let bound = session.gateway.live().model.drain.reload;
        let spread = SPREAD.min(bound).mul_f64(drawn);
        match Through::from(session.place.entry) {
            Through::Bootstrap if cluster.has_other(node) => Some(met + spread),
            Through::Node if owed == Owed::Nothing => Some(met.max(moved_at + IDLE) + spread),
            // Where nobody else can serve it, it would only come back; where it is in use, it stays. Both may change.
            Through::Bootstrap | Through::Node => Some(now + LOOK_AGAIN),
        }
    }
}
