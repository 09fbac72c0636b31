//! Charging: before a request goes on, where it can be held back, and afterwards, where it can't.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::limit::{Mode, OnExceeded};
use policy::quota::rules::Used;
use policy::quota::{Handle, Measure, Nanos};
use wire::Api;

use super::ahead::owed;
use super::glance::{Body, Expected};
use super::names::Name;
use super::{Admission, Limits, nanos};
use crate::conn::Session;
use crate::moment::Moment;

/// A request as limits see it before it goes on.
pub struct Request<'a> {
    /// Its API.
    pub api: Api,
    /// Its bytes, with the size.
    pub size: usize,
    /// The group that it names, if that was asked for.
    pub group: Option<&'a str>,
    /// Whether it can be answered with an error that clients retry.
    pub can_be_rejected: bool,
    /// What is there of it, if it is a Produce and that was asked for.
    pub body: Option<Body<'a>>,
}

impl Limits {
    /// Whether a request of so many bytes may go at once and is charged, as nearly all are: nothing is paused, and it is
    /// paid for by what was taken in advance.
    #[allow(clippy::inline_always, reason = "every request comes by here, and only from one place")]
    #[inline(always)]
    pub fn pass(&self, api: Api, size: usize, is_by_the_same: bool, now: Moment) -> bool {
        if self.pause.until().is_some() || self.asks_client_id.get() && !is_by_the_same {
            return false;
        }
        let passes = self.known(api).is_some_and(|charged| charged.passes(size, self.clock.at(now)));
        self.admitted.set(passes);
        self.has_plenty.set(passes);
        passes
    }

    /// Whether an answer of so many bytes may go as it is and is charged, as nearly all are.
    #[allow(clippy::inline_always, reason = "every answer comes by here, and only from one place")]
    #[inline(always)]
    pub fn pass_back(&self, api: Api, size: usize, now: Moment) -> bool {
        let Some(mut allowance) = self.allowance_back(api, now) else { return false };
        let passes = allowance.covers(size);
        if passes {
            allowance.pass_back(size as u64);
        }
        passes
    }

    /// Charges a request before it goes on, and says when it may.
    pub fn admit(&self, request: &Request<'_>, session: &Session, now: Moment) -> Admission {
        let api = request.api;
        let charged = self.charged(api, session, now);
        let expected = match request.body {
            None => Expected::default(),
            Some(body) => match self.glance(body, session, now) {
                Some(Expected { unnamed: Some(topic), .. }) if !self.awaited_name.replace(true) => {
                    return Admission::Unnamed(topic);
                }
                Some(expected) => expected,
                None => return Admission::More,
            },
        };
        self.admitted.set(true);
        self.has_plenty.set(false);
        if charged.handles.is_empty() && !charged.meters && request.group.is_none() {
            return Admission::Go;
        }
        let at = self.clock.at(now);
        if request.can_be_rejected && charged.rejects {
            let wait = charged.handles.iter().filter_map(|handle| rejects(handle, at)).max();
            if let Some(wait) = wait.map(Duration::from_nanos) {
                // Clients that come again at once are not read before it makes sense, as brokers do it.
                self.pause.extend(now, wait, wait);
                return Admission::Reject(wait);
            }
        }
        let mut wait = Duration::ZERO;
        if charged.takes_requests && !charged.pays(Measure::Requests, 1, at) {
            let waits = charged.of(Measure::Requests).map(|handle| take(handle, api, at));
            wait = waits.max().unwrap_or_default();
        }
        if charged.takes_produced && !charged.pays(Measure::ProduceBytes, request.size as u64, at) {
            for handle in charged.of(Measure::ProduceBytes) {
                // Who comes while others are in debt waits behind them.
                wait = wait.max(owed(handle, at));
                self.charge(handle, request.size as u64, now);
            }
        }
        self.has_plenty.set(charged.only_pays && charged.has_plenty(at));
        if !self.has_plenty.get() && (charged.meters || charged.takes_fetched || charged.mutates) {
            wait = wait.max(charged.take_ahead(&expected, at));
        }
        if let Some(group) = request.group {
            let handles = self.of_name(api, Name::Group(group), session, now);
            wait = handles.iter().map(|handle| take(handle, api, at)).fold(wait, Duration::max);
        }
        let mut has_slots = true;
        if charged.holds_slots {
            *self.slots.borrow_mut() = Some(Rc::clone(&charged));
            // What waits for its turn takes them then.
            has_slots = wait.is_zero() && self.try_slots(&charged);
        }
        if !wait.is_zero() && !api.is_pressing() && self.pause.may_begin() {
            return Admission::At(now.after(wait));
        }
        if has_slots { Admission::Go } else { Admission::WithSlots }
    }

    /// Whether the group that requests of this API name has to be told.
    pub fn asks_group(&self, api: Api, session: &Session, now: Moment) -> bool {
        self.asks_groups.get() && self.charged(api, session, now).asks_group
    }

