//! The load that comes and goes: connect, `ApiVersions`, where asked SASL/PLAIN, Metadata, close; again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cue::Cues;
use crate::dial::Door;
use crate::outcome::{Latencies, Outcome, latencies, record};
use crate::pace::{Interval, Pace};

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Loops side by side.
    pub connections: usize,
    /// At most so many visits in all,
    pub visits: u64,
    /// and no new ones after this time.
    pub duration: Duration,
    /// How fast.
    pub pace: Pace,
}

/// Runs the plan. A failed visit ends its loop.
pub fn run(door: &Door, plan: Plan, cues: Cues) -> Result<Outcome> {
    let Plan { connections, visits, duration, pace } = plan;
    door.open_through()?;
    cues.ready()?;
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    let interval = Interval::new(pace)?;
    let mut all = latencies()?;
    let mut errors = 0;
    thread::scope(|scope| -> Result<()> {
        let (running, ended) = mpsc::channel();
        let (next, interval) = (&next, &interval);
        let visit = move |number: usize| -> Result<(Latencies, u64)> {
            let mut latencies = latencies()?;
            let mut beats = pace.beats(number, connections, 1)?;
            while begin.elapsed() < duration && next.fetch_add(1, Ordering::Relaxed) < visits {
                let Some(sent) =
                    beats.as_mut().map_or_else(|| Some(Instant::now()), |beats| beats.wait(begin + duration))
                else {
                    break;
                };
                if let Err(error) = door.open_through() {
                    eprintln!("load: {error:#}");
                    interval.failed();
                    return Ok((latencies, 1));
                }
                let latency = sent.elapsed();
                record(&mut latencies, latency);
                interval.record(latency, 0);
            }
            Ok((latencies, 0))
        };
        let loops: Vec<_> = (0..connections)
            .map(|number| {
                let running = running.clone();
                scope.spawn(move || {
                    let visited = visit(number);
                    drop(running);
                    visited
                })
            })
            .collect();
        drop(running);
        interval.tell_until(&ended)?;
        for visitor in loops {
            let (latencies, failed) = visitor.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            all.add(&latencies)?;
            errors += failed;
        }
        Ok(())
    })?;
    Ok(Outcome::new(&all, 0, begin.elapsed(), errors))
}
