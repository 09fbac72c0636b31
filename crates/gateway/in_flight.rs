//! What is owed to a client: the order of answers, the back-pressure and the only state both directions share.

mod asked;
mod rows;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use wire::meter::Echo;
use wire::{Api, CorrelationId};

pub use asked::{Asked, Left, Treatment};

use crate::kept::{KEPT_BYTES_MAX, Kept, Look};
use crate::moment::Moment;

/// Bytes of the gateway's own answers that may wait; a client that asks on without reading gets no further.
pub const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Entries that an idle connection's ring may hold space for.
const RING_KEPT: usize = 8;

/// One answer that a client waits for, at its place in the order of questions.
#[derive(Debug)]
pub enum Owed {
    /// The broker answers; the gateway relays.
    ByBroker(Asked),
    /// The gateway has answered: a whole frame, with its size.
    ByGateway(Vec<u8>),
}

/// What becomes of a question whose broker is gone.
pub enum Judged {
    /// It waits for a broker.
    Waits,
    /// The gateway answers: a whole frame, with its size.
    Answered(Vec<u8>),
}

/// How it stands with the question of a frame that waits to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits for a broker.
    Waits,
    /// It is answered.
    Answered,
    /// It must not leave, and is answered once all of it has come.
    Given,
    /// Nobody waits for an answer.
    Nobodys,
}

/// The queue of what is owed, bounded by `max`. It outlives the broker's half of a connection.
pub struct InFlight {
    owed: RefCell<VecDeque<Owed>>,
    /// How many entries ever left the queue: with an index it makes a lasting name for an entry.
    popped: Cell<u64>,
    /// Whether the bytes of an entry that has left the queue are still on their way to the client.
    answering: Cell<bool>,
    /// Bytes of the gateway's own answers in the queue.
    held: Cell<usize>,
    /// What is kept of the questions to brokers.
    kept: RefCell<Kept>,
    max: usize,
    waiting: RefCell<Option<Waker>>,
}

impl InFlight {
    /// An empty queue for at most `max` answers.
    pub fn new(max: usize) -> Self {
        Self {
            owed: RefCell::default(),
            popped: Cell::new(0),
            answering: Cell::new(false),
            held: Cell::new(0),
            kept: RefCell::default(),
            max,
            waiting: RefCell::new(None),
        }
    }

    /// Answers owed now.
    pub fn len(&self) -> usize {
        self.owed.borrow().len()
    }

