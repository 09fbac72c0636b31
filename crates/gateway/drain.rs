//! The end of a process, spread over time: connections are let go one after the other, the idle ones first, and node
//! after node, as brokers are restarted.

use std::time::{Duration, Instant};

use crate::listener::{Entry, Place};

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

/// Which of the ports has its turn when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The turn, from 0.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Turn {
    /// The turn of the port where a connection came in.
    pub fn of(place: &Place) -> Self {
        let topology = place.cluster.topology();
        let nodes = topology.iter().flat_map(|topology| topology.nodes.keys());
        let entries = std::iter::once(Entry::Bootstrap).chain(nodes.map(|node| Entry::Node(*node)));
        let mut turn = Self { index: 0, of: 0 };
        for entry in entries {
            if entry == place.entry {
                turn.index = turn.of;
            }
            turn.of += 1;
        }
        turn
    }
}

impl Ending {
    /// When a connection takes no further request. Who waits for nothing goes first, which costs its client nothing but a
    /// new connection before its next request. The ports have turns, because a client that loses all of its brokers in
    /// one moment complains. Within a turn `share`, from 0 to 1, is the connection's lot: without it all clients
    /// would come back in one moment.
    pub fn lets_go_at(&self, work: Work, turn: Turn, share: f64) -> Instant {
        let half = self.spread / 2;
        let place = (f64::from(turn.index) + share) / f64::from(turn.of.max(1));
        let drawn = half.mul_f64(place.clamp(0.0, 1.0));
        match work {
            Work::Idle => self.told_at + drawn,
            Work::InFlight => self.told_at + half + drawn,
        }
    }

    /// Until when a client may begin its login: afterwards it would be let go at once.
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
        let only = Turn { index: 0, of: 1 };
        let after = |work, share| ending.lets_go_at(work, only, share) - ending.told_at;
        assert_eq!(after(Work::Idle, 0.0), Duration::ZERO);
        assert_eq!(after(Work::Idle, 1.0), Duration::from_secs(5));
        assert_eq!(after(Work::InFlight, 0.0), Duration::from_secs(5));
        assert_eq!(after(Work::InFlight, 0.5), Duration::from_millis(7500));
        assert_eq!(ending.lets_go_at(Work::InFlight, only, 1.0), ending.welcomes_until());
    }

    #[test]
    fn node_goes_after_node() {
        let ending = ending(16, 30);
        let after =
            |index, share| ending.lets_go_at(Work::Idle, Turn { index, of: 4 }, share) - ending.told_at;
        assert_eq!([0, 1, 2, 3].map(|index| after(index, 0.0).as_secs()), [0, 2, 4, 6]);
        assert_eq!(after(1, 1.0), after(2, 0.0));
    }

    #[test]
    fn without_a_spread_all_go_at_once_and_the_time_for_what_is_owed_runs_from_the_beginning() {
        let ending = ending(0, 30);
        assert_eq!(ending.lets_go_at(Work::InFlight, Turn { index: 0, of: 1 }, 0.9), ending.told_at);
        assert_eq!(ending.left(ending.told_at + Duration::from_secs(12)), Duration::from_secs(18));
        assert_eq!(ending.left(ending.told_at + Duration::from_secs(31)), Duration::ZERO);
    }
}
