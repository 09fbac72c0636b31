//! Waits for a time. The threads that move bytes have no timers of their own: a thread that has some gives `epoll_wait(2)` a
//! timeout and reads the clock before and after it, at every wake-up, for timers that hardly ever run out. Theirs are kept by
//! one more thread, which wakes them.
//!
//! All of the gateway waits by way of this module, since most of it runs on threads of both kinds.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Interval, Sleep, Timeout};

use crate::moment::Moment;

thread_local! {
    /// Who keeps this thread's timers; its own runtime where that is nobody.
    static KEEPER: OnceCell<Arc<Keeper>> = const { OnceCell::new() };
}

/// The thread that keeps the timers of others. It ends when the last of them has.
pub struct Keeper {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl Keeper {
    /// Starts the thread.
    pub fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (end, ends) = oneshot::channel();
        let keep = move || drop(runtime.block_on(ends));
        std::thread::Builder::new().name("timers".to_owned()).spawn(keep)?;
        Ok(Arc::new(Self { runtime: handle, _end: end }))
    }
}

/// Leaves the timers of this thread to a [`Keeper`], once and for good.
pub fn leave_to(keeper: Arc<Keeper>) {
    KEEPER.with(|kept| drop(kept.set(keeper)));
}

/// A timer belongs to the runtime that is entered when it is made.
fn kept<T>(make: impl FnOnce() -> T) -> T {
    KEEPER.with(|keeper| {
        let _entered = keeper.get().map(|keeper| keeper.runtime.enter());
        make()
    })
}

/// Waits so long.
pub fn sleep(wait: Duration) -> Sleep {
    kept(|| tokio::time::sleep(wait))
}

/// Waits until then.
pub fn sleep_until(end: Moment) -> Sleep {
    kept(|| tokio::time::sleep_until(end.instant().into()))
}

/// What `future` gives, if it does so in that time.
pub fn timeout<F: Future>(within: Duration, future: F) -> Timeout<F> {
    kept(|| tokio::time::timeout(within, future))
}

/// Ticks, at once and then every so often.
pub fn interval(period: Duration) -> Interval {
    kept(|| tokio::time::interval(period))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::future::pending;

    #[test]
    fn a_thread_without_timers_waits_by_those_of_another() {
        let keeper = Keeper::start().unwrap();
        let waits = std::thread::spawn(move || {
            leave_to(keeper);
            let runtime = Builder::new_current_thread().enable_io().build().unwrap();
            runtime.block_on(async {
                let begin = Moment::now();
                sleep(Duration::from_millis(2)).await;
                sleep_until(begin.after(Duration::from_millis(4))).await;
                assert!(begin.elapsed() >= Duration::from_millis(4));
                assert!(timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
                assert!(timeout(Duration::from_mins(1), async {}).await.is_ok());
            });
        });
        waits.join().unwrap();
    }
}
