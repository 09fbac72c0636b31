//! What replicas publish: JSON, so that an operator can read along with `SUBSCRIBE`.

use policy::quota::Pace;
use policy::quota::fleet::{Replica, Use};
use policy::quota::shared::Name;
use serde::{Deserialize, Serialize};

/// What one replica has used since it said so last.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// Who says so.
    pub(super) from: Replica,
    used: Vec<Line>,
}

/// One bucket.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    limit: String,
    key: String,
    units: u64,
    of: Much,
}

/// Its pace; times are in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Much {
    Rate { units: u64, per: u64, burst: u64 },
    FixedWindow { count: u64, window: u64 },
    SlidingWindow { count: u64, window: u64 },
}

impl Message {
    pub(super) fn new(from: Replica, uses: &[Use]) -> Self {
        let line = |Use { name, pace, units }: &Use| Line {
            limit: name.limit.to_string(),
            key: name.key.to_string(),
            units: *units,
            of: match *pace {
                Pace::Rate { units, per, burst } => Much::Rate { units, per, burst },
                Pace::Fixed { count, window } => Much::FixedWindow { count, window },
                Pace::Sliding { count, window } => Much::SlidingWindow { count, window },
            },
        };
        Self { from, used: uses.iter().map(line).collect() }
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    pub(super) fn text(&self) -> String {
        // Numbers and names always have a text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was used.
    pub(super) fn uses(self) -> Vec<Use> {
        let one = |line: Line| Use {
            name: Name { limit: line.limit.into(), key: line.key.into() },
            units: line.units,
            pace: match line.of {
                Much::Rate { units, per, burst } => {
                    Pace::Rate { units: units.max(1), per: per.max(1), burst: burst.max(1) }
                }
                Much::FixedWindow { count, window } => {
                    Pace::Fixed { count: count.max(1), window: window.max(1) }
                }
                Much::SlidingWindow { count, window } => {
                    Pace::Sliding { count: count.max(1), window: window.max(1) }
                }
            },
        };
        self.used.into_iter().map(one).collect()
    }
}
