//! Charging ahead.
//!
//! What topics, records and answers cost is known for certain once they have passed, and by then many connections together may
//! have used many times what there is. So it is taken before a request goes, as far as it is known: of a Produce by a glance
//! at what is there of it, of a Fetch by the last answer. What it turns out to be more or less is settled as it passes.
//! Whoever finds a bucket in debt, be it by others, waits until that is paid.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::limit::Mode;
use policy::quota::rules::Used;
use policy::quota::{Handle, Measure, Nanos};
use wire::api::Class;

use super::charged::Charged;
use super::glance::Expected;
use super::{Limits, nanos};
use crate::moment::Moment;

/// Topics of one answer that are remembered.
const TOPICS_KEPT: usize = 16;

/// A topic in one request or answer.
pub(super) struct Heard {
    pub(super) handles: Rc<[Handle]>,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

/// What is known on one connection of what requests of one API will cost, and what was taken for the one at hand.
#[derive(Default)]
pub(super) struct Ahead {
    /// The topics of the last answer that had any.
    topics: RefCell<Vec<Heard>>,
    /// Records of the last request.
    pub(super) records: Cell<u64>,
    taken: RefCell<Vec<(Arc<Used>, u64)>>,
}

impl Heard {
    /// What a bucket of the topic is charged.
    pub(super) fn cost(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests => 1,
            Measure::ProduceBytes | Measure::FetchBytes => self.bytes,
            Measure::Records => self.records,
            Measure::Mutations | Measure::InFlight | Measure::Open | Measure::Connections => 0,
        }
    }
}

impl Ahead {
    /// Notes a topic of an answer that is not over.
    pub(super) fn hear(heard: &mut Vec<Heard>, topic: Heard) {
        // One that brings nothing tells nothing.
        if topic.bytes > 0 && heard.len() < TOPICS_KEPT {
            heard.push(topic);
        }
    }

    /// A message is over, and with it what was taken for it.
    pub(super) fn settle(&self, heard: Vec<Heard>, records: u64, at: Nanos) {
        if !heard.is_empty() {
            *self.topics.borrow_mut() = heard;
        }
        self.records.set(records);
        self.give_back(at);
    }

    /// Looks at the topics of the last answer.
    pub(super) fn each_topic(&self, look: impl FnMut(&Heard)) {
        self.topics.borrow().iter().for_each(look);
    }

    /// Whether anything was taken.
    pub(super) fn has_taken(&self) -> bool {
        !self.taken.borrow().is_empty()
    }

    /// What was taken of this bucket, which is then no longer there for anything else.
    fn taken_of(&self, used: &Arc<Used>) -> u64 {
        let mut taken = self.taken.borrow_mut();
        let place = taken.iter().position(|(other, _)| Arc::ptr_eq(other, used));
        place.map_or(0, |place| taken.swap_remove(place).1)
    }

    /// Gives back what was taken and not used.
    pub(super) fn give_back(&self, at: Nanos) {
        for (used, units) in self.taken.borrow_mut().drain(..) {
            if let Used::Paced(pace, bucket) = &*used {
                bucket.take_back(*pace, units, at, at);
            }
        }
    }

    /// Takes what a request will cost, and says how long it has to wait.
    fn take(&self, handle: &Handle, cost: u64, is_fetched: bool, at: Nanos) -> Duration {
        let limit = &handle.rule.limit;
        let Used::Paced(pace, bucket) = &*handle.used else { return Duration::ZERO };
        if limit.mode == Mode::Observe {
            return Duration::ZERO;
        }
        let debt = bucket.debt(*pace, at);
        // A Fetch that waits for records would keep others from what it may never use.
        if is_fetched && debt == 0 && !is_in_use(handle, at) {
            return Duration::ZERO;
        }
        let mut turn = 0;
        if cost > 0 {
            turn = bucket.take(*pace, cost, at);
            self.taken.borrow_mut().push((Arc::clone(&handle.used), cost));
        }
        let wait = if !is_fetched && is_counted(handle.measure) { turn } else { debt };
        let wait = Duration::from_nanos(wait).min(limit.max_throttle);
        if !wait.is_zero() {
            handle.rule.tally.throttled(nanos(wait));
        }
        wait
    }
}

/// Whether units are counted, so that each waits for its turn. Bytes are let go while there is no debt, and make one.
fn is_counted(measure: Measure) -> bool {
    matches!(measure, Measure::Requests | Measure::Records)
}

/// Whether more than a quarter of what a bucket may hold is used.
fn is_in_use(handle: &Handle, at: Nanos) -> bool {
    handle.used.room(at).is_some_and(|(holds, free)| free < holds - holds / 4)
}

/// How long the debt of a bucket lets wait.
pub(super) fn owed(handle: &Handle, at: Nanos) -> Duration {
    let limit = &handle.rule.limit;
    match &*handle.used {
        Used::Paced(pace, bucket) if limit.mode == Mode::Enforce => {
            Duration::from_nanos(bucket.debt(*pace, at)).min(limit.max_throttle)
        }
        Used::Paced(..) | Used::Slots(_) => Duration::ZERO,
    }
}

impl Charged {
    /// Takes what a request will cost that is charged as it passes, and says how long it has to wait.
    pub(super) fn take_ahead(&self, expected: &Expected, at: Nanos) -> Duration {
        let ahead = &self.ahead;
        ahead.give_back(at);
        let is_fetched = self.api.class() == Class::Fetch;
        let mut longest = Duration::ZERO;
        let mut take = |handle: &Handle, cost: u64| {
            longest = longest.max(ahead.take(handle, cost, is_fetched, at));
        };
        for handle in &self.handles {
            match handle.measure {
                Measure::Records => take(handle, expected.records),
                Measure::FetchBytes => take(handle, self.portion.last()),
                Measure::Mutations => take(handle, 0),
                Measure::Requests
                | Measure::ProduceBytes
                | Measure::InFlight
                | Measure::Open
                | Measure::Connections => {}
            }
        }
        let mut of_topic =
            |topic: &Heard| topic.handles.iter().for_each(|handle| take(handle, topic.cost(handle.measure)));
        expected.topics.iter().for_each(&mut of_topic);
        if is_fetched {
            ahead.each_topic(of_topic);
        }
        longest
    }
}

impl Limits {
    /// Charges what has passed, less what was taken for it.
    pub(super) fn charge_passed(&self, charged: &Charged, handle: &Handle, cost: u64, now: Moment) {
        let taken = charged.ahead.taken_of(&handle.used);
        let Used::Paced(pace, bucket) = &*handle.used else { return };
        if taken > cost {
            let at = self.clock.at(now);
            bucket.take_back(*pace, taken - cost, at, at);
        }
        if taken < cost || !is_counted(handle.measure) {
            self.charge(handle, cost.saturating_sub(taken), now);
        }
    }
}