    /// True when nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.owed.borrow().is_empty()
    }

    /// True when another question must wait.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max
            || self.held.get() >= HELD_BYTES_MAX
            || self.kept.borrow().bytes() >= KEPT_BYTES_MAX
    }

    /// Notes what is owed, before the question goes out. The caller has asked [`InFlight::is_full`].
    pub fn push(&self, mut owed: Owed) {
        if let Owed::ByGateway(answer) = &mut owed {
            // What is counted is what is held.
            answer.shrink_to_fit();
            self.held.set(self.held.get() + answer.len());
        }
        self.owed.borrow_mut().push_back(owed);
    }

    /// A name for the next entry, for [`InFlight::sent`].
    pub fn next_name(&self) -> u64 {
        self.popped.get() + self.len() as u64
    }

    /// Notes that every question from `first` on has left for the broker at `now`, those before `end` wholly.
    pub fn sent(&self, first: u64, end: u64, now: Moment) {
        let place = |name: u64| usize::try_from(name.saturating_sub(self.popped.get())).unwrap_or(usize::MAX);
        let (skip, end) = (place(first), place(end));
        for (at, owed) in self.owed.borrow_mut().iter_mut().enumerate().skip(skip) {
            if let Owed::ByBroker(asked) = owed
                && asked.left != Left::Elsewhere
            {
                asked.sent_at = now;
                if at < end {
                    asked.left = Left::Wholly;
                }
            }
        }
    }

    /// Notes which questions left wholly before their broker was lost: the one named `first` if `with_first`, then those
    /// with these correlation ids. Others in between have nobody who waits. Gives the name of the next one.
    pub fn left(&self, first: u64, with_first: bool, correlations: &[CorrelationId], now: Moment) -> u64 {
        let mut name = first;
        if with_first {
            self.with_asked(name, |asked| asked.left = Left::Wholly);
            name += 1;
        }
        for correlation in correlations {
            let is_its = self.with_asked(name, |asked| {
                let is_its = asked.correlation == *correlation;
                if is_its {
                    asked.left = Left::Wholly;
                    asked.sent_at = now;
                }
                is_its
            });
            name += u64::from(is_its == Some(true));
        }
        name
    }

    /// Notes that what had left for a broker that is gone has left for another one.
    pub fn sent_again(&self, now: Moment, count: impl Fn(Api)) {
        for owed in self.owed.borrow_mut().iter_mut() {
            if let Owed::ByBroker(asked) = owed
                && asked.goes_again()
            {
                asked.left = Left::Wholly;
                asked.sent_at = now;
                count(asked.api);
            }
        }
    }

    /// The question of this name, if a broker owes its answer.
    pub fn with_asked<T>(&self, name: u64, look: impl FnOnce(&mut Asked) -> T) -> Option<T> {
        let at = usize::try_from(name.checked_sub(self.popped.get())?).ok()?;
        match self.owed.borrow_mut().get_mut(at)? {
            Owed::ByBroker(asked) => Some(look(asked)),
            Owed::ByGateway(_) => None,
        }
    }

    /// Takes the front if the gateway has answered it already.
    pub fn pop_ours(&self) -> Option<Vec<u8>> {
        let ours = self.owed.borrow_mut().pop_front_if(|owed| matches!(owed, Owed::ByGateway(_)));
        match ours {
            Some(Owed::ByGateway(frame)) => {
                self.held.set(self.held.get() - frame.len());
                self.have_popped(1);
                Some(frame)
            }
            Some(Owed::ByBroker(_)) | None => None,
        }
    }

    /// True when the front is answered by the gateway and can be written now.
    pub fn front_is_ours(&self) -> bool {
        matches!(self.owed.borrow().front(), Some(Owed::ByGateway(_)))
    }

    /// True when others are asked what is at the front.
    pub fn front_is_elsewhere(&self) -> bool {
        matches!(self.owed.borrow().front(), Some(Owed::ByBroker(asked)) if asked.left == Left::Elsewhere)
    }

    /// Notes that others are asked the question of this name.
    pub fn goes_elsewhere(&self, name: u64) {
        self.with_asked(name, |asked| asked.left = Left::Elsewhere);
    }

    /// The front, if the broker owes it.
    pub fn front_asked(&self) -> Option<Asked> {
        match self.owed.borrow().front() {
            Some(Owed::ByBroker(asked)) => Some(*asked),
            Some(Owed::ByGateway(_)) | None => None,
        }
    }

    /// How many answers brokers owe.
    pub fn owed_by_broker(&self) -> usize {
        self.owed.borrow().iter().filter(|owed| matches!(owed, Owed::ByBroker(_))).count()
    }

    /// Takes what the broker owed at the front: its answer has begun.
    pub fn pop_asked(&self) {
        let mut is_first = true;
        self.pop_while(|_| std::mem::take(&mut is_first));
    }

    /// Keeps bytes of the question that is pushed next.
    pub fn keep(&self, parts: [&[u8]; 2]) {
        self.kept.borrow_mut().push_bytes(parts);
    }

    /// Keeps room for what the question that is pushed next will have named,
    pub fn keep_names(&self) {
        self.kept.borrow_mut().push_names(None);
    }

    /// which is known now.
    pub fn fill_names(&self, names: Box<Echo>) {
        self.kept.borrow_mut().fill_names(names);
    }

    /// Lets `judge` decide what becomes of every question to a broker, in their order. What it fails with is passed on,
    /// and the queue is of no use any more.
    pub fn judge<E>(
        &self,
        mut judge: impl FnMut(u64, &mut Asked, Look<'_>) -> Result<Judged, E>,
    ) -> Result<(), E> {
        let old = std::mem::take(&mut *self.kept.borrow_mut());
        let mut looks = old.reader();
        let mut kept = self.kept.borrow_mut();
        for (at, owed) in self.owed.borrow_mut().iter_mut().enumerate() {
            let Owed::ByBroker(asked) = owed else { continue };
            let look = looks.next(asked.keep);
            match judge(self.popped.get() + at as u64, asked, look)? {
                Judged::Waits => match look {
                    Look::Bytes(bytes) => kept.push_bytes([bytes]),
                    Look::Names(names) => kept.push_names(names.cloned().map(Box::new)),
                    Look::Nothing => {}
                },
                Judged::Answered(mut answer) => {
                    answer.shrink_to_fit();
                    self.held.set(self.held.get() + answer.len());
                    *owed = Owed::ByGateway(answer);
                }
            }
        }
        Ok(())
    }

    /// How it stands with the frame that has this correlation id, whose question is the one of this name or, if it has none,
    /// is before it; and the name of the next one.
    pub fn place(&self, name: u64, correlation: CorrelationId) -> (Place, u64) {
        let owed = self.owed.borrow();
        let mut name = name.max(self.popped.get());
        loop {
            let at = usize::try_from(name.saturating_sub(self.popped.get())).unwrap_or(usize::MAX);
            match owed.get(at) {
                Some(Owed::ByBroker(asked)) if asked.correlation == correlation => {
                    let is_given = asked.left == Left::Partly;
                    return (if is_given { Place::Given } else { Place::Waits }, name + 1);
                }
                Some(Owed::ByGateway(answer)) => {
                    let of = answer.get(4..).and_then(<[u8]>::first_chunk);
                    if of == Some(&correlation.0.to_be_bytes()) {
                        return (Place::Answered, name + 1);
                    }
                    // Of a request that did not pass.
                    name += 1;
                }
                Some(Owed::ByBroker(_)) | None => return (Place::Nobodys, name),
            }
        }
    }

    /// The first question of which `pick` makes something, with its name.
    pub fn find<T>(&self, pick: impl Fn(&Asked, Look<'_>) -> Option<T>) -> Option<(u64, Asked, T)> {
        let kept = self.kept.borrow();
        let mut looks = kept.reader();
        for (at, owed) in self.owed.borrow().iter().enumerate() {
            let Owed::ByBroker(asked) = owed else { continue };
            if let Some(picked) = pick(asked, looks.next(asked.keep)) {
                return Some((self.popped.get() + at as u64, *asked, picked));
            }
        }
        None
    }

    /// The question of this name has an answer: a whole frame, with its size.
    pub fn answer(&self, name: u64, answer: Vec<u8>) {
        let mut answer = Some(answer);
        let judged: Result<(), std::convert::Infallible> = self.judge(|at, _, _| {
            let its = if at == name { answer.take() } else { None };
            Ok(its.map_or(Judged::Waits, Judged::Answered))
        });
        let Ok(()) = judged;
    }

    /// The frames that have to be sent again, in their order: those that left for a broker that is gone.
    pub fn to_send_again(&self) -> Vec<u8> {
        let kept = self.kept.borrow();
        let mut looks = kept.reader();
        let mut frames = Vec::new();
        for owed in self.owed.borrow().iter() {
            let Owed::ByBroker(asked) = owed else { continue };
            let look = looks.next(asked.keep);
            if let (Look::Bytes(frame), true) = (look, asked.goes_again()) {
                frames.extend_from_slice(frame);
            }
        }
        frames
    }

    fn have_popped(&self, n: usize) {
        if n > 0 {
            self.popped.set(self.popped.get() + n as u64);
            self.answering.set(true);
            self.wake();
        }
    }

    /// Notes that the last byte of every answer that left the queue was written.
    pub fn settled(&self) {
        if self.answering.replace(false) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Gives the memory of a ring that a burst has grown back, for a connection that has nothing to do.
    pub fn release_if_empty(&self) {
        let mut owed = self.owed.borrow_mut();
        if owed.is_empty() {
            self.kept.borrow_mut().release();
            if owed.capacity() > RING_KEPT {
                *owed = VecDeque::new();
            }
        }
    }

    /// Ready when `is_so`. Cancel-safe: takes nothing.
    fn poll_until(&self, cx: &mut Context<'_>, is_so: bool) -> Poll<()> {
        if is_so {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until another question may be asked. Cancel-safe.
    pub async fn space(&self) {
        std::future::poll_fn(|cx| self.poll_until(cx, !self.is_full())).await;
    }

    /// Waits until nothing is owed and the last answer is written to its end. Cancel-safe.
    pub async fn empty(&self) {
        std::future::poll_fn(|cx| self.poll_until(cx, self.is_empty() && !self.answering.get())).await;
    }
}
