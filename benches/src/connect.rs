//! The load that comes and goes: connect, `ApiVersions`, where asked SASL/PLAIN, Metadata, close; again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cue::Cues;
use crate::dial::Door;
use crate::outcome::{Latencies, Outcome, latencies, record};

/// Runs `connections` loops side by side until `visits` are made or `duration` is over. A failed visit ends its
/// loop.
pub fn run(door: &Door, connections: u32, visits: u64, duration: Duration, cues: Cues) -> Result<Outcome> {
    door.open_through()?;
    cues.ready()?;
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    let mut all = latencies()?;
    let mut errors = 0;
    thread::scope(|scope| -> Result<()> {
        let loops: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> Result<(Latencies, u64)> {
                    let mut latencies = latencies()?;
                    while begin.elapsed() < duration && next.fetch_add(1, Ordering::Relaxed) < visits {
                        let sent = Instant::now();
                        if let Err(error) = door.open_through() {
                            eprintln!("load: {error:#}");
                            return Ok((latencies, 1));
                        }
                        record(&mut latencies, sent.elapsed());
                    }
                    Ok((latencies, 0))
                })
            })
            .collect();
        for visitor in loops {
            let (latencies, failed) = visitor.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            all.add(&latencies)?;
            errors += failed;
        }
        Ok(())
    })?;
    Ok(Outcome::new(&all, 0, begin.elapsed(), errors))
}
