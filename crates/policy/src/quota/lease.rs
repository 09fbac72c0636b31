//! Leases: units that one connection takes in advance, so that most of its requests touch no bucket.
//!
//! A bucket lends only a small part of what is free (one in 256), so that near the limit nothing is lent and every unit is
//! counted as it goes. A lease is spent within [`VALID`], or what is left of it goes back; it grows while it is spent sooner.

use std::cell::Cell;

use super::bucket::{Bucket, Nanos, Pace};

/// For how long a lease may be spent.
pub const VALID: Nanos = 20_000_000;

/// Units that one connection holds of all the buckets that it is charged to.
#[derive(Debug, Default)]
pub struct Lease {
    left: Cell<u64>,
    /// When it was taken, or refused.
    since: Cell<Nanos>,
    /// Units that it began with; of one refused, what was asked for beside it.
    size: Cell<u64>,
    refused: Cell<bool>,
}

impl Lease {
    /// Pays for `cost` units, if the lease covers them.
    pub fn pays(&self, cost: u64, now: Nanos) -> bool {
        let left = self.left.get();
        if cost > left || self.is_over(now) {
            return false;
        }
        self.left.set(left - cost);
        true
    }

    /// Whether it may be spent no more.
    pub fn is_over(&self, now: Nanos) -> bool {
        now.saturating_sub(self.since.get()) > VALID
    }

    /// Units that are left.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Takes `cost` units of all `buckets`, and more in advance, at most `most` in all, if those who came before suggest that
    /// more are coming. Where it says no, nothing was taken: to be paid for then is the cost alone.
    pub fn renew<'a>(
        &self,
        buckets: impl Iterator<Item = (Pace, &'a Bucket)> + Clone,
        cost: u64,
        most: u64,
        now: Nanos,
    ) -> bool {
        self.give_back(buckets.clone(), now);
        let size = self.next_size(cost, now).min(most);
        let tries = size > cost;
        let mut lent = 0;
        let lends_all = tries
            && buckets.clone().all(|(pace, bucket)| {
                let lends = bucket.lend(pace, size, now);
                lent += usize::from(lends);
                lends
            });
        if !lends_all {
            buckets.take(lent).for_each(|(pace, bucket)| bucket.give_back(pace, size, now, now));
        }
        let is_still_refused = self.refused.get() && !self.is_over(now);
        if !is_still_refused {
            self.since.set(now);
            self.refused.set(tries && !lends_all);
        }
        self.size.set(if lends_all { size } else { cost });
        self.left.set(if lends_all { size - cost } else { 0 });
        lends_all
    }

    /// Gives back what is left.
    pub fn give_back<'a>(&self, buckets: impl Iterator<Item = (Pace, &'a Bucket)>, now: Nanos) {
        let left = self.left.replace(0);
        if left > 0 {
            self.size.set(self.size.get().saturating_sub(left));
            buckets.for_each(|(pace, bucket)| bucket.give_back(pace, left, self.since.get(), now));
        }
    }

    /// Units that the next lease should have: what was used in its time, or twice as much if that was soon.
    fn next_size(&self, cost: u64, now: Nanos) -> u64 {
        let (size, age) = (self.size.get(), now.saturating_sub(self.since.get()));
        if age > VALID {
            let in_time = u128::from(size) * u128::from(VALID) / u128::from(age);
            return u64::try_from(in_time).unwrap_or(u64::MAX);
        }
        if self.refused.get() { 0 } else { size.max(cost).saturating_mul(2) }
    }
}
