//! What requests of one API are charged to, on one connection.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use config::limit::{Mode, OnExceeded};
use policy::quota::rules::Used;
use policy::quota::{Bucket, Handle, Lease, Measure, Nanos, Pace, Rules, Slots, Who, lease};
use wire::Api;

use super::ahead::Ahead;
use super::clock::Clock;
use super::portion::Portion;
use crate::moment::Moment;
use crate::timer;

/// Requests that a connection may take in advance,
const REQUESTS_LENT_MAX: u64 = 4096;
/// and bytes.
const BYTES_LENT_MAX: u64 = 64 << 20;

/// Who has as many bytes in advance need not be told how much to ask for: 256 times as many are free.
const PLENTY: u64 = 64 << 10;

/// The buckets that requests of one API are charged to.
#[allow(clippy::struct_excessive_bools, reason = "each spares a request one thing to do")]
pub struct Charged {
    pub(super) api: Api,
    pub(super) handles: Vec<Handle>,
    clock: Clock,
    /// What was taken in advance.
    requests: Lease,
    produced: Lease,
    fetched: Lease,
    is_swept: Cell<bool>,
    /// What has to be done for the buckets, so that a request asks only for that.
    pub(super) takes_requests: bool,
    pub(super) takes_produced: bool,
    pub(super) takes_fetched: bool,
    pub(super) rejects: bool,
    pub(super) mutates: bool,
    pub(super) holds_slots: bool,
    pub(super) meters: bool,
    pub(super) asks_group: bool,
    /// Whether nothing has to be done for a request but to pay for it.
    pub(super) only_pays: bool,
    /// Whether there is anything of that which makes clients wait.
    pub(super) is_limited: bool,
    /// What is charged as it passes, as far as it is known before.
    pub(super) ahead: Ahead,
    /// How much a Fetch asks for.
    pub(super) portion: Portion,
}

impl Charged {
    /// What `rules` say about `who`, for requests of `api`.
    pub(super) fn new(api: Api, rules: &Rules, who: &Who<'_>, clock: Clock, now: Moment) -> Self {
        let mut handles = rules.applying(who, clock.at(now));
        handles.retain(|handle| handle.measure != Measure::InFlight || !api.is_pressing());
        let has = |measure| handles.iter().any(|handle| handle.measure == measure);
        let meters = has(Measure::Records) || rules.look_at_topics(who);
        let is_strict = |handle: &Handle| {
            handle.rule.limit.on_exceeded == OnExceeded::Reject && handle.rule.limit.mode == Mode::Enforce
        };
        let rejects = handles.iter().any(is_strict);
        let (holds_slots, asks_group) = (has(Measure::InFlight), rules.look_at_groups(who));
        Self {
            api,
            clock,
            requests: lease_if(has(Measure::Requests)),
            produced: lease_if(has(Measure::ProduceBytes)),
            fetched: lease_if(has(Measure::FetchBytes)),
            is_swept: Cell::default(),
            takes_requests: has(Measure::Requests),
            takes_produced: has(Measure::ProduceBytes),
            takes_fetched: has(Measure::FetchBytes),
            rejects,
            mutates: has(Measure::Mutations),
            holds_slots,
            meters,
            asks_group,
            only_pays: !(rejects || holds_slots || asks_group || meters || has(Measure::Mutations)),
            is_limited: meters || handles.iter().any(|handle| handle.measure != Measure::InFlight),
            ahead: Ahead::default(),
            portion: Portion::default(),
            handles,
        }
    }

    /// The buckets in which so much is counted.
    pub(super) fn of(&self, measure: Measure) -> impl Iterator<Item = &Handle> + Clone {
        self.handles.iter().filter(move |handle| handle.measure == measure)
    }

    fn buckets(&self, measure: Measure) -> impl Iterator<Item = (Pace, &Bucket)> + Clone {
        self.of(measure).filter_map(|handle| match &*handle.used {
            Used::Paced(pace, bucket) => Some((*pace, bucket)),
            Used::Slots(_) => None,
        })
    }

    /// Pays for a request of `size` bytes out of what was taken in advance, or takes nothing and says no.
    #[allow(clippy::inline_always, reason = "it has one caller, by which all comes")]
    #[inline(always)]
    pub(super) fn passes(&self, size: usize, now: Nanos) -> bool {
        let passes = self.allowance(now).is_some_and(|(_, bytes)| size as u64 <= bytes);
        if passes {
            self.pass_row(1, size as u64);
        }
        passes
    }

    /// How many requests, and how many bytes of them, [`Self::passes`] would let pass. `None` if none.
    #[inline]
    pub(super) fn allowance(&self, now: Nanos) -> Option<(u64, u64)> {
        let passes = self.only_pays
            && self.requests.covers(1, now)
            && self.produced.covers(1, now)
            && self.fetched.covers(PLENTY, now);
        passes.then(|| (self.requests.left(), self.produced.left()))
    }

    /// Pays for requests that were allowed.
    #[inline]
    pub(super) fn pass_row(&self, n: u64, bytes: u64) {
        self.requests.spend(n);
        self.produced.spend(bytes);
    }

