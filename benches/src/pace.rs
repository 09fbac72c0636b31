//! A load that is not the fastest: when its requests are due, and how they fared in each interval.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{mem, thread};

use anyhow::Result;
use serde_json::json;

use crate::cue;
use crate::outcome::{Latencies, Outcome, latencies, record};

/// How fast a load is, and how often it tells how it fares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Requests per second in all; without it, each follows the answer to one before.
    pub rate: Option<f64>,
    /// A line of JSON after each such time.
    pub every: Option<Duration>,
}

impl Pace {
    /// The beats of the connection of this number among so many, each of which has `at_once` requests due; none without a rate.
    pub fn beats(self, number: usize, connections: usize, at_once: usize) -> Result<Option<Beats>> {
        let Some(rate) = self.rate else { return Ok(None) };
        let [number, connections, at_once] = [number, connections, at_once.max(1)].map(u32::try_from);
        let (number, connections) = (f64::from(number?), f64::from(connections?.max(1)));
        let period = Duration::try_from_secs_f64(connections * f64::from(at_once?) / rate)?;
        // Connections take turns: all at once would wait for each other.
        let first = period.mul_f64(number / connections);
        Ok(Some(Beats { next: Instant::now() + first, period }))
    }
}

/// When the next requests of one connection are due.
#[derive(Debug)]
pub struct Beats {
    next: Instant,
    period: Duration,
}

impl Beats {
    /// Waits until requests are due; none before `deadline` is the end. Their latency counts from what is returned: where
    /// earlier answers were late, from when these were due, so that a stall counts for all whom it kept waiting. That a
    /// sleep was too long is the machine's doing and does not count.
    pub fn wait(&mut self, deadline: Instant) -> Option<Instant> {
        let due = self.next;
        if due >= deadline {
            return None;
        }
        self.next += self.period;
        let early = due.saturating_duration_since(Instant::now());
        if early.is_zero() {
            return Some(due);
        }
        thread::sleep(early);
        Some(Instant::now())
    }
}

/// What a load's threads have counted since the last line.
#[derive(Debug)]
pub struct Interval {
    every: Option<Duration>,
    counted: Mutex<Counted>,
    errors: AtomicU64,
}

#[derive(Debug)]
struct Counted {
    latencies: Latencies,
    bytes: u64,
}

impl Counted {
    fn nothing() -> Result<Counted> {
        Ok(Counted { latencies: latencies()?, bytes: 0 })
    }
}

impl Interval {
    /// Lines as `pace` says.
    pub fn new(pace: Pace) -> Result<Interval> {
        let counted = Mutex::new(Counted::nothing()?);
        Ok(Interval { every: pace.every, counted, errors: AtomicU64::new(0) })
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request with so many bytes of records; free where no line will tell of it.
    pub fn record(&self, latency: Duration, bytes: usize) {
        if self.every.is_some() {
            let mut counted = self.counted();
            record(&mut counted.latencies, latency);
            counted.bytes += bytes as u64;
        }
    }

    /// Forgets the requests before the first.
    pub fn forget(&self) {
        let mut counted = self.counted();
        counted.latencies.clear();
        counted.bytes = 0;
    }

    /// Adds a failed connection.
    pub fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells `{"interval":…}` again and again, until every sender of `ended` is gone.
    pub fn tell_until(&self, ended: &Receiver<Infallible>) -> Result<()> {
        let Some(every) = self.every else {
            // Nobody sends anything: it ends when the last sender is dropped.
            let Err(_) = ended.recv();
            return Ok(());
        };
        let mut begin = Instant::now();
        loop {
            let left = (begin + every).saturating_duration_since(Instant::now());
            match ended.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(never) => match never {},
            }
            let now = Instant::now();
            let nothing = Counted::nothing()?;
            let Counted { latencies, bytes } = mem::replace(&mut *self.counted(), nothing);
            let errors = self.errors.load(Ordering::Relaxed);
            cue::tell(&json!({ "interval": Outcome::new(&latencies, bytes, now - begin, errors) }))?;
            begin += every;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Duration, Instant, Pace};

    #[test]
    fn a_rate_is_shared_by_connections_that_take_turns() {
        let pace = Pace { rate: Some(100.0), every: None };
        let begin = Instant::now();
        let first = pace.beats(0, 4, 5).unwrap().unwrap();
        let second = pace.beats(1, 4, 5).unwrap().unwrap();
        assert_eq!(first.period, Duration::from_millis(200));
        assert!(second.next >= begin + Duration::from_millis(50));
        assert!(Pace::default().beats(0, 4, 5).unwrap().is_none());
    }

    #[test]
    fn who_is_late_counts_from_when_it_was_due_and_nothing_is_due_behind_the_deadline() {
        let pace = Pace { rate: Some(1.0), every: None };
        let mut beats = pace.beats(0, 1, 1).unwrap().unwrap();
        let begun = beats.next.checked_sub(Duration::from_secs(10)).unwrap();
        beats.next = begun;
        let deadline = begun + Duration::from_secs(2);
        assert_eq!(beats.wait(deadline), Some(begun));
        assert_eq!(beats.wait(deadline), Some(begun + Duration::from_secs(1)));
        assert_eq!(beats.wait(deadline), None);
    }
}
