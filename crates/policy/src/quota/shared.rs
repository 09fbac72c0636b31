//! Buckets that replicas share: each has all of the limit for itself and is told what the others use of it.
//!
//! What others use is known only after the next sync. Until then a replica takes for them what it takes for itself, once for
//! each that has used the bucket lately: so however many ask at once for what a window has, they get it once. What they turn
//! out not to have used comes back. Alone, with nobody to hear from, a replica takes that much for good: what is left is its
//! share.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a bucket tells other replicas about.
#[derive(Debug)]
pub struct Shared {
    /// Which bucket it is.
    pub name: Name,
    /// Replicas that use it, with this one.
    weight: AtomicU64,
    /// Units taken here that nobody else has been told of.
    taken: AtomicI64,
    /// Units taken for the others meanwhile.
    ahead: AtomicI64,
    /// Whether it stands among those that have something to tell.
    is_listed: AtomicBool,
    feed: Arc<Feed>,
}

/// A bucket among all that replicas share: its limit and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The limit's name.
    pub limit: Arc<str>,
    /// The bucket's key.
    pub key: Arc<str>,
}

/// What buckets have to tell.
#[derive(Debug, Default)]
pub struct Feed {
    /// Those that were used since they were asked.
    used: Mutex<Vec<Name>>,
    /// While nothing is heard of other replicas: among how many the limits are shared. 0 while they are heard.
    alone_of: AtomicU64,
}

impl Feed {
    /// The buckets that have something to tell.
    pub fn take(&self) -> Vec<Name> {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nothing is heard of the other replicas: each keeps to its share.
    pub fn set_alone_of(&self, replicas: u64) {
        self.alone_of.store(replicas.max(1), Ordering::Relaxed);
    }

    /// The other replicas are heard.
    pub fn set_together(&self) {
        self.alone_of.store(0, Ordering::Relaxed);
    }

    fn list(&self, name: &Name) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    }
}

/// Units as a signed number.
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

impl Shared {
    pub(super) fn new(name: Name, feed: &Arc<Feed>) -> Self {
        Self {
            name,
            weight: AtomicU64::new(1),
            taken: AtomicI64::new(0),
            ahead: AtomicI64::new(0),
            is_listed: AtomicBool::new(false),
            feed: Arc::clone(feed),
        }
    }

    /// How often what is taken here is taken: for this replica and for the others.
    pub(super) fn weight(&self) -> u64 {
        match self.feed.alone_of.load(Ordering::Relaxed) {
            0 => self.weight.load(Ordering::Relaxed),
            alone_of => alone_of,
        }
    }

    pub(super) fn set_weight(&self, replicas: u64) {
        self.weight.store(replicas.max(1), Ordering::Relaxed);
    }

    /// Notes that `cost` units are taken here; says how many to take with those for the others.
    pub(super) fn take(&self, cost: u64) -> u64 {
        let weight = self.weight();
        self.took(cost, weight);
        cost.saturating_mul(weight)
    }

    pub(super) fn took(&self, cost: u64, weight: u64) {
        self.taken.fetch_add(signed(cost), Ordering::Relaxed);
        if weight > 1 {
            self.ahead.fetch_add(signed(cost.saturating_mul(weight - 1)), Ordering::Relaxed);
        }
        if !self.is_listed.load(Ordering::Relaxed) && !self.is_listed.swap(true, Ordering::AcqRel) {
            self.feed.list(&self.name);
        }
    }

    /// Of what was taken here, this was not used. What was taken for the others they may have used.
    pub(super) fn gave_back(&self, units: u64) {
        self.taken.fetch_sub(signed(units), Ordering::Relaxed);
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_told(&self) -> bool {
        !self.is_listed.load(Ordering::Relaxed)
    }

    /// Units taken here since this was asked last; what was given back after it was told is settled with what comes.
    pub(super) fn tell(&self) -> u64 {
        self.is_listed.store(false, Ordering::Release);
        let more = |taken: i64| (taken > 0).then_some(0);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).unwrap_or(0);
        u64::try_from(taken).unwrap_or(0)
    }

    /// Units taken for the others since this was asked last.
    pub(super) fn took_ahead(&self) -> u64 {
        u64::try_from(self.ahead.swap(0, Ordering::Relaxed)).unwrap_or(0)
    }
}
