//! When a broker that cannot be reached is left alone, and when it is tried again.
//!
//! Everybody who dials tells how it went. After a few failures in a row nobody dials any more, and one probe after the other
//! finds out whether the broker is back: each a while after the last one, twice as long every time up to a limit, or
//! at the shortest distance as long as somebody waits for that broker.

use std::time::{Duration, Instant};

/// Failures in a row after which nobody dials any more.
pub const FAILURES_MAX: u32 = 3;

/// How long a broker is left alone: after the first failure that counts, and at most.
pub const OPEN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The part of that time by which it is shortened at most, drawn by lot: replicas of the gateway don't probe in step.
const JITTER: f64 = 0.2;

/// Whether a broker is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Closed,
    /// It is left alone.
    Open,
    /// One probe finds out whether it is back.
    HalfOpen,
}

impl State {
    /// What it is called in answers to operators.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Whether somebody waits for a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Clients are held until it is back.
    Yes,
    /// Nobody would notice.
    No,
}

/// Whether to probe a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// At once; whoever is told so tells how it went.
    Now,
    /// Not before then.
    At(Instant),
    /// Not until something is heard of it.
    Never,
}

/// How a try to reach a broker went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Reached,
    /// It did not.
    Missed,
}

/// What has changed by an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// From now on it is left alone.
    Opened,
    /// From now on it is dialled again.
    Closed,
    /// Nothing.
    None,
}

/// One broker's breaker.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    /// In a row, as of the last success.
    failures: u32,
    /// Since when and for how long it is left alone.
    open: Option<Open>,
    /// A connection to it broke: whether it is still there is worth a look.
    is_suspect: bool,
    /// When the last probe began, and whether it is still under way.
    probed: Option<(Instant, bool)>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Instant,
    /// Before the lot.
    nominal: Duration,
    until: Instant,
}

