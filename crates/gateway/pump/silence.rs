//! A broker that is silent: its connection stands, and the answer that is due does not come.

use std::time::{Duration, Instant};

use policy::fate;

use super::judge::{Body, body};
use super::{Pump, Towards};
use crate::ended::{Ended, Why};
use crate::in_flight::{Asked, Left};
use crate::kept::Look;

/// How long a broker may be silent that nobody reaches,
const DOWN: Duration = Duration::from_secs(2);
/// and how often it is looked whether anything was asked of it.
const LOOK: Duration = Duration::from_secs(2);

impl Pump {
    /// When the broker has been silent for too long, if it owes an answer.
    fn silent_at(&self) -> Option<Instant> {
        // While the client takes nothing, nothing is taken from the broker.
        if self.broker.borrow().is_none() || self.stalled[Towards::Client as usize].get().is_some() {
            return None;
        }
        let (_, asked, allowed) = self.in_flight.find(|asked, look| Some(allowed(asked, look)))?;
        if asked.left != Left::Wholly {
            return None;
        }
        let patience = if self.is_down() { self.patience().min(DOWN) } else { allowed + self.patience() };
        Some(asked.sent_at.max(self.heard_at.get()).instant() + patience)
    }

    /// When to look next. What is asked meanwhile wakes nobody.
    pub(super) fn silence_look(&self, now: Instant) -> Instant {
        let unasked = || now + if self.is_down() { LOOK } else { self.patience() / 2 };
        self.silent_at().unwrap_or_else(unasked)
    }

    /// Whether nobody reaches the broker.
    fn is_down(&self) -> bool {
        self.session.served_by().is_some_and(|node| !self.session.place.cluster.health.admits(node))
    }

    fn patience(&self) -> Duration {
        self.session.place.cluster.spec().config.answer_timeout
    }

    /// Loses a broker that has been silent for too long. What it owes is asked again, or answered.
    pub(super) fn lose_if_silent(&self, now: Instant) {
        if self.silent_at().is_some_and(|at| at <= now) {
            let owed = format_args!("{} answers owed", self.in_flight.len());
            self.lose(&Ended::broker(Why::Unanswered).because(owed));
        }
    }
}

/// How long the broker may take for this question, by what the question itself says.
fn allowed(asked: &Asked, look: Look<'_>) -> Duration {
    let body = match body(asked, look) {
        Ok(Body::Of(body)) => body,
        Ok(Body::Names(_) | Body::Unknown) | Err(_) => &[],
    };
    fate::allowed(asked.api, asked.version, body)
}
