//! From the broker to the client, in the order of the questions: answers are matched to what is owed, addresses
//! become the gateway's, bytes flow on unheld.

mod ordinary;
mod timed;
mod treat;

use std::task::Poll;

use wire::api::AnswerPath;
use wire::tail;
use wire::walk::{Fed, Walker};

use self::timed::Timed;
use self::treat::Begun;
use super::Pump;
use crate::ended::{Ended, Side, Why};
use crate::in_flight::Asked;
use crate::limits::Metered;
use crate::moment::Moment;
use crate::pool::Intake;
use crate::timer;

/// An answer that ends before what the gateway has to see of it.
const FRONT_CUT: wire::Malformed = wire::Malformed::Truncated { what: "an answer's structure", at: 0 };

/// Where in an answer the direction stands.
enum Frame {
    /// Between answers.
    Boundary,
    /// The rest of an answer flows by.
    Passing { left: usize },
    /// A streamed answer flows by, its structure followed to the tail.
    Walking { asked: Asked, left: usize, walker: Box<Walker>, metered: Option<Box<Metered>> },
    /// The last bytes of a streamed answer, wanted whole.
    Tail { asked: Asked, left: usize },
    /// An answer larger than a buffer is gathered to be rewritten.
    Gathering { asked: Asked, left: usize, frame: Vec<u8> },
}

impl Frame {
    /// How many of the next bytes may pass unseen.
    fn unseen(&self) -> usize {
        match self {
            Frame::Passing { left } => *left,
            Frame::Walking { left, walker, metered: None, .. } => {
                usize::try_from(walker.unseen()).unwrap_or(usize::MAX).min(*left)
            }
            Frame::Boundary | Frame::Walking { .. } | Frame::Tail { .. } | Frame::Gathering { .. } => 0,
        }
    }

    /// They have passed.
    fn pass_unseen(&mut self) {
        let unseen = self.unseen();
        match self {
            Frame::Passing { left } => *left -= unseen,
            Frame::Walking { left, walker, .. } => {
                *left -= unseen;
                walker.pass_unseen(unseen as u64);
            }
            Frame::Boundary | Frame::Tail { .. } | Frame::Gathering { .. } => {}
        }
    }
}

/// What a wait for the broker's bytes gave.
enum Filled {
    /// So many bytes; none at the end of the broker's stream.
    Bytes(usize),
    /// An answer that is here is due: one of the gateway's own, or one that was held back.
    Due,
    /// The broker was lost.
    Lost,
}

/// How a step over the intake ended.
#[derive(PartialEq, Eq)]
enum Flow {
    /// There may be more to do.
    On,
    /// Nothing to do until more bytes come.
    More,
}

impl Pump {
    /// Carries answers until the broker or the client ends.
    pub(super) async fn responses(&self) -> Ended {
        let mut intake = Intake::default();
        let mut frame = Frame::Boundary;
        let mut timed = Timed::default();
        let mut losses = self.losses.get();
        loop {
            let filled = match self.splice_answer(&mut intake, frame.unseen(), losses).await {
                Ok(Some(true)) => {
                    frame.pass_unseen();
                    Ok(Filled::Due)
                }
                Ok(Some(false)) if self.losses.get() == losses => Ok(Filled::Bytes(0)),
                Ok(Some(false)) => Ok(Filled::Lost),
                Ok(None) => {
                    self.fill_from_broker(&mut intake, matches!(frame, Frame::Boundary), losses).await
                }
                Err(ended) => return ended,
            };
            match filled {
                Ok(Filled::Bytes(0)) => self.lose(&self.broker_left(&frame, &mut intake)),
                Ok(Filled::Bytes(n)) => {
                    self.session.counts.from_broker(n);
                    self.session.broker_answers();
                }
                Ok(Filled::Due) => {}
                Ok(Filled::Lost) => {
                    losses = self.losses.get();
                    self.held_until.set(None);
                    match frame {
                        // What had come of an answer was held back, and goes nowhere.
                        Frame::Boundary => intake = Intake::default(),
                        Frame::Passing { .. }
                        | Frame::Walking { .. }
                        | Frame::Tail { .. }
                        | Frame::Gathering { .. } => {
                            return Ended::broker(Why::CutOff).because("inside an answer that was begun");
                        }
                    }
                    continue;
                }
                Err(ended) => return ended,
            }
            if self.losses.get() != losses {
                continue;
            }
            match self.pass_answers(&mut intake, &mut frame, &mut timed).await {
                Ok(()) => {}
                // It does not keep to the protocol: perhaps another connection does. What came before it is right.
                Err(ended) if ended.side == Side::Broker && matches!(frame, Frame::Boundary) => {
                    if let Err(ended) = self.hand_out(&mut intake).await {
                        return ended;
                    }
                    self.lose(&ended);
                }
                Err(ended) => return ended,
            }
        }
    }

