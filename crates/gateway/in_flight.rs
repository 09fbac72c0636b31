//! What is owed to a client: the order of answers, the back-pressure and the only state both directions share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use wire::{Api, CorrelationId};

/// Bytes of the gateway's own answers that may wait; a client that asks on without reading gets no further.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Entries that an idle connection's ring may hold space for.
const RING_KEPT: usize = 8;

/// How the answer to a forwarded request has to be treated on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// As the API table says.
    ByTable,
    /// A `DescribeConfigs` answer whose broker configurations are masked.
    MaskConfigs,
}

/// A forwarded request whose answer the broker owes.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The API, which with the version decides how the answer travels.
    pub api: Api,
    /// The request's version.
    pub version: i16,
    /// The client's own number, which the broker must repeat.
    pub correlation: CorrelationId,
    /// How the answer is treated.
    pub treatment: Treatment,
    /// Whether it holds slots of limits until it is answered.
    pub slotted: bool,
    /// When the request's first bytes were read.
    pub read_at: Instant,
    /// When the request's last byte left for the broker; until then equal to `read_at`.
    pub sent_at: Instant,
}

/// One answer that a client waits for, at its place in the order of questions.
#[derive(Debug)]
pub enum Owed {
    /// The broker answers; the gateway relays.
    ByBroker(Asked),
    /// The gateway has answered: a whole frame, with its size.
    ByGateway(Vec<u8>),
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
        self.len() >= self.max || self.held.get() >= HELD_BYTES_MAX
    }

    /// Notes what is owed, before the question goes out. The caller has asked [`InFlight::is_full`].
    pub fn push(&self, owed: Owed) {
        if let Owed::ByGateway(answer) = &owed {
            self.held.set(self.held.get() + answer.len());
        }
        self.owed.borrow_mut().push_back(owed);
    }

    /// A name for the next entry, for [`InFlight::sent`].
    pub fn next_name(&self) -> u64 {
        self.popped.get() + self.len() as u64
    }

    /// Notes that every question from `first` on has left for the broker at `now`.
    pub fn sent(&self, first: u64, now: Instant) {
        let skip = usize::try_from(first.saturating_sub(self.popped.get())).unwrap_or(usize::MAX);
        for owed in self.owed.borrow_mut().iter_mut().skip(skip) {
            if let Owed::ByBroker(asked) = owed {
                asked.sent_at = now;
            }
        }
    }

    /// Takes the front if the gateway has answered it already.
    pub fn pop_ours(&self) -> Option<Vec<u8>> {
        let ours = self.owed.borrow_mut().pop_front_if(|owed| matches!(owed, Owed::ByGateway(_)));
        match ours {
            Some(Owed::ByGateway(frame)) => {
                self.held.set(self.held.get() - frame.len());
                self.has_popped();
                Some(frame)
            }
            Some(Owed::ByBroker(_)) | None => None,
        }
    }

    /// True when the front is answered by the gateway and can be written now.
    pub fn front_is_ours(&self) -> bool {
        matches!(self.owed.borrow().front(), Some(Owed::ByGateway(_)))
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
        if self.owed.borrow_mut().pop_front_if(|owed| matches!(owed, Owed::ByBroker(_))).is_some() {
            self.has_popped();
        }
    }

    fn has_popped(&self) {
        self.popped.set(self.popped.get() + 1);
        self.answering.set(true);
        self.wake();
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
        if owed.is_empty() && owed.capacity() > RING_KEPT {
            *owed = VecDeque::new();
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
