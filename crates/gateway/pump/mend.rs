//! A broker that is gone: what it owed is asked again or answered in its place, and another connection to it is made.
//!
//! [`Pump::lose`] only notes the loss. What becomes of the questions is decided by [`Pump::mend`], which is polled behind
//! the direction of requests: by then it is known how far each of them had left.

use std::rc::Rc;
use std::task::Poll;

use wire::head;

use super::judge::Hope;
use super::{Pump, Towards};
use crate::ended::{Ended, Why};
use crate::frames::SIZE_BYTES;
use crate::in_flight::{Left, Place};
use crate::moment::Moment;
use crate::pool::Intake;
use crate::stream::Stream;
use crate::upstream;

/// Who answers a request that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The broker.
    Brokers,
    /// Nobody: it is of acks 0.
    Nobodys,
}

/// Whether a broker is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mending {
    /// There is one, or nobody needs one.
    Not,
    /// There is none, and one is needed.
    Wanted,
    /// None was found in time: what waits for one is answered.
    GaveUp,
}

/// Whether bytes for the broker are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// None are.
    Not,
    /// They wait for a broker.
    Waits,
    /// They are being written.
    On,
}

/// What a wait for a broker gave.
pub(super) enum Waited {
    /// A broker.
    Broker(Rc<Stream>),
    /// Some of what waits is answered.
    Answered,
    /// All of what waits is answered: there is no broker in time.
    GaveUp,
}

/// What became of bytes for the broker.
pub(super) enum Wrote {
    /// All of them left.
    All,
    /// So many of them left, then the broker was lost.
    Broke(usize),
}

impl Pump {
    /// A frame of so many bytes begins to pass.
    pub(super) fn passes(&self, bytes: usize, answer: Answer) {
        self.due.set(self.due.get() + bytes);
        self.is_owed.set(answer == Answer::Brokers);
    }

    /// The broker's half is gone. Where the client waits for something, another one is made.
    pub(super) fn lose(&self, ended: &Ended) {
        let Some(_gone) = self.broker.borrow_mut().take() else { return };
        self.session.counts.lost();
        let cluster = &self.session.place.cluster;
        tracing::debug!(cluster = &*cluster.name, client = %self.session.peer, why = ended.why.label(),
            owed = self.in_flight.len(), "a broker's connection is lost");
        self.stalled[Towards::Broker as usize].set(None);
        if self.writing.get() == Writing::Not && self.rest.get() > 0 {
            // The beginning of a frame has left, and no more of it goes anywhere.
            self.cut.set(true);
            self.rest_is_partly_gone();
        }
        self.losses.set(self.losses.get() + 1);
        if self.in_flight.owed_by_broker() > 0 {
            self.session.broker_broke();
            cluster.look_now.notify_one();
            self.mending.set(Mending::Wanted);
        }
        self.session.is_served_by_nobody();
        self.stir.set(true);
    }

    /// Waits for a broker, as long as that makes sense.
    pub(super) async fn broker(&self) -> Waited {
        // Who else is polled in this task makes it, and has this looked at again.
        let broker = std::future::poll_fn(|_| {
            let present = self.broker.borrow().clone();
            if let Some(broker) = present {
                return Poll::Ready(Waited::Broker(broker));
            }
            if self.mending.get() == Mending::GaveUp {
                self.mending.set(Mending::Not);
                self.sift.set(false);
                return Poll::Ready(Waited::GaveUp);
            }
            if self.sift.get() {
                return Poll::Ready(Waited::Answered);
            }
            match self.mending.get() {
                Mending::Not => {
                    self.mending.set(Mending::Wanted);
                    self.stir.set(true);
                }
                Mending::Wanted | Mending::GaveUp => {}
            }
            self.writing.set(Writing::Waits);
            Poll::Pending
        });
        let broker = broker.await;
        self.writing.set(Writing::Not);
        broker
    }

    /// Makes another connection to a broker, and asks again what was asked before; or answers it. Others are asked meanwhile
    /// ([`Pump::ask_others`]).
    pub(super) async fn mend(&self) -> Result<(), Ended> {
        self.judge_all(Hope::Left)?;
        loop {
            let reached = match upstream::reach(&self.session).await {
                Ok(stream) => stream,
                Err(ended) if matches!(ended.why, Why::Unreachable | Why::BrokerLogin) => {
                    if self.give_up(&ended)? == 0 {
                        return Ok(());
                    }
                    continue;
                }
                Err(ended) => return Err(ended),
            };
            let again = self.in_flight.to_send_again();
            if reached.write_all(&again).await.is_ok() {
                self.in_flight.sent_again(Moment::now(), |api| self.session.counts.repeated(api));
                *self.broker.borrow_mut() = Some(Rc::new(reached));
                self.mending.set(Mending::Not);
                return Ok(());
            }
        }
    }

