//! From the broker to the client, in the order of the questions: answers are matched to what is owed, addresses
//! become the gateway's, bytes flow on unheld.

use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wire::answer::{self, Front, Splice};
use wire::api::{AnswerPath, Api};
use wire::tail::{self, TailOutcome};
use wire::walk::{Fed, Walker};
use wire::{Book, NodeId};

use super::Pump;
use crate::ended::{Ended, Why};
use crate::frames::SIZE_BYTES;
use crate::in_flight::{Asked, Treatment};
use crate::pool::{BUFFER_BYTES, Intake};
use crate::stream::Stream;

/// Answers up to this size go to the client only once they are whole, so that a broker's end does not cut them.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// The largest answer that is gathered because its addresses can be anywhere in it.
const GATHERED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Answers whose times are kept until their bytes are written; further ones count without that last write.
const TIMED_MAX: usize = 32;

/// An answer that ends before what the gateway has to see of it.
const FRONT_CUT: wire::Malformed = wire::Malformed::Truncated { what: "an answer's structure", at: 0 };

/// Where in an answer the direction stands.
enum Frame {
    /// Between answers.
    Boundary,
    /// The rest of an answer flows by.
    Passing { left: usize },
    /// A streamed answer flows by, its structure followed to the tail.
    Walking { asked: Asked, left: usize, walker: Box<Walker> },
    /// The last bytes of a streamed answer, wanted whole.
    Tail { asked: Asked, left: usize },
    /// An answer larger than a buffer is gathered to be rewritten.
    Gathering { asked: Asked, left: usize, frame: Vec<u8> },
}

/// What the bytes at a boundary allow.
enum Begun {
    /// The head, or an answer that is wanted whole, is not complete.
    More,
    /// The first `ahead` bytes may go; then the answer continues as told.
    Frame(usize, Frame),
    /// These bytes, with their size, go in place of the first `consumed` unread ones; `left` more pass.
    Instead { bytes: Vec<u8>, consumed: usize, left: usize },
}

/// Answers that are on their way out, with what the gateway has spent on them so far.
#[derive(Default)]
struct Timed(Vec<(Api, Duration)>);

impl Pump {
    /// Carries answers until the broker or the client ends.
    pub(super) async fn responses(&self) -> Ended {
        let mut intake = Intake::default();
        let mut frame = Frame::Boundary;
        let mut timed = Timed::default();
        loop {
            match self.fill_from_broker(&mut intake, matches!(frame, Frame::Boundary)).await {
                Ok(Some(0)) => return self.broker_left(&frame, &mut intake),
                Ok(Some(n)) => self.session.counts.from_broker(n),
                Ok(None) => {}
                Err(ended) => return ended,
            }
            if let Err(ended) = self.pass_answers(&mut intake, &mut frame, &mut timed).await {
                return ended;
            }
        }
    }

    fn broker_left(&self, frame: &Frame, intake: &mut Intake) -> Ended {
        let owed = self.in_flight.len();
        let between = matches!(frame, Frame::Boundary) && intake.is_empty();
        if between && owed == 0 {
            // Brokers close what has been idle for a while, as any client knows.
            return Ended::broker(Why::Closed);
        }
        Ended::broker(Why::CutOff).because(format_args!("{owed} answers owed"))
    }

