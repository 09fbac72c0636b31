//! Levels: how much of a limit one key has used, in a word that any thread may change without a lock; for a sliding window in
//! several, behind one that is held for a few nanoseconds.
//!
//! A rate and a fixed window are one number: the moment up to which the limit is spoken for (GCRA's theoretical arrival
//! time). What is taken moves it on, so that debt is nothing but a moment that lies in the future, and a reservation is a
//! place in the queue up to it. A sliding window remembers when its units went, in sixteenths of the limit.
//!
//! Time is passed in, in nanoseconds since a moment of the caller's. All arithmetic saturates.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nanoseconds since the caller's beginning of time, or between two such moments.
pub type Nanos = u64;

/// Debt that is remembered; what would add to more is not counted. Without an end, a flood that the longest pause can't
/// hold back would throttle its sender for hours after its end.
pub const DEBT_MAX: Nanos = 300 * 1_000_000_000;

/// Parts of a sliding window's limit whose times are remembered.
const PARTS: usize = 16;

/// Costs larger than so many windows' worth count as that many.
const CYCLES_MAX: u64 = 64;

/// How much, and in what manner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many units per time, steadily, with a burst.
    Rate {
        /// Units, at least 1.
        units: u64,
        /// In this time, at least 1.
        per: Nanos,
        /// Units that may come at once, at least 1.
        burst: u64,
    },
    /// So many units per window, the windows one behind the other.
    Fixed {
        /// Units, at least 1.
        count: u64,
        /// The window, at least 1.
        window: Nanos,
    },
    /// So many units in any window.
    Sliding {
        /// Units, at least 1.
        count: u64,
        /// The window, at least 1.
        window: Nanos,
    },
}

/// `a * b / c`, rounded up, never more than fits.
fn scale(a: u64, b: u64, c: u64) -> u64 {
    let c = c.max(1);
    if let Some(product) = a.checked_mul(b) {
        return product.div_ceil(c);
    }
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product.div_ceil(u128::from(c))).unwrap_or(u64::MAX)
}

impl Pace {
    /// Units that may come at once.
    pub const fn holds(self) -> u64 {
        match self {
            Pace::Rate { burst, .. } => burst,
            Pace::Fixed { count, .. } | Pace::Sliding { count, .. } => count,
        }
    }

    /// The time that `cost` units stand for.
    fn time_of(self, cost: u64) -> Nanos {
        match self {
            Pace::Rate { units, per, .. } => scale(cost, per, units),
            Pace::Fixed { count, window } | Pace::Sliding { count, window } => scale(cost, window, count),
        }
    }

    /// The units that a time stands for.
    fn units_of(self, time: Nanos) -> u64 {
        match self {
            Pace::Rate { units, per, .. } => scale(time, units, per),
            Pace::Fixed { count, window } | Pace::Sliding { count, window } => scale(time, count, window),
        }
    }

    fn debt_max(self) -> Nanos {
        match self {
            Pace::Rate { .. } => DEBT_MAX,
            Pace::Fixed { window, .. } | Pace::Sliding { window, .. } => {
                DEBT_MAX.max(window.saturating_mul(2))
            }
        }
    }
}

/// What one key has used of one limit.
#[derive(Debug)]
pub(super) enum Level {
    /// Of a rate or a fixed window: the moment up to which it is spoken for.
    Until(AtomicU64),
    /// Of a sliding window.
    Sliding(Box<Sliding>),
}

impl Level {
    /// One that nobody has used.
    pub(super) fn new(pace: Pace) -> Self {
        match pace {
            Pace::Rate { .. } | Pace::Fixed { .. } => Self::Until(AtomicU64::new(0)),
            Pace::Sliding { count, .. } => Self::Sliding(Box::new(Sliding::new(count))),
        }
    }