    /// There is no broker in time: who waits for one is told. Says how many questions have more time.
    fn give_up(&self, ended: &Ended) -> Result<usize, Ended> {
        let Ok(waiting) = self.judge_all(Hope::Gone) else {
            return Err(
                Ended::new(ended.side, ended.why).because(ended.detail.as_deref().unwrap_or_default())
            );
        };
        if waiting == 0 {
            let waits = self.writing.get() == Writing::Waits;
            self.mending.set(if waits { Mending::GaveUp } else { Mending::Not });
        }
        Ok(waiting)
    }

    /// Takes the frames out of the ready bytes whose questions were answered while they waited for a broker.
    pub(super) fn sift(&self, intake: &mut Intake) {
        if !self.sift.take() {
            return;
        }
        let ready = intake.ready();
        let (mut at, mut name) = (0, self.first_unsent.get());
        let mut stays = Vec::new();
        while let Some(size) = ready.get(at..).and_then(<[u8]>::first_chunk) {
            let end = at + SIZE_BYTES + usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
            let frame = &ready[at..end.min(ready.len())];
            let prefix = head::request_prefix(&frame[SIZE_BYTES..]);
            let place = prefix.map_or(Place::Nobodys, |prefix| {
                let (place, next) = self.in_flight.place(name, prefix.correlation);
                name = next;
                place
            });
            match place {
                Place::Waits | Place::Nobodys => stays.extend_from_slice(frame),
                Place::Answered => self.due.set(self.due.get() - frame.len()),
                Place::Given => {
                    self.due.set(self.due.get() - frame.len());
                    self.cut.set(end > ready.len());
                }
            }
            at = end;
        }
        intake.keep_ready(&stays);
        if self.cut.get() {
            self.rest.set(self.due.get() - stays.len());
        }
    }

    /// The name of the question of which not all bytes have come; one that nobody has if there is none.
    pub(super) fn last_on_its_way(&self) -> u64 {
        let is_on_its_way = self.cut.get() || self.is_swallowing.get() || self.is_open.get();
        if is_on_its_way { self.last_owed() } else { u64::MAX }
    }

    /// The name of the last question, if a broker owes its answer; else one that nobody has.
    fn last_owed(&self) -> u64 {
        if self.is_owed.get() { self.in_flight.next_name().wrapping_sub(1) } else { u64::MAX }
    }

    /// Of the frame whose beginning has left, no more leaves.
    fn rest_is_partly_gone(&self) {
        if self.rest_is_owed.get() {
            self.in_flight.with_asked(self.first_unsent.get(), |asked| asked.left = Left::Partly);
        }
    }

    /// The broker broke after `n` more of the ready bytes. What has left has left; of the rest, what has its beginning goes
    /// to the next broker.
    pub(super) fn broke(&self, intake: &mut Intake, n: usize) {
        let ready = intake.ready();
        let rest = self.rest.get().min(ready.len());
        let now = Moment::now();
        if n < rest || rest < self.rest.get() {
            // A frame whose beginning left before: what is here of it is of no use.
            if rest < self.rest.get() {
                self.cut.set(true);
            }
            self.rest_is_partly_gone();
            if rest == self.rest.get() {
                self.first_unsent.set(self.first_unsent.get() + u64::from(self.rest_is_owed.get()));
            }
            intake.gone_first(rest);
            self.due.set(self.due.get() - rest);
            self.rest.set(self.rest.get() - rest);
            return;
        }
        // Whole frames that left, then one that has all of its bytes yet.
        let mut at = rest;
        let mut correlations = Vec::new();
        while let Some(size) = ready.get(at..).and_then(<[u8]>::first_chunk) {
            let end = at + SIZE_BYTES + usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
            if end > n {
                break;
            }
            let prefix = head::request_prefix(&ready[at + SIZE_BYTES..end]);
            correlations.extend(prefix.map(|prefix| prefix.correlation));
            at = end;
        }
        let with_rest = rest > 0 && self.rest_is_owed.get();
        self.first_unsent.set(self.in_flight.left(self.first_unsent.get(), with_rest, &correlations, now));
        intake.gone_first(at);
        self.due.set(self.due.get() - at);
        self.rest.set(0);
    }

    /// Nobody takes the ready bytes: who asked has been told. The rest of the frame on its way goes nowhere, too.
    pub(super) fn drop_ready(&self, intake: &mut Intake) {
        let ready = intake.ready().len();
        intake.gone_first(ready);
        let left = self.due.get() - ready;
        if left > 0 {
            self.cut.set(true);
            self.in_flight.with_asked(self.last_owed(), |asked| asked.left = Left::Partly);
        }
        self.first_unsent.set(self.in_flight.next_name());
        self.due.set(left);
        self.rest.set(left);
    }

    /// All of a frame has come whose beginning was lost: it is asked again, or answered.
    pub(super) fn swallowed(&self) -> Result<(), Ended> {
        self.is_swallowing.set(false);
        self.due.set(0);
        self.rest.set(0);
        self.first_unsent.set(self.in_flight.next_name());
        let hope = if self.mending.get() == Mending::Wanted { Hope::Left } else { Hope::Gone };
        self.judge_partly_gone(hope)
    }
}
