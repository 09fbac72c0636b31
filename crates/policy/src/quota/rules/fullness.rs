//! How full buckets are, for those who watch.

use std::sync::Arc;

use super::{Rule, Used, lock};
use crate::quota::bucket::Nanos;

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
    /// How many units may come at once, and how many of them are free; `None` for slots.
    pub fn room(&self, now: Nanos) -> Option<(u64, u64)> {
        match self {
            Self::Paced(pace, bucket) => {
                let holds = pace.holds();
                Some((holds, holds.saturating_sub(bucket.used(*pace, now))))
            }
            Self::Slots(_) => None,
        }
    }

    /// How much of what a bucket holds is used; `None` for slots, whose number the key does not tell.
    pub fn fullness(&self, now: Nanos) -> Option<f64> {
        match self {
            Self::Paced(pace, bucket) => {
                let holds = pace.holds();
                #[allow(clippy::cast_precision_loss, reason = "a share, for eyes")]
                let share = bucket.used(*pace, now) as f64 / holds.max(1) as f64;
                Some(share)
            }
            Self::Slots(_) => None,
        }
    }
}
