//! How long this machine keeps from running what is ready to run: for tests that measure time on machines that are not
//! theirs alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::witness::now;

/// How long a thread sleeps that has nothing else to do.
const NAP: Duration = Duration::from_millis(5);
/// Less is not worth a note.
const NOTED: Duration = Duration::from_millis(20);

/// Looks at it from its start until it is dropped.
#[derive(Debug)]
pub struct Stalls {
    is_over: Arc<AtomicBool>,
    /// When a nap ended, and how much too late, in seconds.
    seen: Arc<Mutex<Vec<(f64, f64)>>>,
}

impl Stalls {
    /// Begins to look.
    pub fn watch() -> Stalls {
        let stalls = Stalls { is_over: Arc::default(), seen: Arc::default() };
        let (is_over, seen) = (Arc::clone(&stalls.is_over), Arc::clone(&stalls.seen));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let lay_down = Instant::now();
                thread::sleep(NAP);
                let late = lay_down.elapsed().saturating_sub(NAP);
                if late > NOTED {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push((now(), late.as_secs_f64()));
                }
            }
        });
        stalls
    }

    /// The longest one that touches a span of time, in seconds; the span is in seconds of Unix time.
    pub fn longest(&self, from: f64, until: f64) -> f64 {
        self.within(from, until).into_iter().fold(0.0, f64::max)
    }

    /// The sum of those in a span of time that are longer than `least`.
    pub fn sum(&self, from: f64, until: f64, least: f64) -> f64 {
        self.within(from, until).into_iter().filter(|late| *late > least).sum()
    }

    fn within(&self, from: f64, until: f64) -> Vec<f64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let touches = |(at, late): &&(f64, f64)| *at >= from && *at - *late <= until;
        seen.iter().filter(touches).map(|(_, late)| *late).collect()
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
