//! How long answers took. Those of a batch mostly took equally long, and are counted in one go.

use wire::Api;

use crate::metrics::Counts;
use crate::moment::Moment;
use crate::pump::Pump;

/// Times that are kept until their bytes are written; further ones count without that last write.
const TIMED_MAX: usize = 32;

/// A time, and how often it came in a row.
struct Span {
    api: Api,
    nanos: u64,
    times: u64,
}

impl Span {
    fn once(api: Api, nanos: u64) -> Self {
        Self { api, nanos, times: 1 }
    }

    /// Adds this time, if it is the same.
    #[inline]
    fn takes(&mut self, api: Api, nanos: u64) -> bool {
        let is_same = self.api == api && self.nanos == nanos;
        self.times += u64::from(is_same);
        is_same
    }
}

/// Answers that are on their way out, with what the gateway has spent on them so far.
#[derive(Default)]
pub(super) struct Timed(Vec<Span>);

impl Timed {
    /// On an answer that goes out the gateway has spent so much.
    #[inline]
    pub(super) fn note(&mut self, pump: &Pump, api: Api, nanos: u64) {
        if !self.0.last_mut().is_some_and(|last| last.takes(api, nanos)) {
            self.add(pump, Span::once(api, nanos));
        }
    }

    fn add(&mut self, pump: &Pump, span: Span) {
        if self.0.len() < TIMED_MAX {
            self.0.push(span);
        } else {
            pump.session.counts.spent(span.api, span.nanos, span.times);
        }
    }

    /// Counts what the gateway spent on the answers whose bytes are written now.
    pub(super) fn settle(&mut self, pump: &Pump, read_at: Moment) {
        if self.0.is_empty() {
            return;
        }
        let writing = Moment::now().nanos_since(read_at);
        for Span { api, nanos, times } in self.0.drain(..) {
            pump.session.counts.spent(api, nanos.saturating_add(writing), times);
        }
    }
}

/// How long the broker took for answers that have begun; counted when another time comes, or all is told.
#[derive(Default)]
pub(super) struct Answered(Option<Span>);

impl Answered {
    /// The broker has begun an answer after so long.
    #[inline]
    pub(super) fn note(&mut self, counts: &Counts, api: Api, nanos: u64) {
        if !self.0.as_mut().is_some_and(|last| last.takes(api, nanos)) {
            self.tell(counts);
            self.0 = Some(Span::once(api, nanos));
        }
    }

    /// Counts what was noted.
    pub(super) fn tell(&mut self, counts: &Counts) {
        if let Some(Span { api, nanos, times }) = self.0.take() {
            counts.answered(api, nanos, times);
        }
    }
}