impl Breaker {
    /// Whether the broker is dialled now.
    pub fn state(&self) -> State {
        match (self.open, self.probed) {
            (None, _) => State::Closed,
            (Some(_), Some((_, true))) => State::HalfOpen,
            (Some(_), _) => State::Open,
        }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether there is nothing to remember: it is dialled, and nothing failed of late.
    pub fn is_untroubled(&self) -> bool {
        self.open.is_none() && self.failures == 0 && !self.is_suspect
    }

    /// A dial went like this, or a question on a connection that is kept. `lot` is random, from 0.0 to 1.0.
    ///
    /// Dials that began before the breaker opened come in late: a success is a success, and one failure more does not
    /// double the time.
    pub fn dialled(&mut self, outcome: Outcome, now: Instant, lot: f64) -> Change {
        match outcome {
            Outcome::Reached => self.reached(),
            Outcome::Missed => {
                self.failures = self.failures.saturating_add(1);
                if self.open.is_some() || self.failures < FAILURES_MAX {
                    return Change::None;
                }
                self.leave_alone(now, OPEN.0, lot);
                Change::Opened
            }
        }
    }

    /// A connection to the broker broke. Alone this opens nothing: a whole broker that lets its connections go is back at
    /// the next dial. But that dial decides.
    pub fn broke(&mut self) {
        if self.open.is_none() {
            self.is_suspect = true;
            self.failures = self.failures.max(FAILURES_MAX - 1);
        }
    }

    /// Whether to probe now. At most one probe is under way, and two begin no closer than the shortest time.
    pub fn probe(&mut self, awaited: Awaited, now: Instant) -> Probe {
        let due = match (self.open, self.probed) {
            (_, Some((_, true))) => return Probe::Never,
            (Some(open), _) => match awaited {
                Awaited::Yes => open.until.min(open.since + OPEN.0),
                Awaited::No => open.until,
            },
            (None, last) if self.is_suspect => last.map_or(now, |(began, _)| began + OPEN.0),
            (None, _) => return Probe::Never,
        };
        if due > now {
            return Probe::At(due);
        }
        self.probed = Some((now, true));
        Probe::Now
    }

    /// The probe that was allowed went like this; `None`: it was given up without an answer to the question.
    pub fn probed(&mut self, outcome: Option<Outcome>, now: Instant, lot: f64) -> Change {
        if let Some((_, under_way)) = &mut self.probed {
            *under_way = false;
        }
        self.is_suspect = false;
        match (outcome, self.open) {
            (None, _) => Change::None,
            (Some(Outcome::Missed), Some(open)) => {
                self.failures = self.failures.saturating_add(1);
                self.leave_alone(now, open.nominal.saturating_mul(2).min(OPEN.1), lot);
                Change::None
            }
            (Some(outcome), _) => self.dialled(outcome, now, lot),
        }
    }

    fn reached(&mut self) -> Change {
        let was_open = self.open.take().is_some();
        self.failures = 0;
        self.is_suspect = false;
        if was_open { Change::Closed } else { Change::None }
    }

    fn leave_alone(&mut self, now: Instant, nominal: Duration, lot: f64) {
        let time = nominal.mul_f64(1.0 - JITTER * lot.clamp(0.0, 1.0));
        self.open = Some(Open { since: now, nominal, until: now + time });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            assert_eq!(breaker.dialled(Outcome::Missed, now, 0.0), Change::None);
            assert_eq!(breaker.state(), State::Closed);
        }
        assert_eq!(breaker.dialled(Outcome::Missed, now, 0.0), Change::Opened);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_and_a_success_between_them_does_not_let_them_add_up() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..FAILURES_MAX {
                breaker.dialled(Outcome::Missed, now, 0.0);
            }
            breaker.dialled(Outcome::Reached, now, 0.0);
        }
        assert!(breaker.is_untroubled());
        assert_eq!(opened(now).state(), State::Open);
    }

    #[test]
    fn a_broker_is_left_alone_twice_as_long_each_time_up_to_the_limit() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut times = Vec::new();
        for _ in 0..8 {
            let Probe::At(due) = breaker.probe(Awaited::No, now) else { panic!("due at once") };
            times.push((due - now).as_millis());
            now = due;
            assert_eq!(breaker.probe(Awaited::No, now), Probe::Now);
            assert_eq!(breaker.probed(Some(Outcome::Missed), now, 0.0), Change::None);
        }
        assert_eq!(times, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn while_clients_wait_probes_come_at_the_shortest_distance() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for _ in 0..20 {
            let Probe::At(due) = breaker.probe(Awaited::Yes, now) else { panic!("due at once") };
            assert_eq!(due - now, OPEN.0);
            now = due;
            assert_eq!(breaker.probe(Awaited::Yes, now), Probe::Now);
            breaker.probed(Some(Outcome::Missed), now, 0.0);
        }
    }

    #[test]
    fn one_probe_is_under_way_at_a_time_and_its_success_closes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + ms(200);
        assert_eq!(breaker.probe(Awaited::Yes, later), Probe::Now);
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.probe(Awaited::Yes, later + ms(5000)), Probe::Never);
        assert_eq!(breaker.probed(Some(Outcome::Reached), later, 0.0), Change::Closed);
        assert!(breaker.is_untroubled());
        assert_eq!(breaker.probe(Awaited::Yes, later), Probe::Never);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_room_for_the_next() {
        let before = Instant::now();
        let mut breaker = opened(before);
        let now = before + ms(200);
        assert_eq!(breaker.probe(Awaited::Yes, now), Probe::Now);
        breaker.probed(None, now, 0.0);
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.probe(Awaited::Yes, now), Probe::Now);
    }

    #[test]
    fn broken_connections_open_nothing_but_are_looked_into_at_once_and_then_one_failure_does() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..1000 {
            breaker.broke();
        }
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.probe(Awaited::No, now), Probe::Now);
        assert_eq!(breaker.probed(Some(Outcome::Reached), now, 0.0), Change::None);
        breaker.broke();
        assert_eq!(breaker.probe(Awaited::No, now), Probe::At(now + OPEN.0), "no closer than that");
        assert_eq!(breaker.probe(Awaited::No, now + OPEN.0), Probe::Now);
        assert_eq!(breaker.probed(Some(Outcome::Missed), now, 0.0), Change::Opened);
    }

    #[test]
    fn a_dial_that_began_before_may_close_but_not_double() {
        let now = Instant::now();
        let mut breaker = opened(now);
        for _ in 0..100 {
            assert_eq!(breaker.dialled(Outcome::Missed, now + ms(10), 0.0), Change::None);
        }
        assert_eq!(breaker.probe(Awaited::No, now), Probe::At(now + ms(200)));
        assert_eq!(breaker.dialled(Outcome::Reached, now, 0.0), Change::Closed);
    }

    proptest! {
        /// Whatever happens in whatever order, probes never overlap, never begin closer than the lot lets them, and a
        /// broker that is left alone is probed again within the limit.
        #[test]
        fn a_broker_is_neither_hammered_nor_forgotten(
            steps in prop::collection::vec((0..6_u8, 0..3000_u64, 0.0..1.0), 1..200),
        ) {
            let (mut now, mut breaker) = (Instant::now(), Breaker::default());
            let (mut began, mut under_way): (Option<Instant>, bool) = (None, false);
            for (step, pause, lot) in steps {
                now += ms(pause);
                match step {
                    0 => drop(breaker.dialled(Outcome::Reached, now, lot)),
                    1 => drop(breaker.dialled(Outcome::Missed, now, lot)),
                    2 => breaker.broke(),
                    3 if under_way => {
                        let outcome = if lot < 0.5 { Outcome::Missed } else { Outcome::Reached };
                        breaker.probed(Some(outcome), now, lot);
                        under_way = false;
                    }
                    _ => match breaker.probe(if step == 4 { Awaited::Yes } else { Awaited::No }, now) {
                        Probe::Now => {
                            prop_assert!(!under_way);
                            prop_assert!(began.is_none_or(|began| now - began >= OPEN.0.mul_f64(1.0 - JITTER)));
                            began = Some(now);
                            under_way = true;
                        }
                        Probe::At(due) => prop_assert!(due > now && due <= now + OPEN.1),
                        Probe::Never => prop_assert!(under_way || breaker.state() == State::Closed),
                    },
                }
                prop_assert!(!under_way || breaker.state() != State::Open);
            }
        }
    }
}
