//! Time and reload: what ends a connection although both peers keep still.

use std::time::{Duration, Instant};

use super::{Pump, Towards};
use crate::conn::random_share;
use crate::drain::{Turn, Work};
use crate::ended::{Ended, Side, Why};
use crate::health::parting::Owed;
use crate::live::{Drained, Phase};
use crate::timer;

/// The longest sleep between two looks at a connection's clocks.
const LOOK_MAX: Duration = Duration::from_mins(1);

/// The shortest, so that a clock that stands just before its end is not looked at in a spin.
const LOOK_MIN: Duration = Duration::from_millis(50);

impl Pump {
    /// Ends the connection when one of its clocks runs out, and starts its drain when a reload, the shutdown or
    /// its age asks for that.
    pub(super) async fn watch(&self) -> Ended {
        let mut changes = self.session.gateway.changes();
        let mut news = self.session.place.cluster.health.news();
        let mut drain_ends: Option<Instant> = None;
        let mut lets_go_at: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if let Phase::Ending(ending) = self.session.gateway.phase()
                && lets_go_at.is_none()
            {
                let work = if self.in_flight.is_empty() { Work::Idle } else { Work::InFlight };
                lets_go_at = Some(ending.lets_go_at(work, Turn::of(&self.session.place), random_share()));
            }
            let reason = if drain_ends.is_none() { self.reason_to_drain(now, lets_go_at) } else { None };
            if let Some((side, why, within)) = reason {
                self.draining.set(Some((side, why)));
                drain_ends = Some(now + within);
            }
            if self.draining.get().is_some() && drain_ends.is_none() {
                // A refused login has begun the drain.
                drain_ends = Some(now + self.session.gateway.live().model.drain.reload);
            }
            self.lose_if_silent(now);
            let next = match self.next_look(now, drain_ends) {
                Ok(next) => {
                    lets_go_at.filter(|_| drain_ends.is_none()).map_or(next, |at| next.min(until(at, now)))
                }
                Err(ended) => return ended,
            };
            tokio::select! {
                news = changes.changed() => if news.is_err() {
                    return Ended::gateway(Why::Shutdown);
                },
                // Of a broker that nobody reaches any more, which may be this one's. Its sender lives as long as the cluster.
                _ = news.changed() => {}
                () = timer::sleep(next) => {}
            }
        }
    }

    /// Why this connection should take no further request, and how long it has for what is owed.
    fn reason_to_drain(&self, now: Instant, lets_go_at: Option<Instant>) -> Option<(Side, Why, Duration)> {
        let session = &self.session;
        let live = session.gateway.live();
        if let Phase::Ending(ending) = session.gateway.phase()
            && lets_go_at.is_some_and(|at| at <= now)
        {
            return Some((Side::Gateway, Why::Shutdown, ending.left(now)));
        }
        match live.still_welcome(session) {
            Ok(privilege) => {
                session.set_privilege(privilege);
                session.limits.follow(&live.rules, session);
            }
            Err(Drained) => return Some((Side::Gateway, Why::Removed, live.model.drain.reload)),
        }
        match session.ends_at {
            Some(end) if end <= now => return Some((Side::Gateway, Why::Age, live.model.drain.reload)),
            _ => {}
        }
        match self.leaves_at(now) {
            Some(moment) if moment <= now => Some((Side::Gateway, Why::NodeDrained, live.model.drain.reload)),
            _ => None,
        }
    }

    /// When it leaves a broker that is drained.
    fn leaves_at(&self, now: Instant) -> Option<Instant> {
        let owed = if self.in_flight.is_empty() { Owed::Nothing } else { Owed::Something };
        self.session.parting.at(&self.session, now, self.moved_at.get().instant(), owed)
    }

    /// How long no clock of this connection runs out, or the end that one has reached.
    fn next_look(&self, now: Instant, drain_ends: Option<Instant>) -> Result<Duration, Ended> {
        let listener = &self.session.listener;
        let mut next = LOOK_MAX;
        let mut until = |end: Instant| {
            let left = end.saturating_duration_since(now);
            next = next.min(left);
            left.is_zero()
        };
        if drain_ends.is_some_and(&mut until) {
            let owed = format_args!("{} answers owed", self.in_flight.len());
            return Err(Ended::gateway(Why::DrainTimeout).because(owed));
        }
        if until(self.moved_at.get().instant() + listener.idle_timeout) {
            return Err(Ended::gateway(Why::Idle));
        }
        if let (None, Some(end)) = (drain_ends, self.session.ends_at) {
            until(end);
        }
        if let (None, Some(moment)) = (drain_ends, self.leaves_at(now)) {
            until(moment);
        }
        until(self.silence_look(now));
        until(now + listener.stall_timeout);
        for (towards, side) in [(Towards::Client, Side::Client), (Towards::Broker, Side::Broker)] {
            let stalled = self.stalled[towards as usize].get();
            if stalled.is_some_and(|since| until(since.instant() + listener.stall_timeout)) {
                return Err(Ended::new(side, Why::Stalled));
            }
        }
        Ok(next.max(LOOK_MIN))
    }
}

/// Time until `at`, at least the shortest sleep.
fn until(at: Instant, now: Instant) -> Duration {
    at.saturating_duration_since(now).max(LOOK_MIN)
}
