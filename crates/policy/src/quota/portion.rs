//! Portions: how much one Fetch may ask for.
//!
//! What a Fetch brings is known once it is there, and by then all that were asked at the same time are on their way: three
//! brokers, or two hundred consumers, would bring many times what the limit has. So a connection begins with a small
//! portion, asks for more after one that was filled and for less after one that was not, and never for more than half of
//! what is free.

/// What one connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What may come at once, in bytes.
    pub at_once: u64,
    /// How much of that is free.
    pub free: u64,
    /// Connections that are served from it.
    pub connections: u64,
}

impl Share {
    /// The portion that a connection begins with, and does not fall below.
    fn least(self) -> u64 {
        (self.at_once / 8 / self.connections.max(1)).max(1)
    }

    /// The next portion, after one of `asked` bytes that brought `brought`, if it was answered.
    pub fn next(self, asked: u64, brought: Option<u64>) -> u64 {
        let least = self.least();
        let next = match brought {
            // Twice as much as long as there would be enough if all did so.
            Some(bytes) if bytes >= asked / 2 => {
                let fair = self.free / self.connections.max(1);
                asked.saturating_mul(2).min(fair).max(asked.saturating_add(least))
            }
            Some(_) => asked / 2,
            None => asked,
        };
        next.min(self.free / 2).max(least)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_precision_loss)]
    use super::super::bucket::{Bucket, Pace};
    use super::*;

    const MS: u64 = 1_000_000;
    const RATE: u64 = 1 << 20;
    const PACE: Pace = Pace::Rate { units: RATE, per: 1000 * MS, burst: RATE };

    /// A connection that always has more to read.
    #[derive(Clone, Default)]
    struct Reader {
        /// When its answer comes.
        due_ms: u64,
        asked: Option<u64>,
        /// What was taken in advance.
        taken: u64,
    }

    /// Bytes that came in each millisecond of ten seconds, to connections that wait for debts as they are told and take in
    /// advance what their last answer had, beside some that read nothing. An answer takes `trip_ms`.
    fn read(readers: usize, idle: u64, trip_ms: u64) -> Vec<u64> {
        let bucket = Bucket::new(PACE);
        let connections = readers as u64 + idle;
        let mut readers = vec![Reader::default(); readers];
        let mut came = vec![0; 10_000];
        for (ms, came) in (0..).zip(&mut came) {
            let now = (1_000_000 + ms) * MS;
            for reader in readers.iter_mut().filter(|reader| reader.due_ms <= ms) {
                if let Some(bytes) = reader.asked {
                    *came += bytes;
                    bucket.take_back(PACE, reader.taken.saturating_sub(bytes), now, now);
                    bucket.take(PACE, bytes.saturating_sub(reader.taken), now);
                }
                let debt = bucket.debt(PACE, now);
                let free = RATE.saturating_sub(bucket.used(PACE, now));
                reader.taken = reader.asked.filter(|_| free < RATE / 4 * 3).unwrap_or(0);
                bucket.take(PACE, reader.taken, now);
                let free = RATE.saturating_sub(bucket.used(PACE, now + debt));
                let share = Share { at_once: RATE, free, connections };
                reader.asked = Some(share.next(reader.asked.unwrap_or(0), reader.asked));
                reader.due_ms = ms + trip_ms + debt / MS;
            }
        }
        came
    }

    #[test]
    fn however_many_read_at_once_the_limit_is_used_and_kept() {
        for (readers, idle, trip_ms) in [(1, 0, 1), (3, 0, 2), (18, 0, 5), (3, 150, 50), (200, 0, 5)] {
            let came = read(readers, idle, trip_ms);
            let (mut level, mut most) = (0.0_f64, 0.0_f64);
            for bytes in &came {
                level = (level - RATE as f64 / 1000.0).max(0.0) + *bytes as f64;
                most = most.max(level);
            }
            let what = format!("{readers} readers beside {idle}, {trip_ms} ms");
            assert!(most < 1.25 * RATE as f64, "{what}: {most} at once");
            let after_burst: u64 = came[2000..].iter().sum();
            let rate = after_burst as f64 / 8.0 / RATE as f64;
            assert!((0.97..1.05).contains(&rate), "{what}: a rate of {rate}");
        }
    }

    #[test]
    fn what_is_not_needed_is_not_asked_for() {
        let share = |free| Share { at_once: 8000, free, connections: 10 };
        assert_eq!(share(8000).next(0, None), 100);
        assert_eq!(share(8000).next(1000, Some(10)), 500);
        assert_eq!(share(8000).next(150, Some(10)), 100);
        assert_eq!(share(8000).next(300, Some(300)), 600);
        assert_eq!(share(8000).next(600, Some(600)), 800);
        assert_eq!(share(8000).next(1000, Some(1000)), 1100);
        assert_eq!(share(2000).next(1000, Some(1000)), 1000);
        assert_eq!(share(8000).next(1000, None), 1000);
        assert_eq!(share(0).next(1000, Some(1000)), 100);
    }
}
