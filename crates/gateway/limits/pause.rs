//! When a client is not read from.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use wire::Api;

use crate::moment::Moment;
use crate::timer;

/// The pause of one connection.
///
/// On a connection that carries calls which keep a group alive, what is unread cannot overtake: after a pause the next one
/// begins only once the socket was read dry, so that such a call waits for one pause at most.
#[derive(Default)]
pub struct Pause {
    /// From when to when, if there is one.
    span: Cell<Option<(Moment, Moment)>>,
    /// Whether the connection has carried calls of a group's life.
    of_a_group: Cell<bool>,
    /// Whether the socket was not read dry since the last pause.
    undrained: Cell<bool>,
    /// For how long the request at hand, and the client before it, had to wait.
    pub waited: Cell<Duration>,
}

impl Pause {
    /// A call of this API passes.
    pub fn carries(&self, api: Api) {
        if api.is_of_group_life() {
            self.of_a_group.set(true);
        }
    }

    /// Whether the connection has carried calls of a group's life.
    pub fn is_of_a_group(&self) -> bool {
        self.of_a_group.get()
    }

    /// Makes the pause last `wait` from now, at most `max` in all; says by how much it has become longer.
    pub fn extend(&self, now: Moment, wait: Duration, max: Duration) -> Duration {
        let (began, before) = self.span.get().filter(|(_, end)| *end > now).unwrap_or((now, now));
        let end = now.after(wait.min(max)).min(began.after(max)).max(before);
        self.span.set(Some((began, end)));
        end.since(before)
    }

    /// The end of the pause, had or to come.
    pub fn until(&self) -> Option<Moment> {
        self.span.get().map(|(_, end)| end)
    }

    /// The end of a pause that is on: the client is not to be read from before.
    pub fn is_on(&self) -> Option<Moment> {
        if self.may_begin() { self.until() } else { None }
    }

    /// Whether a wait may begin.
    pub fn may_begin(&self) -> bool {
        !(self.of_a_group.get() && self.undrained.get())
    }

    /// Ready when no pause is on, any more. `rest` keeps the sleep between two polls.
    pub fn poll(&self, cx: &mut Context<'_>, rest: &mut Option<Pin<Box<Sleep>>>) -> Poll<()> {
        let Some(end) = self.is_on() else { return Poll::Ready(()) };
        let rest = rest.get_or_insert_with(|| Box::pin(timer::sleep_until(end)));
        let deadline = end.instant().into();
        if rest.deadline() != deadline {
            // It has become longer.
            rest.as_mut().reset(deadline);
        }
        ready!(rest.as_mut().poll(cx));
        self.was_held(end);
        Poll::Ready(())
    }

    /// A wait is over, and with it the pause if that has passed as well: a request may have had to wait for one limit and be
    /// charged to another.
    pub fn was_held(&self, now: Moment) {
        self.undrained.set(true);
        self.span.set(self.span.get().filter(|(_, end)| *end > now));
    }

    /// The request at hand, or the client before it, has waited since then.
    pub fn has_waited(&self, since: Moment) {
        self.waited.set(self.waited.get() + since.elapsed());
    }

    /// The socket had nothing more to read.
    pub fn read_dry(&self) {
        self.undrained.set(false);
    }

    /// Ends the pause before its time.
    pub fn end(&self) {
        self.span.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_pause_is_never_longer_than_it_may_be() {
        let pause = Pause::default();
        let now = Moment::now();
        assert_eq!(pause.extend(now, 3 * SECOND, 5 * SECOND), 3 * SECOND);
        assert_eq!(pause.extend(now.after(SECOND), 60 * SECOND, 5 * SECOND), 2 * SECOND);
        assert_eq!(pause.extend(now.after(2 * SECOND), 60 * SECOND, 5 * SECOND), Duration::ZERO);
        assert_eq!(pause.until(), Some(now.after(5 * SECOND)));
    }

    #[test]
    fn with_a_group_the_next_pause_waits_for_a_dry_socket() {
        let pause = Pause::default();
        let now = Moment::now();
        pause.carries(Api::Heartbeat);
        pause.extend(now, SECOND, SECOND);
        assert!(pause.is_on().is_some());
        pause.was_held(now.after(SECOND));
        pause.extend(now.after(SECOND), SECOND, SECOND);
        assert!(pause.is_on().is_none());
        pause.read_dry();
        assert!(pause.is_on().is_some());
    }

    #[test]
    fn without_a_group_one_pause_may_follow_the_other() {
        let pause = Pause::default();
        let now = Moment::now();
        pause.extend(now, SECOND, SECOND);
        pause.was_held(now.after(SECOND));
        pause.extend(now.after(SECOND), SECOND, SECOND);
        assert!(pause.is_on().is_some());
    }
}
