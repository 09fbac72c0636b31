//! Time as limits count it.

use std::time::{SystemTime, UNIX_EPOCH};

use policy::quota::Nanos;

use crate::moment::{Moment, nanos};

/// Tells moments as limits count them: nanoseconds of Unix time, so that the windows of all replicas are the same, which
/// never go back.
#[derive(Clone, Copy)]
pub struct Clock {
    /// By how much Unix time is ahead of moments.
    ahead: Nanos,
}

impl Default for Clock {
    fn default() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { ahead: nanos(unix).saturating_sub(Moment::now().nanos()) }
    }
}

impl Clock {
    /// A moment as limits count it.
    #[inline]
    pub fn at(&self, moment: Moment) -> Nanos {
        self.ahead.saturating_add(moment.nanos())
    }
}
