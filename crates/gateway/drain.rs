//! The end of a process, spread over time: connections are let go one after the other, the idle ones first.

use std::time::{Duration, Instant};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// When it was told to.
    pub told_at: Instant,
    /// Connections are let go within this time.
    pub spread: Duration,
    /// What is owed then has until this long after `told_at`.
    pub within: Duration,
}

/// What a connection was at when the process was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its client waits for nothing.
    Idle,
    /// Answers are owed.
    InFlight,
}

impl Ending {
    /// When a connection takes no further request. `share`, from 0 to 1, is its lot: without it all clients of a moment
    /// would come back in one moment. Who waits for nothing goes first, which costs its client nothing but a new
    /// connection before its next request.
    pub fn lets_go_at(&self, work: Work, share: f64) -> Instant {
        let half = self.spread / 2;
        let drawn = half.mul_f64(share.clamp(0.0, 1.0));
        match work {
            Work::Idle => self.told_at + drawn,
            Work::InFlight => self.told_at + half + drawn,
        }
    }

    /// Until when a client may finish its login: afterwards it would be let go at once.
    pub fn welcomes_until(&self) -> Instant {
        self.told_at + self.spread
    }

    /// How long what is owed has from `now` on.
    pub fn left(&self, now: Instant) -> Duration {
        (self.told_at + self.within).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(spread: u64, within: u64) -> Ending {
        let [spread, within] = [spread, within].map(Duration::from_secs);
        Ending { told_at: Instant::now(), spread, within }
    }

    #[test]
    fn idle_connections_go_in_the_first_half_and_busy_ones_in_the_second() {
        let ending = ending(10, 30);
        let after = |work, share| ending.lets_go_at(work, share) - ending.told_at;
        assert_eq!(after(Work::Idle, 0.0), Duration::ZERO);
        assert_eq!(after(Work::Idle, 1.0), Duration::from_secs(5));
        assert_eq!(after(Work::InFlight, 0.0), Duration::from_secs(5));
        assert_eq!(after(Work::InFlight, 0.5), Duration::from_millis(7500));
        assert_eq!(ending.lets_go_at(Work::InFlight, 1.0), ending.welcomes_until());
    }

    #[test]
    fn without_a_spread_all_go_at_once_and_the_time_for_what_is_owed_runs_from_the_beginning() {
        let ending = ending(0, 30);
        assert_eq!(ending.lets_go_at(Work::InFlight, 0.9), ending.told_at);
        assert_eq!(ending.left(ending.told_at + Duration::from_secs(12)), Duration::from_secs(18));
        assert_eq!(ending.left(ending.told_at + Duration::from_secs(31)), Duration::ZERO);
    }
}
