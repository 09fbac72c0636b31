//! What limits do to one connection: which buckets its requests are charged to, and when it is not read from.
//!
//! Buckets are found once per connection and API. A limit on requests holds the request that has to wait, before anything
//! of it goes on; what is charged afterwards (bytes) makes a pause, in which nothing more is taken from the client. One
//! wait is at most the limit's `max_throttle`; what is left of it is debt, which the bucket keeps.

mod ahead;
mod allowance;
mod charge;
mod charged;
mod clock;
mod door;
mod glance;
mod meter;
mod names;
mod pause;
mod portion;

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use config::limit::{Key, Mode};
use policy::quota::{Handle, Rules, Waiter, Who};
use wire::Api;

use crate::conn::Session;
use crate::moment::{Moment, nanos};
use crate::timer;
use crate::topics::TopicId;

pub use allowance::Allowance;
pub use charge::Request;
use charge::observed;
pub use charged::Charged;
pub use clock::Clock;
pub use glance::Body;
pub use meter::{Listening, Metered};
use names::Named;
pub use pause::Pause;

/// The limits of one connection.
pub struct Limits {
    clock: Clock,
    rules: RefCell<Arc<Rules>>,
    /// Whether there is any.
    on: Cell<bool>,
    asks_client_id: Cell<bool>,
    /// Whether any looks at groups, at topics or records.
    asks_groups: Cell<bool>,
    /// Whether the request at hand, with its answer, was paid for by what was taken in advance.
    pub has_plenty: Cell<bool>,
    listens: Cell<bool>,
    /// The APIs that this connection has used, few.
    by_api: RefCell<Vec<Rc<Charged>>>,
    /// The topics and groups that it has named.
    names: RefCell<Vec<Named>>,
    /// When the client is not read from.
    pub pause: Pause,
    /// Whether the request at hand has been charged: it may take several looks until its head is complete.
    admitted: Cell<bool>,
    /// Whether it has waited for a topic's name.
    awaited_name: Cell<bool>,
    /// Whose slots the request at hand has to hold, and how many of them it holds already,
    slots: RefCell<Option<Rc<Charged>>>,
    held: Cell<usize>,
    /// and of those in flight, in their order.
    in_flight: RefCell<VecDeque<Rc<Charged>>>,
    /// What the connection itself is charged to, and holds slots of.
    door: RefCell<Vec<Handle>>,
}

/// What the limits say to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Its head has to be seen first.
    More,
    /// Nothing is to be taken from the client before then: it is asked about again.
    Paused(Moment),
    /// The name of this topic has to be known first: it is asked about again.
    Unnamed(TopicId),
    /// It may go.
    Go,
    /// It may go once it has its slots.
    WithSlots,
    /// It may go then.
    At(Moment),
    /// It is too much, and the limit wants it to be told so: it would have to wait so long.
    Reject(Duration),
}

impl Limits {
    /// Those of `rules` for a connection.
    pub fn new(rules: &Arc<Rules>, clock: Clock) -> Self {
        let limits = Self {
            clock,
            rules: RefCell::default(),
            on: Cell::new(false),
            asks_client_id: Cell::new(false),
            asks_groups: Cell::new(false),
            has_plenty: Cell::new(false),
            listens: Cell::new(false),
            by_api: RefCell::default(),
            names: RefCell::default(),
            pause: Pause::default(),
            admitted: Cell::new(false),
            awaited_name: Cell::new(false),
            slots: RefCell::default(),
            held: Cell::new(0),
            in_flight: RefCell::default(),
            door: RefCell::default(),
        };
        limits.set_rules(rules);
        limits
    }

    /// Takes over the rules of a reload: at once, for the next request.
    pub fn follow(&self, rules: &Arc<Rules>, session: &Session) {
        if !Arc::ptr_eq(&self.rules.borrow(), rules) {
            self.set_rules(rules);
            self.pause.end();
            self.count_again(session);
            if let Some(waiting) = &*self.slots.borrow() {
                // For who waits for a slot there may be more of them now.
                self.charged(waiting.api, session, Moment::now());
            }
        }
    }

    fn set_rules(&self, rules: &Arc<Rules>) {
        self.on.set(!rules.is_empty());
        let asks = rules.iter().any(|rule| {
            let limit = &rule.limit;
            limit.by.contains(&Key::ClientId)
                || !limit.matches.client_id.is_empty()
                || limit.overrides.iter().any(|over| over.client_id.is_some())
        });
        self.asks_client_id.set(asks);
        self.asks_groups.set(rules.iter().any(|rule| rule.looks_at_groups()));
        self.listens.set(rules.iter().any(|rule| rule.looks_at_topics() || rule.counts_records()));
        *self.rules.borrow_mut() = Arc::clone(rules);
        self.forget();
    }

    /// The client id is another.
    pub fn forget_client_id(&self) {
        if self.asks_client_id() {
            self.forget();
        }
    }

    /// Finds all buckets anew: the principal or the client id is another.
    pub fn forget(&self) {
        self.by_api.borrow_mut().clear();
        self.names.borrow_mut().clear();
    }

    /// Whether nothing is limited.
    #[inline]
    pub fn is_off(&self) -> bool {
        !self.on.get()
    }

    /// Whether the head's client id has to be told.
    pub fn asks_client_id(&self) -> bool {
        self.asks_client_id.get()
    }

    /// Whether the request at hand has to be charged yet.
    #[inline]
    pub fn has_to_admit(&self) -> bool {
        self.on.get() && !self.admitted.get()
    }

    /// The request at hand may go, whatever was found in it.
    pub fn admitted(&self) {
        self.admitted.set(true);
    }

