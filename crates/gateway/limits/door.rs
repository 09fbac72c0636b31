//! Limits of connections: how many are open, and how fast they come.
//!
//! A connection that is too much is held, as brokers do it (KIP-612): it waits for its turn, and is closed without a word if
//! that does not come in time. Clients take an error at login for the end of all hope, and come back after a close.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::limit::Mode;
use policy::quota::rules::Used;
use policy::quota::{Handle, Measure, Slots, Waiter};

use super::{Limits, nanos, observed, who};
use crate::conn::Session;
use crate::ended::{Ended, Why};
use crate::moment::Moment;
use crate::timer;

/// Connections that may be held at once, in the whole process; one more is closed at once.
const HELD_MAX: usize = 1024;

/// One of the connections that are held.
struct Held<'a>(&'a Session);

impl<'a> Held<'a> {
    fn new(session: &'a Session) -> Option<Self> {
        let held = &session.gateway.held;
        let one_more = |held: usize| (held < HELD_MAX).then_some(held + 1);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Self(session))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.gateway.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// Lets the connection in, at once or when its turn comes: before the login by where it is from, after it by who it
    /// is.
    pub async fn enter(&self, session: &Session, is_known: bool) -> Result<(), Ended> {
        if self.is_off() {
            return Ok(());
        }
        let handles = {
            let principal = session.principal();
            let who = who(session, &principal, "", None);
            self.rules.borrow().at_door(&who, is_known, self.clock.at(Moment::now()))
        };
        for handle in handles {
            match handle.measure {
                Measure::Open => self.take_place(session, handle).await?,
                Measure::Connections => self.take_turn(session, &handle).await?,
                Measure::Requests
                | Measure::ProduceBytes
                | Measure::FetchBytes
                | Measure::Records
                | Measure::Mutations
                | Measure::InFlight => {}
            }
        }
        Ok(())
    }

    /// One of so many that may be open at once.
    async fn take_place(&self, session: &Session, handle: Handle) -> Result<(), Ended> {
        let Used::Slots(slots) = &*handle.used else { return Ok(()) };
        if !slots.try_take(handle.at_once) {
            if handle.rule.limit.mode == Mode::Observe {
                observed(&handle);
                slots.take_anyway();
            } else {
                wait_for_place(session, &handle, slots).await?;
            }
        }
        self.door.borrow_mut().push(handle);
        Ok(())
    }

    /// One of so many that may come in a time.
    async fn take_turn(&self, session: &Session, handle: &Handle) -> Result<(), Ended> {
        let Used::Paced(pace, bucket) = &*handle.used else { return Ok(()) };
        let at = self.clock.at(Moment::now());
        let limit = &handle.rule.limit;
        let wait = Duration::from_nanos(bucket.wait(*pace, 1, at));
        if wait.is_zero() || limit.mode == Mode::Observe {
            if wait.is_zero() {
                bucket.take(*pace, 1, at);
            } else {
                observed(handle);
            }
            return Ok(());
        }
        let _held = Held::new(session).ok_or_else(|| turned_away(handle))?;
        if wait > limit.max_throttle {
            timer::sleep(limit.max_throttle).await;
            return Err(turned_away(handle));
        }
        let wait = Duration::from_nanos(bucket.take(*pace, 1, at)).min(limit.max_throttle);
        handle.rule.tally.throttled(nanos(wait));
        timer::sleep(wait).await;
        Ok(())
    }

    /// Counts the connection under the rules of a reload: it is open, whether they would have let it in or not.
    pub(super) fn count_again(&self, session: &Session) {
        let principal = session.principal();
        let who = who(session, &principal, "", None);
        let at = self.clock.at(Moment::now());
        let rules = Arc::clone(&self.rules.borrow());
        let now = [false, true].into_iter().flat_map(|is_known| rules.at_door(&who, is_known, at));
        let now: Vec<Handle> = now.filter(|handle| handle.measure == Measure::Open).collect();
        for handle in &now {
            if let Used::Slots(slots) = &*handle.used {
                slots.take_anyway();
            }
        }
        self.leave();
        *self.door.borrow_mut() = now;
    }

    /// Gives back what an open connection holds.
    pub(super) fn leave(&self) {
        for handle in self.door.borrow_mut().drain(..) {
            if let Used::Slots(slots) = &*handle.used {
                slots.release(handle.at_once);
            }
        }
    }
}

async fn wait_for_place(session: &Session, handle: &Handle, slots: &Slots) -> Result<(), Ended> {
    let _held = Held::new(session).ok_or_else(|| turned_away(handle))?;
    let since = Moment::now();
    let mut waiter = Waiter::new(slots, handle.at_once);
    let turn = std::future::poll_fn(|cx| waiter.poll(cx));
    let came = timer::timeout(handle.rule.limit.max_throttle, turn).await;
    handle.rule.tally.throttled(nanos(since.elapsed()));
    came.map_err(|_| turned_away(handle))
}

fn turned_away(handle: &Handle) -> Ended {
    handle.rule.tally.rejected.fetch_add(1, Ordering::Relaxed);
    Ended::gateway(Why::Limited).because(format_args!("limit {}", handle.rule.limit.name))
}