    /// How many bytes of the next answers are paid for by what was taken in advance. `None` if none.
    #[inline]
    pub(super) fn allowance_back(&self, now: Nanos) -> Option<u64> {
        // Who was told how much to ask for is told anew after what that brought.
        let passes = !self.portion.is_set() && self.fetched.covers(1, now);
        passes.then(|| self.fetched.left())
    }

    /// Pays for answers that were allowed.
    #[inline]
    pub(super) fn pass_row_back(&self, bytes: u64) {
        self.fetched.spend(bytes);
    }

    /// Whether nobody need be told how much to ask for. What was taken in advance for that is added to before it ends.
    pub(super) fn has_plenty(self: &Rc<Self>, now: Nanos) -> bool {
        let lease = &self.fetched;
        if lease.covers(PLENTY, now) {
            return true;
        }
        if lease.size() < 4 * PLENTY {
            return false;
        }
        self.renew(lease, Measure::FetchBytes, 0, BYTES_LENT_MAX, now) && lease.covers(PLENTY, now)
    }

    /// Pays for `cost` units out of what was taken in advance. Where it says no, all buckets have to be looked at.
    pub(super) fn pays(self: &Rc<Self>, measure: Measure, cost: u64, now: Nanos) -> bool {
        let (lease, most) = match measure {
            Measure::Requests => (&self.requests, REQUESTS_LENT_MAX),
            Measure::ProduceBytes => (&self.produced, BYTES_LENT_MAX),
            Measure::FetchBytes => (&self.fetched, BYTES_LENT_MAX),
            Measure::Records
            | Measure::Mutations
            | Measure::InFlight
            | Measure::Open
            | Measure::Connections => return false,
        };
        lease.pays(cost, now) || self.renew(lease, measure, cost, most, now)
    }

    /// Takes more in advance, out of which `cost` units are paid.
    fn renew(self: &Rc<Self>, lease: &Lease, measure: Measure, cost: u64, most: u64, now: Nanos) -> bool {
        let is_lent = lease.renew(&self.buckets(measure), cost, most, now);
        if is_lent {
            self.is_to_be_swept();
        }
        is_lent
    }

    /// The slots that a request of this API has to hold, in the order of the limits.
    pub(super) fn slots(&self) -> impl Iterator<Item = (&Handle, &Slots)> {
        self.of(Measure::InFlight).filter_map(|handle| match &*handle.used {
            Used::Slots(slots) => Some((handle, slots)),
            Used::Paced(..) => None,
        })
    }

    /// Gives the first `held` of them back.
    pub(super) fn release(&self, held: usize) {
        self.slots().take(held).for_each(|(handle, slots)| slots.release(handle.at_once));
    }

    /// The leases of what is counted.
    fn leases(&self) -> impl Iterator<Item = (Measure, &Lease)> {
        let all = [
            (self.takes_requests, Measure::Requests, &self.requests),
            (self.takes_produced, Measure::ProduceBytes, &self.produced),
            (self.takes_fetched, Measure::FetchBytes, &self.fetched),
        ];
        all.into_iter().filter(|(takes, ..)| *takes).map(|(_, measure, lease)| (measure, lease))
    }

    /// What is left of a lease goes back when its time is over, also if no request comes any more.
    fn is_to_be_swept(self: &Rc<Self>) {
        if self.is_swept.replace(true) {
            return;
        }
        let is_first = LENT.with_borrow_mut(|lent| {
            lent.push(Rc::downgrade(self));
            lent.len() == 1
        });
        if is_first {
            tokio::task::spawn_local(sweep(self.clock));
        }
    }

    /// Gives back what is left of leases that are over; says whether others are left.
    fn sweep(&self, now: Nanos) -> bool {
        for (measure, lease) in self.leases() {
            if lease.left() > 0 && lease.is_over(now) {
                lease.give_back(self.buckets(measure), now);
            }
        }
        let holds = self.leases().any(|(_, lease)| lease.left() > 0);
        self.is_swept.set(holds);
        holds
    }
}

/// A lease of what is counted; what is not counted is there without end.
fn lease_if(is_counted: bool) -> Lease {
    if is_counted { Lease::default() } else { Lease::boundless() }
}

thread_local! {
    /// Who has taken in advance, of this thread's connections.
    static LENT: RefCell<Vec<Weak<Charged>>> = const { RefCell::new(Vec::new()) };
}

/// Gives back what is left of leases, as long as there are any.
async fn sweep(clock: Clock) {
    loop {
        timer::sleep(Duration::from_nanos(lease::SHORT.valid)).await;
        let now = clock.at(Moment::now());
        let is_empty = LENT.with_borrow_mut(|lent| {
            lent.retain(|charged| charged.upgrade().is_some_and(|charged| charged.sweep(now)));
            lent.is_empty()
        });
        if is_empty {
            return;
        }
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        let now = self.clock.at(Moment::now());
        self.ahead.give_back(now);
        for (measure, lease) in self.leases() {
            lease.give_back(self.buckets(measure), now);
        }
    }
}
