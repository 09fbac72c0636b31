//! Large frames, as far as nobody has to see them: from socket to socket through a pipe.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::{Pump, Towards};
use crate::ended::{Ended, Why};
use crate::moment::Moment;
use crate::pipe::Pipe;
use crate::pool::Intake;
use crate::stream::Stream;

/// Less than this is copied: what a pipe costs is more.
const SPLICED_BYTES_MIN: usize = 64 * 1024;

/// How much is read at once where another large frame may begin, of which no more should be copied.
const HEAD_BYTES: usize = 16 * 1024;

/// How much is read at once of a large frame for which no pipe was left.
const CROWDED_BYTES: usize = 64 * 1024;

/// What one step has done.
enum Step {
    /// So many bytes are in the pipe; none at the end of the stream.
    In(io::Result<usize>),
    /// So many bytes have left.
    Out(io::Result<usize>),
}

/// Bytes on their way.
struct Passage<'a> {
    from: &'a Stream,
    to: &'a Stream,
    pipe: Pipe,
    /// Bytes that have not come yet.
    left: usize,
}

impl Passage<'_> {
    fn is_over(&self) -> bool {
        self.left == 0 && self.pipe.held() == 0
    }

    /// Lets what is in the pipe leave, or fills it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if self.pipe.held() > 0 {
            return self.to.poll_empty(cx, &mut self.pipe).map(Step::Out);
        }
        let filled = ready!(self.from.poll_fill(cx, &mut self.pipe, self.left));
        self.left -= filled.as_ref().copied().unwrap_or(0);
        Poll::Ready(Step::In(filled))
    }
}

impl Pump {
    /// A pipe for so many bytes that have not come yet, if they are worth one, none is left in between and the broker that is there
    /// takes them as they are.
    fn passage(&self, intake: &mut Intake, left: usize) -> Option<(Rc<Stream>, Pipe)> {
        if left < SPLICED_BYTES_MIN || !intake.is_empty() || !self.client.is_plain() {
            return None;
        }
        let broker = self.broker.borrow().clone().filter(|broker| broker.is_plain())?;
        let pipe = Pipe::lend();
        intake.take_next(if pipe.is_some() { HEAD_BYTES } else { CROWDED_BYTES });
        pipe.map(|pipe| (broker, pipe))
    }

    /// Makes a step towards `to`, noting when that stops taking bytes; `None` once the broker is lost.
    async fn step(&self, passage: &mut Passage<'_>, to: Towards, losses: u32) -> Option<Step> {
        let stalled = &self.stalled[to as usize];
        let step = std::future::poll_fn(|cx| {
            if self.losses.get() != losses {
                return Poll::Ready(None);
            }
            let polled = passage.poll(cx);
            if polled.is_pending() && passage.pipe.held() > 0 && stalled.get().is_none() {
                stalled.set(Some(Moment::now()));
            }
            polled.map(Some)
        });
        let step = step.await;
        stalled.set(None);
        let now = Moment::now();
        self.moved_at.set(now);
        self.heard_at.set(now);
        step
    }

    /// Lets the rest of a large request go to the broker, of which `left` bytes have not come. It stops where the broker is
    /// lost. False where it has to be copied.
    pub(super) async fn splice_request(&self, intake: &mut Intake, left: &mut usize) -> Result<bool, Ended> {
        let Some((broker, pipe)) = self.passage(intake, *left) else { return Ok(false) };
        let losses = self.losses.get();
        let mut passage = Passage { from: &self.client, to: &broker, pipe, left: *left };
        while !passage.is_over() {
            match self.step(&mut passage, Towards::Broker, losses).await {
                None => break,
                Some(Step::In(Ok(0))) => return Err(Ended::client(Why::CutOff)),
                Some(Step::In(Ok(n))) => {
                    *left -= n;
                    self.read_from_client(n);
                }
                Some(Step::In(Err(error))) => return Err(Ended::client(Why::Io).because(error)),
                Some(Step::Out(Ok(n))) => {
                    self.session.counts.to_broker(n);
                    self.have_left(n);
                }
                Some(Step::Out(Err(error))) => {
                    self.lose_if(&broker, &Ended::broker(Why::Io).because(error));
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Lets the next `left` bytes of a large answer, which have not come, go to the client. `None` where they have to be copied;
    /// else whether they have gone. They have not where a broker was lost since `losses` were counted: what another one sends is no
    /// part of this answer.
    pub(super) async fn splice_answer(
        &self,
        intake: &mut Intake,
        left: usize,
        losses: u32,
    ) -> Result<Option<bool>, Ended> {
        let Some((broker, pipe)) = self.passage(intake, left) else { return Ok(None) };
        let mut passage = Passage { from: &broker, to: &self.client, pipe, left };
        while !passage.is_over() {
            match self.step(&mut passage, Towards::Client, losses).await {
                None | Some(Step::In(Ok(0) | Err(_))) => return Ok(Some(false)),
                Some(Step::In(Ok(n))) => {
                    self.session.counts.from_broker(n);
                    self.session.broker_answers();
                }
                Some(Step::Out(Ok(n))) => self.wrote_to_client(n),
                Some(Step::Out(Err(error))) => return Err(Ended::client(Why::Io).because(error)),
            }
        }
        Ok(Some(true))
    }
}
