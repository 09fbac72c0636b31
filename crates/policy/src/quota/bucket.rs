//! Buckets: what one key has used of one limit, here and, where replicas share the limit, elsewhere.

use std::sync::Arc;

use super::level::Level;
pub use super::level::{DEBT_MAX, Nanos, Pace};
use super::shared::Shared;

/// What one key has used of one limit.
#[derive(Debug)]
pub struct Bucket {
    level: Level,
    /// Of a limit that replicas share.
    shared: Option<Arc<Shared>>,
}

impl Bucket {
    /// One that nobody has used.
    pub fn new(pace: Pace) -> Self {
        Self { level: Level::new(pace), shared: None }
    }

    /// The same use, told to other replicas or no longer.
    #[must_use]
    pub fn shared_by(mut self, shared: Option<Arc<Shared>>) -> Self {
        self.shared = shared;
        self
    }

    /// How it is shared.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Takes `cost` units and says how long from `now` the taker has to wait for its turn.
    pub fn take(&self, pace: Pace, cost: u64, now: Nanos) -> Nanos {
        let cost = self.shared.as_ref().map_or(cost, |shared| shared.take(cost));
        self.level.take(pace, cost, now)
    }

    /// Takes `cost` units that are used already, and says how long it takes to pay for them.
    pub fn charge(&self, pace: Pace, cost: u64, now: Nanos) -> Nanos {
        self.take(pace, cost, now);
        self.level.debt(pace, now)
    }

    /// How long nothing more should be used.
    pub fn debt(&self, pace: Pace, now: Nanos) -> Nanos {
        self.level.debt(pace, now)
    }

    /// How long a taker of `cost` units would have to wait. Takes nothing.
    pub fn wait(&self, pace: Pace, cost: u64, now: Nanos) -> Nanos {
        self.level.wait(pace, cost, now)
    }

    /// Takes `units` at once if they are no more than one `one_in` of what is free, so that nobody misses them; says until
    /// when they count.
    pub fn lend(&self, pace: Pace, units: u64, one_in: u64, now: Nanos) -> Option<Nanos> {
        let Some(shared) = &self.shared else { return self.level.lend(pace, units, one_in, now) };
        let weight = shared.weight();
        let lent = self.level.lend(pace, units.saturating_mul(weight), one_in, now);
        if lent.is_some() {
            shared.took(units, weight);
        }
        lent
    }

    /// Takes units back that were lent at `lent_at` and not used. A rate takes them at once or never: later they have come
    /// back by themselves, perhaps in part, and must not come back twice.
    pub fn give_back(&self, pace: Pace, units: u64, lent_at: Nanos, now: Nanos) {
        if let Some(shared) = &self.shared {
            shared.gave_back(units);
        }
        self.level.give_back(pace, units, lent_at, now);
    }

    /// Gives back `units` that were taken in advance, up to `since`, and are not used: what is behind them moves up.
    pub fn take_back(&self, pace: Pace, units: u64, since: Nanos, now: Nanos) {
        if let Some(shared) = &self.shared {
            shared.gave_back(units);
        }
        self.level.take_back(pace, units, since, now);
    }

    /// Takes `units` that another replica has used.
    pub fn used_elsewhere(&self, pace: Pace, units: u64, now: Nanos) {
        self.level.take(pace, units, now);
    }

    /// Gives back `units` that were taken up to `since` for other replicas, which have not used them.
    pub fn not_used_elsewhere(&self, pace: Pace, units: u64, since: Nanos, now: Nanos) {
        self.level.take_back(pace, units, since, now);
    }

    /// Units used that still count, at `now`; with debt it is more than the limit.
    pub fn used(&self, pace: Pace, now: Nanos) -> u64 {
        self.level.used(pace, now)
    }

    /// Whether forgetting it forgets nothing.
    pub fn is_idle(&self, pace: Pace, now: Nanos) -> bool {
        self.used(pace, now) == 0 && self.shared.as_ref().is_none_or(|shared| shared.is_told())
    }

    /// The same use under another pace of the same manner; `None` when the manner is another.
    pub fn retuned(&self, old: Pace, new: Pace, now: Nanos) -> Option<Bucket> {
        let level = self.level.retuned(old, new, now)?;
        Some(Self { level, shared: self.shared.clone() })
    }
}
