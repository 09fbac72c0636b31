//! Leases: units that one connection takes in advance, so that most of its requests touch no bucket.
//!
//! A bucket lends only a small part of what is free, so that near the limit nothing is lent and every unit is counted as
//! it goes. What may be spent for longer is a smaller part: that is all by which what goes can differ from what is
//! counted. A lease is spent within its term, or what is left of it goes back; it grows while it is spent sooner.

use std::cell::Cell;

use super::bucket::{Bucket, Nanos, Pace};

/// For how long a lease may be spent, and how small a part of what is free it is.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// How long.
    pub valid: Nanos,
    /// One in so many free units is lent.
    pub one_in: u64,
}

/// Where there is plenty: a connection looks at its buckets once a second.
pub const LONG: Term = Term { valid: 1_000_000_000, one_in: 16_384 };

/// Where there is less.
pub const SHORT: Term = Term { valid: 20_000_000, one_in: 256 };

/// Units that one connection holds of all the buckets that it is charged to.
#[derive(Debug, Default)]
pub struct Lease {
    left: Cell<u64>,
    /// When it was taken, or asked for in vain,
    since: Cell<Nanos>,
    /// and until when it may be spent.
    until: Cell<Nanos>,
    /// Units that it began with, or that were paid for without one.
    size: Cell<u64>,
    /// Until when no other one is asked for, and no long one.
    refused: Cell<Nanos>,
    refused_long: Cell<Nanos>,
}

impl Lease {
    /// One that is of no bucket and pays for everything.
    pub fn boundless() -> Self {
        Self { left: Cell::new(u64::MAX), until: Cell::new(Nanos::MAX), ..Self::default() }
    }

    /// Whether it pays for `cost` units.
    #[inline]
    pub fn covers(&self, cost: u64, now: Nanos) -> bool {
        cost <= self.left.get() && !self.is_over(now)
    }

    /// Pays for `cost` units, if the lease covers them.
    #[inline]
    pub fn pays(&self, cost: u64, now: Nanos) -> bool {
        let covers = self.covers(cost, now);
        if covers {
            self.spend(cost);
        }
        covers
    }

    /// Pays for `cost` units, which the lease covers.
    #[inline]
    pub fn spend(&self, cost: u64) {
        debug_assert!(cost <= self.left.get());
        self.left.set(self.left.get().wrapping_sub(cost));
    }

    /// Whether it may be spent no more.
    #[inline]
    pub fn is_over(&self, now: Nanos) -> bool {
        now >= self.until.get()
    }

    /// Units that are left.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Units that it began with.
    pub fn size(&self) -> u64 {
        self.size.get()
    }

    /// Takes `cost` units of all `buckets`, and more in advance, at most `most` in all, if those who came before suggest that
    /// more are coming. Where it says no, nothing was taken: to be paid for then is the cost alone.
    pub fn renew<'a>(
        &self,
        buckets: &(impl Iterator<Item = (Pace, &'a Bucket)> + Clone),
        cost: u64,
        most: u64,
        now: Nanos,
    ) -> bool {
        self.give_back(buckets.clone(), now);
        // Where so much is more than a bucket lends for long, a part of it may do.
        let terms = [(LONG, &self.refused_long, &[1, 4][..]), (SHORT, &self.refused, &[1])];
        let lent = terms.into_iter().find_map(|(term, refused, parts)| {
            let size = self.next_size(cost, term, now).min(most);
            if size <= cost || now < refused.get() {
                return None;
            }
            let mut sizes = parts.iter().map(|part| size / part).filter(|size| *size > cost);
            let lent =
                sizes.find_map(|size| lend(buckets.clone(), size, term, now).map(|until| (size, until)));
            if lent.is_none() {
                refused.set(now.saturating_add(term.valid));
            }
            lent
        });
        self.since.set(now);
        let (size, until) = lent.unwrap_or((cost, now));
        self.size.set(size);
        self.until.set(until);
        self.left.set(size - cost);
        lent.is_some()
    }

    /// Gives back what is left.
    pub fn give_back<'a>(&self, buckets: impl Iterator<Item = (Pace, &'a Bucket)>, now: Nanos) {
        let left = self.left.replace(0);
        if left > 0 {
            self.size.set(self.size.get().saturating_sub(left));
            buckets.for_each(|(pace, bucket)| bucket.give_back(pace, left, self.since.get(), now));
        }
    }

    /// Units that the next lease should have: what is used in its term at the pace so far, twice as much as before at most.
    fn next_size(&self, cost: u64, term: Term, now: Nanos) -> u64 {
        let (size, age) = (self.size.get(), now.saturating_sub(self.since.get()).max(1));
        let in_term = u128::from(size) * u128::from(term.valid) / u128::from(age);
        u64::try_from(in_term).unwrap_or(u64::MAX).min(size.max(cost).saturating_mul(2))
    }
}

/// Takes so many units of all buckets, or none of any; says until when they may be spent.
fn lend<'a>(
    buckets: impl Iterator<Item = (Pace, &'a Bucket)> + Clone,
    units: u64,
    term: Term,
    now: Nanos,
) -> Option<Nanos> {
    let mut until = now.saturating_add(term.valid);
    for (lent, (pace, bucket)) in buckets.clone().enumerate() {
        let Some(counts_until) = bucket.lend(pace, units, term.one_in, now) else {
            buckets.take(lent).for_each(|(pace, bucket)| bucket.give_back(pace, units, now, now));
            return None;
        };
        until = until.min(counts_until);
    }
    Some(until)
}