    /// The request at hand begins its way: the next one is charged anew. Unless it is gathered first, it is by now in
    /// flight, or nobody answers it.
    pub fn begun(&self, is_gathered: bool) {
        self.admitted.set(false);
        self.awaited_name.set(false);
        self.pause.waited.set(Duration::ZERO);
        if !is_gathered {
            self.dealt_with();
        }
    }

    /// How long the client should be told to be quiet, in an answer of `api`.
    pub fn throttle(&self, api: Api, now: Moment) -> Option<Duration> {
        let until = self.pause.until()?;
        if api.is_pressing() || !self.known(api).is_some_and(|charged| charged.is_limited) {
            return None;
        }
        Some(until.since(now)).filter(|rest| !rest.is_zero())
    }

    /// The buckets of an API, found the first time.
    #[inline]
    fn charged(&self, api: Api, session: &Session, now: Moment) -> Rc<Charged> {
        match self.known(api) {
            Some(known) => Rc::clone(&known),
            None => self.find(api, session, now),
        }
    }

    /// The buckets of an API, if they were found before.
    #[allow(clippy::inline_always, reason = "every request and every answer comes by here")]
    #[inline(always)]
    fn known(&self, api: Api) -> Option<Ref<'_, Rc<Charged>>> {
        Ref::filter_map(self.by_api.borrow(), |by_api| by_api.iter().find(|charged| charged.api == api)).ok()
    }

    #[cold]
    fn find(&self, api: Api, session: &Session, now: Moment) -> Rc<Charged> {
        let (principal, client_id) = (session.principal(), session.caller.client_id());
        let who = who(session, &principal, &client_id, Some(api));
        let charged = Rc::new(Charged::new(api, &self.rules.borrow(), &who, self.clock, now));
        // A client asks first for what it asks for seldom.
        self.by_api.borrow_mut().insert(0, Rc::clone(&charged));
        charged
    }

    /// Whether the request at hand has to hold slots.
    pub fn wants_slots(&self) -> bool {
        self.slots.borrow().is_some()
    }

    /// Waits for those slots that the request at hand has to hold while it is in flight. Slots are taken in the order of the
    /// limits, everywhere the same, so that no two requests wait for each other.
    ///
    /// What waits here is not read on, whatever it takes; but behind it may stand what a group's life hangs on, so on a
    /// connection that carries such calls it waits no longer than the limit's longest pause.
    pub async fn take_slots(&self) {
        let Some(charged) = self.slots.borrow().clone() else { return };
        while !self.try_slots(&charged) {
            let Some((handle, slots)) = charged.slots().nth(self.held.get()) else { return };
            let max_throttle = handle.rule.limit.max_throttle;
            let since = Moment::now();
            let mut waiter = Waiter::new(slots, handle.at_once);
            let come = std::future::poll_fn(|cx| {
                if self.is_gone(handle) { Poll::Ready(false) } else { waiter.poll(cx).map(|()| true) }
            });
            let has_come = if self.pause.is_of_a_group() {
                timer::timeout(max_throttle, come).await.unwrap_or(false)
            } else {
                come.await
            };
            if !has_come {
                slots.take_anyway();
            }
            self.held.set(self.held.get() + 1);
            handle.rule.tally.throttled(nanos(since.elapsed()));
        }
    }

    /// Whether a reload has taken the limit away.
    fn is_gone(&self, handle: &Handle) -> bool {
        let limit = &handle.rule.limit;
        !self.rules.borrow().iter().any(|rule| rule.limit.name == limit.name && rule.limit.kind == limit.kind)
    }

    /// Takes the slots that are free, up to the first that is to be waited for; says whether there is none.
    fn try_slots(&self, charged: &Charged) -> bool {
        for (handle, slots) in charged.slots().skip(self.held.get()) {
            if !slots.try_take(handle.at_once) {
                if handle.rule.limit.mode == Mode::Enforce {
                    return false;
                }
                observed(handle);
                slots.take_anyway();
            }
            self.held.set(self.held.get() + 1);
        }
        true
    }

    /// The request at hand is in flight, with its slots; says whether it has any.
    pub fn in_flight(&self) -> bool {
        let Some(charged) = self.slots.borrow_mut().take() else { return false };
        self.held.set(0);
        self.in_flight.borrow_mut().push_back(charged);
        true
    }

    /// The request at hand has been dealt with, and is not in flight.
    pub fn dealt_with(&self) {
        if let Some(charged) = self.slots.borrow_mut().take() {
            charged.release(self.held.take());
        }
    }

    /// The first of those in flight with slots is answered.
    pub fn landed(&self) {
        if let Some(charged) = self.in_flight.borrow_mut().pop_front() {
            charged.release(usize::MAX);
        }
    }

    /// Waits until `until`, or until `stop` or a reload of the limits says that there is no reason to any more.
    pub async fn hold(&self, until: Moment, stop: impl Fn() -> bool) {
        let rules = Arc::clone(&self.rules.borrow());
        let stop = || stop() || !Arc::ptr_eq(&self.rules.borrow(), &rules);
        let mut sleep = pin!(timer::sleep_until(until));
        std::future::poll_fn(|cx| if stop() { Poll::Ready(()) } else { sleep.as_mut().poll(cx) }).await;
        self.pause.was_held(Moment::now());
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.dealt_with();
        while !self.in_flight.borrow().is_empty() {
            self.landed();
        }
        self.leave();
    }
}

/// Whom a request of this API is from; `None` for the connection itself.
fn who<'a>(session: &'a Session, principal: &'a str, client_id: &'a str, api: Option<Api>) -> Who<'a> {
    Who {
        principal,
        client_id,
        address: session.peer.ip(),
        cluster: &session.place.cluster.name,
        listener: session.listener.bind,
        topic: None,
        group: None,
        api,
    }
}