    fn broker_left(&self, frame: &Frame, intake: &mut Intake) -> Ended {
        let between = matches!(frame, Frame::Boundary) && intake.is_empty();
        let why = match self.in_flight.len() {
            // Brokers close what has been idle for a while, as any client knows.
            0 if between => return Ended::broker(Why::Closed),
            _ if between => Why::Unanswered,
            _ => Why::CutOff,
        };
        Ended::broker(why).because(format_args!("{} answers owed", self.in_flight.len()))
    }

    /// Waits for the broker's bytes, or for an answer that is here to become due. Nothing is read while others are asked what
    /// the client is to hear first.
    /// Cancel-safe: a byte that was read is in the intake.
    async fn fill_from_broker(
        &self,
        intake: &mut Intake,
        at_boundary: bool,
        losses: u32,
    ) -> Result<Filled, Ended> {
        let (mut holding, mut waits) = (None, false);
        std::future::poll_fn(|cx| {
            if self.losses.get() != losses {
                return Poll::Ready(Ok(Filled::Lost));
            }
            if at_boundary && self.in_flight.front_is_ours() {
                return Poll::Ready(Ok(Filled::Due));
            }
            if let Some(until) = self.held_until.get() {
                let holding = holding.get_or_insert_with(|| Box::pin(timer::sleep_until(until)));
                return holding.as_mut().poll(cx).map(|()| {
                    self.held_until.set(None);
                    Ok(Filled::Due)
                });
            }
            if at_boundary && self.in_flight.front_is_elsewhere() {
                return Poll::Pending;
            }
            // Without a broker there is nothing to wait for: one is made in this task, before this poll.
            let broker = self.broker.borrow();
            let Some(broker) = &*broker else { return Poll::Pending };
            if intake.is_full() {
                return Poll::Ready(Err(
                    Ended::gateway(Why::BadAnswer).because("an answer's head does not fit")
                ));
            }
            match broker.poll_take(cx, intake, &mut waits) {
                Poll::Ready(Ok(n)) => Poll::Ready(Ok(Filled::Bytes(n))),
                Poll::Ready(Err(_gone)) => Poll::Ready(Ok(Filled::Bytes(0))),
                Poll::Pending => {
                    intake.release_if_empty();
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Disposes of what was read: all of it, but for an unfinished head or an answer that is wanted whole.
    async fn pass_answers(
        &self,
        intake: &mut Intake,
        frame: &mut Frame,
        timed: &mut Timed,
    ) -> Result<(), Ended> {
        let at = Moment::now();
        self.moved_at.set(at);
        self.heard_at.set(at);
        loop {
            let flow = match frame {
                Frame::Passing { .. } | Frame::Walking { .. } | Frame::Tail { .. } => {
                    self.follow_answer(frame, intake)?
                }
                Frame::Gathering { .. } => Box::pin(self.gather_answer(intake, frame)).await?,
                Frame::Boundary => self.between_answers(intake, frame, timed, at).await?,
            };
            if flow == Flow::More {
                break;
            }
        }
        self.hand_out(intake).await?;
        if matches!(frame, Frame::Boundary) {
            self.in_flight.settled();
        }
        timed.settle(self, at);
        Ok(())
    }

    /// Between two answers: the gateway's own come first where they are due, then the broker's next one begins.
    async fn between_answers(
        &self,
        intake: &mut Intake,
        frame: &mut Frame,
        timed: &mut Timed,
        at: Moment,
    ) -> Result<Flow, Ended> {
        self.pass_ordinary_answers(intake, timed);
        if let Some(answer) = self.in_flight.pop_ours() {
            Box::pin(self.put_in(intake, 0, &answer)).await?;
            return Ok(Flow::On);
        }
        if intake.rest().is_empty() || self.in_flight.front_is_elsewhere() {
            return Ok(Flow::More);
        }
        match self.begin_answer(intake.rest(), at, timed)? {
            Begun::More => return Ok(Flow::More),
            Begun::Frame(ahead, begun) => {
                intake.pass(ahead);
                *frame = begun;
            }
            Begun::Elsewhere(consumed) => Box::pin(self.put_in(intake, consumed, &[])).await?,
            Begun::Instead { bytes, consumed, left } if intake.replace(consumed, &bytes) => {
                *frame = Frame::Passing { left: bytes.len() + left };
            }
            Begun::Instead { bytes, consumed, left } => {
                Box::pin(self.put_in(intake, consumed, &bytes)).await?;
                *frame = Frame::Passing { left };
            }
        }
        Ok(Flow::On)
    }

    /// Writes what is ready, then `bytes` in the place of the next `consumed` ones. To be boxed, as all that is seldom, so that
    /// a connection does not carry the room for it.
    async fn put_in(&self, intake: &mut Intake, consumed: usize, bytes: &[u8]) -> Result<(), Ended> {
        self.hand_out(intake).await?;
        intake.take_out(consumed);
        if bytes.is_empty() { Ok(()) } else { self.to_client(bytes).await }
    }

    /// Lets what is there of an answer in progress go on.
    fn follow_answer(&self, frame: &mut Frame, intake: &mut Intake) -> Result<Flow, Ended> {
        let there = intake.rest().len();
        match frame {
            Frame::Passing { left } => {
                let n = there.min(*left);
                intake.pass(n);
                *left -= n;
                if *left > 0 {
                    return Ok(Flow::More);
                }
                *frame = Frame::Boundary;
            }
            Frame::Walking { asked, left, walker, metered } => {
                let n = there.min(*left);
                let fed = self.feed(*asked, walker, metered.as_deref_mut(), &intake.rest()[..n])?;
                match fed {
                    Fed::All if n < *left => {
                        intake.pass(n);
                        *left -= n;
                        return Ok(Flow::More);
                    }
                    Fed::All if !walker.in_tail() => return Err(bad(FRONT_CUT)),
                    Fed::All => {
                        intake.pass(n);
                        *frame = Frame::Boundary;
                    }
                    Fed::Tail(before) => {
                        if walker.errors() > 0 {
                            self.session.counts.failed(asked.api);
                        }
                        intake.pass(before);
                        let left = *left - before;
                        *frame = match asked.api.answer_path(asked.version) {
                            AnswerPath::Tailed => Frame::Tail { asked: *asked, left },
                            AnswerPath::Pass | AnswerPath::Metadata | AnswerPath::Whole => {
                                Frame::Passing { left }
                            }
                        };
                    }
                }
            }
            Frame::Tail { left, .. } if *left > tail::TAIL_BYTES_MAX => {
                return Err(Ended::broker(Why::BadAnswer).because("the tail of an answer is too long"));
            }
            Frame::Tail { left, .. } if there < *left => return Ok(Flow::More),
            Frame::Tail { asked, left } => {
                self.rewrite_tail(*asked, &mut intake.rest()[..*left])?;
                intake.pass(*left);
                *frame = Frame::Boundary;
            }
            Frame::Boundary | Frame::Gathering { .. } => {}
        }
        Ok(Flow::On)
    }

    /// Adds to an answer that is wanted whole, and hands it out rewritten once it is.
    async fn gather_answer(&self, intake: &mut Intake, frame: &mut Frame) -> Result<Flow, Ended> {
        self.hand_out(intake).await?;
        let Frame::Gathering { asked, left, frame: gathered } = frame else { return Ok(Flow::On) };
        let n = intake.rest().len().min(*left);
        gathered.extend_from_slice(&intake.rest()[..n]);
        intake.take_out(n);
        *left -= n;
        if *left > 0 {
            return Ok(Flow::More);
        }
        let bytes = self.rewrite_gathered(*asked, gathered)?;
        *frame = Frame::Boundary;
        self.to_client(&bytes).await?;
        Ok(Flow::On)
    }

    async fn hand_out(&self, intake: &mut Intake) -> Result<(), Ended> {
        if !intake.ready().is_empty() {
            self.to_client(intake.ready()).await?;
            intake.gone();
        }
        Ok(())
    }
}

fn bad(error: wire::Malformed) -> Ended {
    Ended::broker(Why::BadAnswer).because(error)
}
