//! Moments in one word: what is noted of every request is compared with two instructions, where two [`Instant`]s take forty.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// One moment by both names.
static SAME: LazyLock<(Instant, Moment)> = LazyLock::new(|| (Instant::now(), Moment::now()));

/// A moment of the system's steady clock, in nanoseconds; none of them is 0, so that one that may be absent takes no more
/// room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// This one.
    #[inline]
    pub fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
        let nanos = tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(tv_nsec.cast_unsigned());
        Self(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }

    /// The one that is also called so.
    pub fn of(instant: Instant) -> Self {
        let (same, moment) = *SAME;
        match instant.checked_duration_since(same) {
            Some(later) => moment.after(later),
            None => moment.before(same.saturating_duration_since(instant)),
        }
    }

    /// What others call it.
    pub fn instant(self) -> Instant {
        let (same, moment) = *SAME;
        let later = same + Duration::from_nanos(self.nanos_since(moment));
        later.checked_sub(Duration::from_nanos(moment.nanos_since(self))).unwrap_or(later)
    }

    /// Nanoseconds from `earlier` to this one; none if that is not earlier.
    #[inline]
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// Nanoseconds from the clock's beginning to this one.
    #[inline]
    pub fn nanos(self) -> u64 {
        self.0.get()
    }

    /// The time from `earlier` to this one; none if that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The time since this one.
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The moment so much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    fn before(self, time: Duration) -> Self {
        Self(NonZeroU64::new(self.0.get().saturating_sub(nanos(time))).unwrap_or(NonZeroU64::MIN))
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
        for moment in [first, second, first.before(Duration::from_hours(1))] {
            assert_eq!(Moment::of(moment.instant()), moment);
        }
        let (begin, moment, end) = (Instant::now(), Moment::now(), Instant::now());
        // What the clock went on between both names of the same is of no matter.
        assert!(begin <= moment.instant() + Duration::from_mins(1) && moment.instant() <= end);
    }
}
