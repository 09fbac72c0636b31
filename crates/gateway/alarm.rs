//! A waker of its own for a part of a task that seldom has anything to do, so that it is not polled with the rest.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What the seldom part is woken by: it notes that, and wakes the task.
struct Bell {
    rang: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Polls one future only when that future itself was woken.
pub struct Alarm {
    bell: Arc<Bell>,
    /// The bell as a waker.
    waker: Waker,
    /// The task's waker as the bell knows it.
    task: Option<Waker>,
}

impl Default for Alarm {
    fn default() -> Self {
        let bell = Arc::new(Bell { rang: AtomicBool::new(true), task: Mutex::new(None) });
        Self { waker: Waker::from(Arc::clone(&bell)), bell, task: None }
    }
}

impl Alarm {
    /// Polls `seldom` if it was woken since the last time, or never polled. Always with the same future.
    pub fn poll<F: Future>(&mut self, cx: &Context<'_>, seldom: Pin<&mut F>) -> Poll<F::Output> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            let mut task = self.bell.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.clone_from(&self.task);
        }
        if self.bell.rang.load(Ordering::Acquire) {
            // Taken back before the poll: a ring during it is for the next one.
            self.bell.rang.store(false, Ordering::Release);
            return seldom.poll(&mut Context::from_waker(&self.waker));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_seldom_part_is_polled_at_first_and_then_when_it_rings() {
        let polls = Cell::new(0);
        let inner: Cell<Option<Waker>> = Cell::new(None);
        let mut seldom = std::pin::pin!(std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            inner.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        let mut alarm = Alarm::default();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(alarm.poll(&cx, seldom.as_mut()).is_pending());
        }
        assert_eq!(polls.get(), 1);
        if let Some(waker) = inner.take() {
            waker.wake();
        }
        assert!(alarm.poll(&cx, seldom.as_mut()).is_pending());
        assert!(alarm.poll(&cx, seldom.as_mut()).is_pending());
        assert_eq!(polls.get(), 2);
    }
}