    /// Takes `cost` units and says how long from `now` the taker has to wait for its turn.
    pub(super) fn take(&self, pace: Pace, cost: u64, now: Nanos) -> Nanos {
        match (self, pace) {
            (Self::Sliding(sliding), Pace::Sliding { count, window }) => {
                let _turn = sliding.turn();
                let wait = sliding.due(count, window).saturating_sub(now);
                if wait <= pace.debt_max() {
                    sliding.take(count, window, cost, now);
                }
                wait
            }
            (Self::Until(until), _) => {
                let step = pace.time_of(cost);
                let mut seen = until.load(Ordering::Relaxed);
                loop {
                    let (wait, next) = turn(pace, seen, step, now);
                    match until.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                        Ok(_) => return wait,
                        Err(other) => seen = other,
                    }
                }
            }
            (Self::Sliding(_), Pace::Rate { .. } | Pace::Fixed { .. }) => 0,
        }
    }

    /// How long nothing more should be used.
    pub(super) fn debt(&self, pace: Pace, now: Nanos) -> Nanos {
        match (self, pace) {
            (Self::Until(until), Pace::Rate { burst, .. }) => {
                let ahead = until.load(Ordering::Relaxed).saturating_sub(now);
                ahead.saturating_sub(pace.time_of(burst))
            }
            (Self::Until(_) | Self::Sliding(_), _) => self.wait(pace, 1, now),
        }
    }

    /// How long a taker of `cost` units would have to wait. Takes nothing.
    pub(super) fn wait(&self, pace: Pace, cost: u64, now: Nanos) -> Nanos {
        match (self, pace) {
            (Self::Sliding(sliding), Pace::Sliding { count, window }) => {
                sliding.due(count, window).saturating_sub(now)
            }
            (Self::Until(until), _) => turn(pace, until.load(Ordering::Relaxed), pace.time_of(cost), now).0,
            (Self::Sliding(_), Pace::Rate { .. } | Pace::Fixed { .. }) => 0,
        }
    }

    /// Takes `units` at once if no more than one `one_in` of what is free, so that nobody misses them; says until when
    /// they count.
    pub(super) fn lend(&self, pace: Pace, units: u64, one_in: u64, now: Nanos) -> Option<Nanos> {
        match (self, pace) {
            (Self::Sliding(sliding), Pace::Sliding { count, window }) => {
                let _turn = sliding.turn();
                let is_small = sliding.has_free(count, window, units.saturating_mul(one_in), now);
                if is_small {
                    sliding.take(count, window, units, now);
                }
                is_small.then(|| now.saturating_add(window))
            }
            (Self::Until(until), _) => {
                let (starts, ends, counts_until) = match pace {
                    Pace::Rate { burst, .. } => (now, now.saturating_add(pace.time_of(burst)), Nanos::MAX),
                    Pace::Fixed { window, .. } | Pace::Sliding { window, .. } => {
                        let start = now - now % window.max(1);
                        let end = start.saturating_add(window);
                        (start, end, end)
                    }
                };
                let step = pace.time_of(units);
                let lend = |until: Nanos| {
                    let taken = until.max(starts);
                    let is_small = step.saturating_mul(one_in) <= ends.saturating_sub(taken);
                    is_small.then(|| taken.saturating_add(step))
                };
                let lends = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lend);
                lends.ok().map(|_| counts_until)
            }
            (Self::Sliding(_), Pace::Rate { .. } | Pace::Fixed { .. }) => None,
        }
    }

    /// Takes units back that were lent at `lent_at` and not used. A rate takes them at once or never: later they have come
    /// back by themselves, perhaps in part, and must not come back twice.
    pub(super) fn give_back(&self, pace: Pace, units: u64, lent_at: Nanos, now: Nanos) {
        // Rounded down: taking and giving back makes nothing.
        let part = |time: Nanos, of: u64| {
            let part = u128::from(units) * u128::from(time) / u128::from(of.max(1));
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        match (self, pace) {
            (Self::Until(until), Pace::Rate { units: of, per, .. }) if lent_at == now => {
                let less = |until: u64| Some(until.saturating_sub(part(per, of)));
                let _ = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            (Self::Until(until), Pace::Fixed { count, window }) => {
                let window = window.max(1);
                let start = lent_at - lent_at % window;
                let ends = start.saturating_add(window);
                let step = part(window, count);
                let less = |until: u64| {
                    let is_of_then = now < ends && (start..=ends).contains(&until);
                    is_of_then.then(|| until.saturating_sub(step).max(start))
                };
                let _ = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            (Self::Sliding(sliding), Pace::Sliding { count, window })
                if now.saturating_sub(lent_at) < window =>
            {
                let less = |taken: u64| Some(taken.saturating_sub(units).max(count));
                let _ = sliding.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            _ => {}
        }
    }

    /// Takes units back that were taken at `since`, wherever they stand in the queue: what is behind them moves up.
    pub(super) fn take_back(&self, pace: Pace, units: u64, since: Nanos, now: Nanos) {
        let time = pace.time_of(units);
        let move_up = |until: &AtomicU64, start: Nanos| {
            let less = |until: u64| (until > start).then(|| until.saturating_sub(time).max(start));
            let _ = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        };
        match (self, pace) {
            (Self::Until(until), Pace::Rate { .. }) => move_up(until, now),
            (Self::Until(until), Pace::Fixed { window, .. }) => move_up(until, now - now % window.max(1)),
            (Self::Until(_) | Self::Sliding(_), _) => self.give_back(pace, units, since, now),
        }
    }

    /// Units used that still count, at `now`; with debt it is more than the limit.
    pub(super) fn used(&self, pace: Pace, now: Nanos) -> u64 {
        match (self, pace) {
            (Self::Until(until), Pace::Fixed { window, .. }) => {
                let start = now - now % window.max(1);
                pace.units_of(until.load(Ordering::Relaxed).saturating_sub(start))
            }
            (Self::Until(until), _) => pace.units_of(until.load(Ordering::Relaxed).saturating_sub(now)),
            (Self::Sliding(sliding), Pace::Sliding { count, window }) => {
                sliding.history(count).filter(|(_, at)| at.saturating_add(window) > now).map(|(n, _)| n).sum()
            }
            (Self::Sliding(_), Pace::Rate { .. } | Pace::Fixed { .. }) => 0,
        }
    }

    /// The same use under another pace of the same manner; `None` when the manner is another.
    pub(super) fn retuned(&self, old: Pace, new: Pace, now: Nanos) -> Option<Level> {
        match (self, old, new) {
            (Self::Until(_), Pace::Rate { .. }, Pace::Rate { .. }) => {
                let until = now.saturating_add(new.time_of(self.used(old, now)));
                Some(Self::Until(AtomicU64::new(until)))
            }
            (Self::Until(_), Pace::Fixed { .. }, Pace::Fixed { window, .. }) => {
                let start = now - now % window.max(1);
                let until = start.saturating_add(new.time_of(self.used(old, now)));
                Some(Self::Until(AtomicU64::new(until)))
            }
            (Self::Sliding(sliding), Pace::Sliding { count, .. }, Pace::Sliding { count: then, window }) => {
                let next = Sliding::new(then);
                for (units, at) in sliding.history(count) {
                    next.take(then, window, units, at);
                }
                Some(Self::Sliding(Box::new(next)))
            }
            _ => None,
        }
    }
}

/// How long a taker has to wait, and the moment up to which the limit is then spoken for.
fn turn(pace: Pace, until: Nanos, step: Nanos, now: Nanos) -> (Nanos, Nanos) {
    let most = now.saturating_add(pace.debt_max());
    match pace {
        Pace::Rate { burst, .. } => {
            let next = until.max(now).saturating_add(step);
            let allowed = now.saturating_add(pace.time_of(burst).max(step));
            (next.saturating_sub(allowed), next.min(most.saturating_add(pace.time_of(burst)).max(until)))
        }
        Pace::Fixed { window, .. } | Pace::Sliding { window, .. } => {
            let window = window.max(1);
            let start = now - now % window;
            let taken = until.max(start);
            let opens = taken - taken % window;
            (opens.saturating_sub(now), taken.saturating_add(step).min(most.max(taken)))
        }
    }
}

/// When the units of a sliding window went. Units are numbered on and on; unit n may go one window after unit
/// n − limit went. Times are kept by parts of a cycle (a cycle is as many units as the limit), for two cycles: the one that
/// is being filled, and the one before, which it waits for.
#[derive(Debug)]
pub(super) struct Sliding {
    /// The number of the next unit; starts with the second cycle, so that there is one before.
    taken: AtomicU64,
    /// When the last unit of each part went; 0 for never.
    went: [[AtomicU64; PARTS]; 2],
    /// Held by whoever looks when it may go and then goes: units and their times are not one word.
    turn: Mutex<()>,
}

impl Sliding {
    fn new(count: u64) -> Self {
        Self { taken: AtomicU64::new(count.max(1)), went: Default::default(), turn: Mutex::default() }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, cycle: u64, part: u64) -> &AtomicU64 {
        let part = usize::try_from(part).unwrap_or(PARTS).min(PARTS - 1);
        &self.went[usize::from(cycle % 2 == 1)][part]
    }

    /// Units of one part.
    const fn part_of(count: u64) -> u64 {
        count.div_ceil(if count < PARTS as u64 { count } else { PARTS as u64 })
    }

    /// When unit `unit` may go.
    fn due_of(&self, unit: u64, count: u64, window: Nanos) -> Nanos {
        let before = self.cell(unit / count + 1, unit % count / Self::part_of(count)).load(Ordering::Relaxed);
        if before == 0 { 0 } else { before.saturating_add(window) }
    }

    /// When the next unit may go.
    fn due(&self, count: u64, window: Nanos) -> Nanos {
        let count = count.max(1);
        self.due_of(self.taken.load(Ordering::Relaxed), count, window)
    }

    /// Whether the next `units` may all go now.
    fn has_free(&self, count: u64, window: Nanos, units: u64, now: Nanos) -> bool {
        let count = count.max(1);
        let last = self.taken.load(Ordering::Relaxed).saturating_add(units);
        // Parts fill in their order, so that those between are due no later than the last.
        units < count && self.due_of(last, count, window) <= now
    }

    fn take(&self, count: u64, window: Nanos, cost: u64, now: Nanos) {
        let count = count.max(1);
        let cost = cost.min(count.saturating_mul(CYCLES_MAX));
        let part = Self::part_of(count);
        let mut unit = self.taken.fetch_add(cost, Ordering::Relaxed);
        let end = unit.saturating_add(cost);
        let mut goes = now.max(1);
        while unit < end {
            goes = goes.max(self.due_of(unit, count, window));
            let (cycle, place) = (unit / count, unit % count);
            self.cell(cycle, place / part).fetch_max(goes, Ordering::Relaxed);
            let part_ends = (place - place % part + part).min(count);
            unit = unit.saturating_add(part_ends - place);
        }
    }

    /// Units and when they went, oldest first, as far back as is remembered.
    fn history(&self, count: u64) -> impl Iterator<Item = (u64, Nanos)> + '_ {
        let count = count.max(1);
        let part = Self::part_of(count);
        let end = self.taken.load(Ordering::Relaxed);
        let start = (end / count).saturating_sub(1) * count;
        let mut unit = start.max(end.saturating_sub(count)).max(count);
        std::iter::from_fn(move || {
            if unit >= end {
                return None;
            }
            let (cycle, place) = (unit / count, unit % count);
            let part_ends = (place - place % part + part).min(count);
            let next = unit.saturating_add(part_ends - place).min(end);
            let units = next - unit;
            unit = next;
            Some((units, self.cell(cycle, place / part).load(Ordering::Relaxed)))
        })
    }
}