    /// Whether it has to be told what requests of this API change.
    pub fn mutates(&self, api: Api, session: &Session, now: Moment) -> bool {
        !self.is_off() && self.charged(api, session, now).mutates
    }

    /// Charges what a request creates and deletes, or says for how long it should not have come: others may have come into
    /// debt since it was admitted. Where limits would reject it, the request that makes the debt is the last one that
    /// passes, and waits for nothing (KIP-599).
    pub fn mutate(
        &self,
        api: Api,
        mutations: u64,
        can_be_rejected: bool,
        session: &Session,
        now: Moment,
    ) -> Result<(), Duration> {
        if mutations == 0 {
            return Ok(());
        }
        let charged = self.charged(api, session, now);
        let handles = || charged.of(Measure::Mutations);
        let at = self.clock.at(now);
        if can_be_rejected && let Some(wait) = handles().filter_map(|handle| rejects(handle, at)).max() {
            let wait = Duration::from_nanos(wait);
            self.pause.extend(now, wait, wait);
            return Err(wait);
        }
        for handle in handles() {
            if can_be_rejected && handle.rule.limit.on_exceeded == OnExceeded::Reject {
                spend(handle, mutations, at);
            } else {
                self.charge(handle, mutations, now);
            }
        }
        Ok(())
    }

    /// Charges what an answer costs, before its first byte goes to the client.
    pub fn answered(&self, api: Api, size: usize, session: &Session, now: Moment) {
        if !api.brings_records() {
            return;
        }
        let charged = self.charged(api, session, now);
        let size = size as u64;
        charged.portion.brought(size);
        let is_lent =
            || !charged.ahead.has_taken() && charged.pays(Measure::FetchBytes, size, self.clock.at(now));
        if charged.takes_fetched && !is_lent() {
            for handle in charged.of(Measure::FetchBytes) {
                self.charge_passed(&charged, handle, size, now);
            }
        }
    }

    /// Charges what cannot be held back any more; debt makes a pause.
    pub(super) fn charge(&self, handle: &Handle, cost: u64, now: Moment) {
        let debt = spend(handle, cost, self.clock.at(now));
        if debt > 0 {
            let rule = &handle.rule;
            let added = self.pause.extend(now, Duration::from_nanos(debt), rule.limit.max_throttle);
            rule.tally.throttled(nanos(added));
        }
    }
}

/// Takes what is used already, and says for how long nothing more should be used.
fn spend(handle: &Handle, cost: u64, at: Nanos) -> Nanos {
    let Used::Paced(pace, bucket) = &*handle.used else { return 0 };
    if handle.rule.limit.mode == Mode::Enforce {
        return bucket.charge(*pace, cost, at);
    }
    if bucket.debt(*pace, at) > 0 {
        observed(handle);
    } else {
        bucket.charge(*pace, cost, at);
    }
    0
}

/// How long a rejecting limit would let wait, if it would; counts the rejection.
fn rejects(handle: &Handle, at: Nanos) -> Option<Nanos> {
    let limit = &handle.rule.limit;
    if limit.on_exceeded != OnExceeded::Reject || limit.mode == Mode::Observe {
        return None;
    }
    let Used::Paced(pace, bucket) = &*handle.used else { return None };
    let wait = match handle.measure {
        Measure::Requests => bucket.wait(*pace, 1, at),
        Measure::ProduceBytes | Measure::Mutations | Measure::Records => bucket.debt(*pace, at),
        Measure::FetchBytes | Measure::InFlight | Measure::Open | Measure::Connections => 0,
    };
    if wait == 0 {
        return None;
    }
    handle.rule.tally.rejected.fetch_add(1, Ordering::Relaxed);
    Some(wait.min(nanos(limit.max_throttle)))
}

/// Takes one request from a bucket, and says how long it has to wait.
fn take(handle: &Handle, api: Api, at: Nanos) -> Duration {
    let Used::Paced(pace, bucket) = &*handle.used else { return Duration::ZERO };
    let limit = &handle.rule.limit;
    if limit.mode == Mode::Observe {
        if bucket.wait(*pace, 1, at) > 0 {
            observed(handle);
        } else {
            bucket.take(*pace, 1, at);
        }
        return Duration::ZERO;
    }
    let wait = Duration::from_nanos(bucket.take(*pace, 1, at)).min(limit.max_throttle);
    if !wait.is_zero() && !api.is_pressing() {
        handle.rule.tally.throttled(nanos(wait));
    }
    wait
}

/// Counts what an observed limit would have done, and says so in the log now and then.
pub(super) fn observed(handle: &Handle) {
    let before = handle.rule.tally.observed.fetch_add(1, Ordering::Relaxed);
    if before.is_power_of_two() || before == 0 {
        let limit = &*handle.rule.limit.name;
        tracing::info!(limit, times = before + 1, "an observed limit would have throttled");
    }
}
