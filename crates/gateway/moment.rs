//! Moments in one word: what is noted of every request is compared with two instructions, where two [`Instant`]s take forty.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What moments are counted from.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment of this process, in nanoseconds; none of them is 0, so that one that may be absent takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self::of(Instant::now())
    }

    /// The one that is also called so. What was before the first question of this kind is that one.
    pub fn of(instant: Instant) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos(instant.saturating_duration_since(*BEGIN))))
    }

    /// What others call it.
    pub fn instant(self) -> Instant {
        *BEGIN + Duration::from_nanos(self.0.get() - 1)
    }

    /// Nanoseconds from `earlier` to this one; none if that is not earlier.
    #[inline]
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// The moment so much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }
}

/// A time in one word.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_far_from_another_as_their_instants_are() {
        let first = Moment::now();
        let second = first.after(Duration::from_millis(5));
        assert_eq!(second.nanos_since(first), 5_000_000);
        assert_eq!(first.nanos_since(second), 0);
        assert_eq!(second.instant() - first.instant(), Duration::from_millis(5));
        assert_eq!(Moment::of(second.instant()), second);
    }
}
