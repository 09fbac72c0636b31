//! How long answers took. Those of a batch mostly took equally long, and are counted in one go.

use wire::Api;

use crate::in_flight::Asked;
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

/// Answers that are on their way out, with what the gateway has spent on them so far.
#[derive(Default)]
pub(super) struct Timed(Vec<Span>);

impl Timed {
    /// Counts so many answers, which have begun at `at`, to questions that came and left with this one.
    pub(super) fn answered(&mut self, pump: &Pump, asked: &Asked, at: Moment, n: u64) {
        if n > 0 {
            pump.session.counts.answered(asked.api, at.nanos_since(asked.sent_at), n);
            self.note(pump, asked.api, asked.sent_at.nanos_since(asked.read_at), n);
        }
    }

    /// On each of so many answers that go out the gateway has spent so much.
    fn note(&mut self, pump: &Pump, api: Api, nanos: u64, times: u64) {
        let is_full = self.0.len() >= TIMED_MAX;
        match self.0.last_mut() {
            Some(last) if last.api == api && last.nanos == nanos => last.times += times,
            _ if is_full => pump.session.counts.spent(api, nanos, times),
            _ => self.0.push(Span { api, nanos, times }),
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
