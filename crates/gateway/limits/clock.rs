//! Time as limits count it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use policy::quota::Nanos;

use crate::moment::{Moment, nanos};

/// Tells moments as limits count them: nanoseconds of Unix time, so that the windows of all replicas are the same, which
/// never go back.
#[derive(Clone, Copy)]
pub struct Clock {
    start: Moment,
    unix: Nanos,
}

impl Default for Clock {
    fn default() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Moment::now(), unix: nanos(unix) }
    }
}

impl Clock {
    /// A moment as limits count it.
    pub fn at(&self, moment: Instant) -> Nanos {
        self.of(Moment::of(moment))
    }

    /// The same of one in one word.
    #[inline]
    pub fn of(&self, moment: Moment) -> Nanos {
        self.unix.saturating_add(moment.nanos_since(self.start))
    }
}
