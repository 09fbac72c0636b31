//! So many at once: slots that are taken, waited for in the order of coming, and given back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Slots of one key. How many there are is passed in, since a reload may change it.
#[derive(Debug, Default)]
pub struct Slots {
    used: AtomicU64,
    /// How many wait; while somebody does, nobody overtakes.
    queued: AtomicUsize,
    queue: Mutex<VecDeque<Arc<Place>>>,
}

/// A place in the queue.
#[derive(Debug, Default)]
struct Place(Mutex<Turn>);

#[derive(Debug, Default)]
enum Turn {
    #[default]
    Waits,
    /// Waits, and is woken by this.
    Wakes(Waker),
    /// Has a slot.
    Comes,
    /// Waits no more.
    Left,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    /// How many are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// How many wait for one.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    /// Takes a slot of `max`, if one is free and nobody waits.
    pub fn try_take(&self, max: u64) -> bool {
        self.queued() == 0 && self.take_one(max)
    }

    /// Takes a slot whether one is free or not.
    pub fn take_anyway(&self) {
        self.used.fetch_add(1, Ordering::SeqCst);
    }

    fn take_one(&self, max: u64) -> bool {
        let one_more = |used: u64| (used < max).then(|| used.saturating_add(1));
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Gives a slot back; of `max`, those that are free go to who waits.
    pub fn release(&self, max: u64) {
        self.used.fetch_sub(1, Ordering::SeqCst);
        self.advance(max);
    }

    /// Gives the free ones of `max` slots to those who wait, in their order.
    pub fn advance(&self, max: u64) {
        if self.queued() == 0 {
            return;
        }
        let mut queue = lock(&self.queue);
        while let Some(front) = queue.front() {
            let mut turn = lock(&front.0);
            let waits = !matches!(*turn, Turn::Left);
            if waits && !self.take_one(max) {
                return;
            }
            if waits && let Turn::Wakes(waker) = std::mem::replace(&mut *turn, Turn::Comes) {
                waker.wake();
            }
            drop(turn);
            queue.pop_front();
            self.queued.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Somebody who waits for a slot. Dropped early, it leaves the queue and gives back a slot that had come.
#[derive(Debug)]
pub struct Waiter<'a> {
    slots: &'a Slots,
    max: u64,
    place: Option<Arc<Place>>,
}

impl<'a> Waiter<'a> {
    /// Waits for a slot of `max`.
    pub const fn new(slots: &'a Slots, max: u64) -> Self {
        Self { slots, max, place: None }
    }

    /// Ready once the slot is taken; to be polled no more after that.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let place = if let Some(place) = &self.place {
            place
        } else {
            if self.slots.try_take(self.max) {
                return Poll::Ready(());
            }
            let place = Arc::new(Place::default());
            lock(&self.slots.queue).push_back(Arc::clone(&place));
            self.slots.queued.fetch_add(1, Ordering::SeqCst);
            // A slot may have come free between the look and the queueing.
            self.slots.advance(self.max);
            self.place.insert(place)
        };
        let mut turn = lock(&place.0);
        if matches!(*turn, Turn::Comes) {
            *turn = Turn::Left;
            drop(turn);
            self.place = None;
            return Poll::Ready(());
        }
        *turn = Turn::Wakes(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let had = matches!(std::mem::replace(&mut *lock(&place.0), Turn::Left), Turn::Comes);
        if had {
            self.slots.release(self.max);
        } else {
            // Whoever left stands in the queue until it moves; it moves now if it can.
            self.slots.advance(self.max);
        }
    }
}