    /// Waits for the broker's bytes, or for an answer of the gateway's own to come to the front (`None`).
    /// Cancel-safe: a byte that was read is in the intake.
    async fn fill_from_broker(&self, intake: &mut Intake, at_boundary: bool) -> Result<Option<usize>, Ended> {
        let mut broker: Option<Rc<Stream>> = None;
        std::future::poll_fn(|cx| {
            if at_boundary && intake.is_empty() && self.in_flight.front_is_ours() {
                return Poll::Ready(Ok(None));
            }
            if broker.is_none() {
                broker.clone_from(&self.broker.borrow());
            }
            // Without a broker there is nothing to wait for: `requests` dials in this task, before this poll.
            let Some(broker) = &broker else { return Poll::Pending };
            let space = intake.space();
            if space.is_empty() {
                return Poll::Ready(Err(
                    Ended::broker(Why::BadAnswer).because("an answer's head does not fit")
                ));
            }
            match broker.poll_read(cx, space) {
                Poll::Ready(Ok(n)) => {
                    intake.filled(n);
                    Poll::Ready(Ok(Some(n)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(Ended::broker(Why::Io).because(error))),
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
        let now = Instant::now();
        self.moved_at.set(now);
        // Bytes in front of `ready` may go to the client in one write.
        let mut ready = 0;
        loop {
            let unread = intake.unread();
            let there = unread.len() - ready;
            match frame {
                Frame::Passing { left } => {
                    let n = there.min(*left);
                    ready += n;
                    *left -= n;
                    if *left > 0 {
                        break;
                    }
                    *frame = Frame::Boundary;
                }
                Frame::Walking { asked, left, walker } => {
                    let n = there.min(*left);
                    match walker.feed(&unread[ready..ready + n]).map_err(bad)? {
                        Fed::All => {
                            ready += n;
                            *left -= n;
                            if *left > 0 {
                                break;
                            }
                            if !walker.in_tail() {
                                return Err(bad(FRONT_CUT));
                            }
                            *frame = Frame::Boundary;
                        }
                        Fed::Tail(before) => {
                            ready += before;
                            *frame = Frame::Tail { asked: *asked, left: *left - before };
                        }
                    }
                }
                Frame::Tail { asked, left } => {
                    if *left > tail::TAIL_BYTES_MAX {
                        return Err(
                            Ended::broker(Why::BadAnswer).because("the tail of an answer is too long")
                        );
                    }
                    if there < *left {
                        break;
                    }
                    self.rewrite_tail(*asked, &mut unread[ready..ready + *left])?;
                    ready += *left;
                    *frame = Frame::Boundary;
                }
                Frame::Gathering { asked, left, frame: gathered } => {
                    let n = there.min(*left);
                    gathered.extend_from_slice(&unread[ready..ready + n]);
                    *left -= n;
                    let whole = *left == 0;
                    let instead = if whole { Some(self.rewrite_gathered(*asked, gathered)?) } else { None };
                    self.hand_out(intake, ready).await?;
                    intake.consume(n);
                    ready = 0;
                    let Some(bytes) = instead else { break };
                    *frame = Frame::Boundary;
                    self.to_client(&bytes).await?;
                }
                Frame::Boundary => {
                    if self.in_flight.front_is_ours() {
                        self.hand_out(intake, ready).await?;
                        ready = 0;
                        if let Some(answer) = self.in_flight.pop_ours() {
                            self.to_client(&answer).await?;
                        }
                        continue;
                    }
                    if there == 0 {
                        break;
                    }
                    match self.begin_answer(&unread[ready..], now, timed)? {
                        Begun::More => break,
                        Begun::Frame(ahead, begun) => {
                            ready += ahead;
                            *frame = begun;
                        }
                        Begun::Instead { bytes, consumed, left } => {
                            self.hand_out(intake, ready).await?;
                            intake.consume(consumed);
                            ready = 0;
                            self.to_client(&bytes).await?;
                            *frame = Frame::Passing { left };
                        }
                    }
                }
            }
        }
        self.hand_out(intake, ready).await?;
        if matches!(frame, Frame::Boundary) {
            self.in_flight.settled();
        }
        timed.settle(self, now);
        Ok(())
    }

    async fn hand_out(&self, intake: &mut Intake, ready: usize) -> Result<(), Ended> {
        if ready > 0 {
            self.to_client(&intake.unread()[..ready]).await?;
            intake.consume(ready);
        }
        Ok(())
    }

    /// Matches an answer's head to what is owed and decides how it travels.
    fn begin_answer(&self, unread: &[u8], now: Instant, timed: &mut Timed) -> Result<Begun, Ended> {
        let Some((size, frame)) = unread.split_first_chunk::<SIZE_BYTES>() else {
            return Ok(Begun::More);
        };
        let Some(correlation) = frame.first_chunk::<4>() else { return Ok(Begun::More) };
        let announced = i32::from_be_bytes(*size);
        let size = usize::try_from(announced).unwrap_or(0);
        if size < correlation.len() {
            return Err(Ended::broker(Why::BadAnswer).because(format_args!("a frame of {announced} bytes")));
        }
        let asked = self
            .in_flight
            .front_asked()
            .ok_or_else(|| Ended::broker(Why::BadAnswer).because("an answer that nobody asked for"))?;
        if asked.correlation.0 != i32::from_be_bytes(*correlation) {
            return Err(Ended::broker(Why::BadAnswer).because("an answer to another question"));
        }
        let there = frame.len().min(size);
        let begun = self.treat(asked, size, &frame[..there])?;
        if !matches!(begun, Begun::More) {
            self.in_flight.pop_asked();
            let since = now.saturating_duration_since(asked.sent_at);
            self.session.counts.answered(asked.api, since);
            timed.note(self, asked.api, asked.sent_at.saturating_duration_since(asked.read_at));
        }
        Ok(begun)
    }

    /// How the answer to `asked` travels; `frame` is what is there of its `size` bytes.
    fn treat(&self, asked: Asked, size: usize, frame: &[u8]) -> Result<Begun, Ended> {
        let passing = Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size });
        let whole = frame.len() == size;
        if size <= WHOLE_BYTES_MAX && !whole {
            return Ok(Begun::More);
        }
        let book = self.session.book();
        let mut left_out = Vec::new();
        let path = match asked.treatment {
            Treatment::ByTable => asked.api.answer_path(asked.version),
            Treatment::MaskConfigs => AnswerPath::Whole,
        };
        let begun = match path {
            AnswerPath::Pass => passing,
            AnswerPath::Metadata => {
                match answer::metadata_front(asked.version, frame, &book, &mut left_out).map_err(bad)? {
                    Front::Need if whole => return Err(bad(FRONT_CUT)),
                    Front::Need => Begun::More,
                    Front::Done { consumed, replacement } => {
                        let bytes = framed(size - consumed + replacement.len(), &replacement)?;
                        Begun::Instead { bytes, consumed: SIZE_BYTES + consumed, left: size - consumed }
                    }
                }
            }
            AnswerPath::Tailed if !whole => match Walker::answer(asked.api, asked.version) {
                // The walker starts behind the size, which passes as it is.
                Some(walker) => {
                    Begun::Frame(SIZE_BYTES, Frame::Walking { asked, left: size, walker: Box::new(walker) })
                }
                None => passing,
            },
            AnswerPath::Whole | AnswerPath::Tailed if whole => {
                match splice(asked, frame, &book, &mut left_out)? {
                    Splice::Unchanged => passing,
                    Splice::Replaced(new) => {
                        let bytes = framed(new.len(), &new)?;
                        Begun::Instead { bytes, consumed: SIZE_BYTES + size, left: 0 }
                    }
                }
            }
            AnswerPath::Whole | AnswerPath::Tailed if size + SIZE_BYTES <= BUFFER_BYTES => Begun::More,
            AnswerPath::Whole | AnswerPath::Tailed if size <= GATHERED_BYTES_MAX => {
                Begun::Frame(0, Frame::Gathering { asked, left: SIZE_BYTES + size, frame: Vec::new() })
            }
            AnswerPath::Whole | AnswerPath::Tailed => {
                let what = format!("{} answer of {size} bytes", asked.api.name());
                return Err(Ended::broker(Why::TooLarge).because(what));
            }
        };
        self.session.missed(&left_out);
        Ok(begun)
    }

    /// The rewritten form of a gathered answer, which came with its size.
    fn rewrite_gathered(&self, asked: Asked, gathered: &mut Vec<u8>) -> Result<Vec<u8>, Ended> {
        let mut left_out = Vec::new();
        let book = self.session.book();
        let splice = splice(asked, &gathered[SIZE_BYTES..], &book, &mut left_out)?;
        self.session.missed(&left_out);
        match splice {
            Splice::Unchanged => Ok(std::mem::take(gathered)),
            Splice::Replaced(new) => framed(new.len(), &new),
        }
    }

    fn rewrite_tail(&self, asked: Asked, tail_bytes: &mut [u8]) -> Result<(), Ended> {
        let mut left_out = Vec::new();
        let book = self.session.book();
        let outcome = tail::rewrite_in_place(asked.api, asked.version, tail_bytes, &book, &mut left_out);
        match outcome.map_err(bad)? {
            TailOutcome::Untouched | TailOutcome::Rewritten => {}
            TailOutcome::Masked => self.session.counts.masked(),
        }
        self.session.missed(&left_out);
        Ok(())
    }
}

impl Timed {
    fn note(&mut self, pump: &Pump, api: Api, before: Duration) {
        if self.0.len() < TIMED_MAX {
            self.0.push((api, before));
        } else {
            pump.session.counts.spent(api, before);
        }
    }

    /// Counts what the gateway spent on the answers whose bytes are written now.
    fn settle(&mut self, pump: &Pump, read_at: Instant) {
        if self.0.is_empty() {
            return;
        }
        let writing = read_at.elapsed();
        for (api, before) in self.0.drain(..) {
            pump.session.counts.spent(api, before + writing);
        }
    }
}

/// The rewritten form of a whole answer.
fn splice(asked: Asked, frame: &[u8], book: &Book, left_out: &mut Vec<NodeId>) -> Result<Splice, Ended> {
    match asked.treatment {
        Treatment::ByTable => answer::rewrite(asked.api, asked.version, frame, book, left_out),
        Treatment::MaskConfigs => answer::mask_broker_configs(asked.version, frame),
    }
    .map_err(bad)
}

/// `bytes` behind the announcement of a frame of `size` bytes.
fn framed(size: usize, bytes: &[u8]) -> Result<Vec<u8>, Ended> {
    let announced = i32::try_from(size).map_err(|_| Ended::broker(Why::TooLarge))?;
    let mut framed = Vec::with_capacity(SIZE_BYTES + bytes.len());
    framed.extend_from_slice(&announced.to_be_bytes());
    framed.extend_from_slice(bytes);
    Ok(framed)
}

fn bad(error: wire::Malformed) -> Ended {
    Ended::broker(Why::BadAnswer).because(error)
}
