//! How full buckets are, for those who watch.

use std::sync::Arc;

use super::{Rule, Used, lock};
use crate::quota::bucket::{Nanos, Pace};

impl Rule {
    /// The fullest keys, at most `most`: how much of the limit each has used, 1.0 for all of it, more with debt.
    pub fn fullest(&self, most: usize, now: Nanos) -> Vec<(String, f64)> {
        let keys = lock(&self.keys);
        let fullness = |(key, used): (_, &Arc<Used>)| Some((key, used.fullness(now)?));
        let mut full: Vec<(&Box<str>, f64)> =
            keys.buckets.iter().filter_map(fullness).filter(|(_, fullness)| *fullness > 0.0).collect();
        full.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        full.truncate(most);
        full.into_iter().map(|(key, fullness)| (key.to_string(), fullness)).collect()
    }
}

impl Used {
    /// How many units may come at once; `None` for slots.
    pub fn at_once(&self) -> Option<u64> {
        match self {
            Self::Paced(Pace::Rate { units, per, burst }, _) => {
                let in_a_second = u128::from(*units) * 1_000_000_000 / u128::from(*per).max(1);
                Some(u64::try_from(in_a_second).unwrap_or(u64::MAX).max(*burst))
            }
            Self::Paced(Pace::Fixed { count, .. } | Pace::Sliding { count, .. }, _) => Some(*count),
            Self::Slots(_) => None,
        }
    }

    /// How much of what a bucket holds is used; `None` for slots, whose number the key does not tell.
    pub fn fullness(&self, now: Nanos) -> Option<f64> {
        match self {
            Self::Paced(pace, bucket) => {
                let holds = match *pace {
                    Pace::Rate { burst, .. } => burst,
                    Pace::Fixed { count, .. } | Pace::Sliding { count, .. } => count,
                };
                #[allow(clippy::cast_precision_loss, reason = "a share, for eyes")]
                let share = bucket.used(*pace, now) as f64 / holds.max(1) as f64;
                Some(share)
            }
            Self::Slots(_) => None,
        }
    }
}
