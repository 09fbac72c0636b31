//! How fast something went: units, and when they went, to be held against a limit.

/// Units as they went, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Pace(Vec<Went>);

/// So much at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Went {
    /// Seconds since a moment that is the same for all that is compared.
    pub at: f64,
    /// How much.
    pub units: f64,
}

impl Pace {
    /// What went, in any order.
    pub fn new(went: impl IntoIterator<Item = Went>) -> Pace {
        let mut went: Vec<Went> = went.into_iter().collect();
        went.sort_by(|one, other| one.at.total_cmp(&other.at));
        Pace(went)
    }

    /// How much in all.
    pub fn units(&self) -> f64 {
        self.0.iter().map(|went| went.units).sum()
    }

    /// When the first of it went, and the last.
    pub fn span(&self) -> Option<(f64, f64)> {
        Some((self.0.first()?.at, self.0.last()?.at))
    }

    /// What went from one moment on, before another.
    #[must_use]
    pub fn within(&self, from: f64, until: f64) -> Pace {
        Pace(self.0.iter().copied().filter(|went| (from..until).contains(&went.at)).collect())
    }

    /// How long on average a unit goes after the one that is so many before it, in seconds. Those whose counterpart is among
    /// the first so many are left out: a first window may be cut. `None` where there are too few.
    pub fn window_of(&self, count: f64) -> Option<f64> {
        let mut gone = 0.0;
        let sums: Vec<(f64, f64)> = (self.0.iter())
            .map(|went| {
                gone += went.units;
                (went.at, gone)
            })
            .collect();
        let mut before = sums.iter().peekable();
        let (mut sum, mut units, mut last) = (0.0, 0.0, 0.0);
        for (at, gone) in &sums {
            // The first one up to which all is gone that was so much before.
            while before.next_if(|(_, earlier)| *earlier < gone - count).is_some() {}
            let (earlier, counterpart) = before.peek()?;
            if *counterpart > count && gone - count > 0.0 {
                sum += (at - earlier) * (gone - last);
                units += gone - last;
            }
            last = *gone;
        }
        (units > 0.0).then(|| sum / units)
    }

    /// Units per second from the moment on, but not before `since`, at which so much was gone that a bucket from which
    /// `rate` runs off would hold `full`, to the last. Where it never came to that, from `since` on.
    pub fn rate_once_full(&self, rate: f64, full: f64, since: f64) -> Option<f64> {
        let (mut level, mut before) = (0.0_f64, f64::NEG_INFINITY);
        let place = self.0.iter().position(|went| {
            level = (level - (went.at - before) * rate).max(0.0) + went.units;
            before = went.at;
            level >= full && went.at >= since
        });
        let place = place.or_else(|| self.0.iter().position(|went| went.at >= since));
        let (first, rest) = self.0.get(place?..)?.split_first()?;
        let units: f64 = rest.iter().map(|went| went.units).sum();
        Some(units / (rest.last()?.at - first.at))
    }

    /// The most by which any span of time, short or long, had more in it than a rate brings in that time.
    pub fn excess(&self, rate: f64) -> f64 {
        let (mut level, mut most, mut before) = (0.0_f64, 0.0_f64, f64::NEG_INFINITY);
        for went in &self.0 {
            level = (level - (went.at - before) * rate).max(0.0) + went.units;
            most = most.max(level);
            before = went.at;
        }
        most
    }

    /// The most that went in any span of so many seconds.
    pub fn most_in(&self, seconds: f64) -> f64 {
        let (mut first, mut held, mut most) = (self.0.iter(), 0.0_f64, 0.0_f64);
        let mut oldest = first.next();
        for went in &self.0 {
            held += went.units;
            while let Some(old) = oldest.filter(|old| old.at <= went.at - seconds) {
                held -= old.units;
                oldest = first.next();
            }
            most = most.max(held);
        }
        most
    }

    /// The most that went in a window of so many seconds, windows beginning at multiples, without what went in the first
    /// `skipped` seconds of it.
    pub fn most_in_windows(&self, seconds: f64, skipped: f64) -> f64 {
        let counts = |went: &&Went| went.at.rem_euclid(seconds) >= skipped;
        Pace(self.0.iter().filter(counts).copied().collect()).windows(seconds).into_iter().fold(0.0, f64::max)
    }

    /// What went in each window of so many seconds, from the first to the last that has any. Windows begin at multiples.
    pub fn windows(&self, seconds: f64) -> Vec<f64> {
        let Some((first, last)) = self.span() else { return Vec::new() };
        let (first, last) = ((first / seconds).floor(), (last / seconds).floor());
        let mut windows = Vec::new();
        let mut window = first;
        while window <= last {
            windows.push(self.within(window * seconds, (window + 1.0) * seconds).units());
            window += 1.0;
        }
        windows
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// One unit at each moment.
    fn ones(moments: impl IntoIterator<Item = f64>) -> Pace {
        Pace::new(moments.into_iter().map(|at| Went { at, units: 1.0 }))
    }

    fn is(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-6, "{value} instead of {wanted}");
    }

    #[test]
    fn the_rate_leaves_out_what_came_at_once() {
        let burst = [0.0; 5];
        let steady = (1..=50).map(|n| f64::from(n) / 10.0);
        let pace = ones(burst.into_iter().chain(steady));
        is(pace.units(), 55.0);
        is(pace.rate_once_full(10.0, 4.5, 1.0).unwrap(), 10.0);
        is(pace.rate_once_full(10.0, 7.5, 0.05).unwrap(), 10.0);
        is(ones((0..=55).map(|n| f64::from(n) / 11.0)).rate_once_full(10.0, 0.5, 0.0).unwrap(), 11.0);
    }

    #[test]
    fn a_window_is_the_time_between_units_that_are_so_many_apart() {
        // The first window was cut; then ten come at once every two seconds.
        let lumps = [1.5, 2.0, 4.0, 6.0, 8.0].into_iter().flat_map(|at| [at; 10]);
        is(ones(lumps).window_of(10.0).unwrap(), 2.0);
        // One of them a little late is as much too early for the next.
        let late = [1.5, 2.0, 4.3, 6.0, 8.0].into_iter().flat_map(|at| [at; 10]);
        is(ones(late).window_of(10.0).unwrap(), 2.0);
        let spread = (0..60).map(|n| f64::from(n) / 4.0);
        is(ones(spread).window_of(10.0).unwrap(), 2.5);
        assert_eq!(ones([0.0; 19]).window_of(10.0), None);
    }

    #[test]
    fn the_excess_is_what_one_span_had_too_much() {
        // Ten each second, but for a moment's seven.
        let pace = ones((0..50).map(|n| f64::from(n) / 10.0).chain([2.5; 7]));
        is(pace.excess(10.0), 8.0);
        // Idle time is not saved up: three at once stay three.
        is(ones([0.0, 0.0, 0.0, 9.0, 9.0, 9.0]).excess(10.0), 3.0);
        // A rate that is a tenth too high is seen in a long span.
        is(ones((0..110).map(|n| f64::from(n) / 11.0)).excess(10.0), 1.0 + 109.0 / 11.0);
    }

    #[test]
    fn windows_are_told_apart_from_spans_of_their_length() {
        let pace = ones([0.8, 0.9, 1.1, 1.2, 3.5]);
        is(pace.most_in(1.0), 4.0);
        assert_eq!(pace.windows(1.0), [2.0, 2.0, 0.0, 1.0]);
        is(ones([0.8, 0.9, 1.01, 1.02, 1.7, 1.8]).most_in_windows(1.0, 0.1), 2.0);
    }
}
