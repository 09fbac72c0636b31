//! From the client to the broker: heads are read, what is owed is noted, bytes flow on unheld.

mod begin;
mod changes;
mod leave;
mod limit;
mod ordinary;
mod reject;

use std::task::Poll;

use wire::walk::{Fed, Walker};

use self::begin::Begun;
use self::limit::Heard;
use self::reject::Rejected;
use super::Pump;
use crate::ended::{Ended, Side, Why};
use crate::frames::HEAD_CUT;
use crate::limits::Admission;
use crate::moment::Moment;
use crate::pool::Intake;

/// Where in a frame the direction stands.
enum Frame {
    /// Between frames.
    Boundary,
    /// The rest of a frame flows by.
    Passing { left: usize },
    /// A Fetch request flows by, its structure followed to the tail.
    Walking { left: usize, walker: Box<Walker> },
    /// A Produce request flows by, listened to.
    Metering { left: usize, heard: Box<Heard> },
    /// The rest of a frame whose beginning went to a broker that is gone.
    Swallowing { left: usize, heard: Option<Box<Heard>> },
    /// A Produce request that a limit rejects: nothing of it goes on, and what the answer must name is noted.
    Rejecting(Box<Rejected>),
    /// The last bytes of a Fetch request, wanted whole.
    Tail { left: usize },
    /// A frame is gathered to be answered or judged.
    Gathering { left: usize, frame: Vec<u8> },
}

/// How a step over the intake ended.
#[derive(PartialEq, Eq)]
enum Flow {
    /// There may be more to do.
    On,
    /// Nothing to do until more bytes come.
    More,
    /// A drain is on and the direction stands between frames.
    Drained,
}

impl Pump {
    /// Carries requests until the client or the broker ends, or the drain is complete.
    pub(super) async fn requests(&self, early: Vec<u8>) -> Ended {
        let mut intake = Intake::default();
        intake.seed(&early);
        drop(early);
        if let Err(ended) = Box::pin(self.be_promised(&mut intake)).await {
            return ended;
        }
        let mut frame = Frame::Boundary;
        loop {
            let passed = match self.pass_requests(&mut intake, &mut frame).await {
                Ok(passed) => passed,
                Err(ended) => return ended,
            };
            let at_boundary = matches!(frame, Frame::Boundary);
            let filled = match passed {
                Flow::On | Flow::More => self.fill_from_client(&mut intake, at_boundary).await,
                Flow::Drained => Ok(Filled::Drained),
            };
            match filled {
                Ok(Filled::Bytes(0)) if at_boundary && intake.is_empty() => {
                    return Ended::client(Why::Closed);
                }
                Ok(Filled::Bytes(0)) => return Ended::client(Why::CutOff),
                Ok(Filled::Bytes(n)) => self.read_from_client(n),
                Ok(Filled::Drained) => {
                    self.in_flight.empty().await;
                    let (side, why) = self.draining.get().unwrap_or((Side::Gateway, Why::Shutdown));
                    return Ended::new(side, why);
                }
                Err(ended) => return ended,
            }
        }
    }

    /// Waits for the client's first bytes, then for the topology that says what may be asked.
    async fn be_promised(&self, intake: &mut Intake) -> Result<(), Ended> {
        if intake.is_empty() {
            match self.fill_from_client(intake, true).await? {
                Filled::Bytes(0) => return Err(Ended::client(Why::Closed)),
                Filled::Bytes(n) => self.read_from_client(n),
                Filled::Drained => {}
            }
        }
        if self.session.promised().is_none() {
            let offer = self.session.offer().await?;
            self.session.promise(offer);
        }
        Ok(())
    }

    pub(super) fn read_from_client(&self, n: usize) {
        self.bytes.from_client.set(self.bytes.from_client.get() + n as u64);
        self.session.counts.from_client(n);
    }

    /// Reads more from the client, unless a drain finds it between frames. Cancel-safe: a byte that was read is in
    /// the intake.
    async fn fill_from_client(&self, intake: &mut Intake, at_boundary: bool) -> Result<Filled, Ended> {
        let (mut rest, mut paused_at, mut waits) = (None, None, false);
        std::future::poll_fn(|cx| {
            if at_boundary && self.draining.get().is_some() {
                return Poll::Ready(Ok(Filled::Drained));
            }
            if at_boundary && self.session.limits.pause.poll(cx, &mut rest).is_pending() {
                paused_at.get_or_insert_with(Moment::now);
                intake.release_if_empty();
                return Poll::Pending;
            }
            if let Some(since) = paused_at.take() {
                self.session.limits.pause.has_waited(since);
            }
            if intake.is_full() {
                return Poll::Ready(Err(
                    Ended::client(Why::TooLarge).because("a request's head does not fit")
                ));
            }
            match self.client.poll_take(cx, intake, &mut waits) {
                Poll::Ready(Ok(n)) => Poll::Ready(Ok(Filled::Bytes(n))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(Ended::client(Why::Io).because(error))),
                Poll::Pending => {
                    self.is_dry(intake);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The client has sent nothing more.
    fn is_dry(&self, intake: &mut Intake) {
        self.session.limits.pause.read_dry();
        intake.release_if_empty();
        self.in_flight.release_if_empty();
    }

    /// Disposes of what was read: all of it, but for an unfinished head or tail.
    async fn pass_requests(&self, intake: &mut Intake, frame: &mut Frame) -> Result<Flow, Ended> {
        // When the bytes at hand were read.
        let mut at = Moment::now();
        self.moved_at.set(at);
        loop {
            if self.cut.take() {
                frame.swallow()?;
                self.is_swallowing.set(true);
            }
            let flow = match frame {
                Frame::Passing { .. } | Frame::Walking { .. } | Frame::Tail { .. } => frame.follow(intake)?,
                Frame::Metering { .. } => self.listen(frame, intake, at)?,
                Frame::Swallowing { .. } => self.swallow(frame, intake, at)?,
                Frame::Rejecting(_) => Box::pin(self.reject_on(frame, intake)).await?,
                Frame::Gathering { .. } => self.gather_on(intake, frame, at).await?,
                Frame::Boundary => self.at_boundary(intake, frame, &mut at).await?,
            };
            if flow != Flow::On {
                self.is_open.set(frame.is_open());
                self.send_on(intake).await;
                self.is_open.set(false);
                if self.cut.get() || self.passes_unseen(frame, intake).await? {
                    continue;
                }
                return Ok(flow);
            }
        }
    }

    /// Lets what has not come of a large frame go on unseen, if it may. What has come has left.
    async fn passes_unseen(&self, frame: &mut Frame, intake: &mut Intake) -> Result<bool, Ended> {
        let Frame::Passing { left } = frame else { return Ok(false) };
        let has_passed = self.splice_request(intake, left).await?;
        if *left == 0 && !self.cut.get() {
            *frame = Frame::Boundary;
        }
        Ok(has_passed)
    }

    /// Between two frames: the next one begins, unless it has to wait or a drain is on.
    async fn at_boundary(
        &self,
        intake: &mut Intake,
        frame: &mut Frame,
        at: &mut Moment,
    ) -> Result<Flow, Ended> {
        if self.draining.get().is_some() {
            return Ok(Flow::Drained);
        }
        self.pass_ordinary(intake, *at);
        if intake.rest().is_empty() {
            return Ok(Flow::More);
        }
        if self.in_flight.is_full() {
            self.send_on(intake).await;
            self.in_flight.space().await;
            return Ok(Flow::On);
        }
        match self.begin(intake.rest(), *at)? {
            Begun::More => Ok(Flow::More),
            Begun::Limited => {
                let admission = self.ask_limits(intake.rest(), *at)?;
                if admission != Admission::Go
                    && let Some(flow) = Box::pin(self.pass_limits(admission, intake, at)).await?
                {
                    return Ok(flow);
                }
                self.session.limits.admitted();
                Ok(Flow::On)
            }
            Begun::Elsewhere(size) => {
                self.session.limits.begun(false);
                self.send_on(intake).await;
                intake.take_out(size);
                self.first_unsent.set(self.in_flight.next_name());
                Ok(Flow::On)
            }
            Begun::Frame(ahead, begun) => {
                self.session.limits.begun(matches!(begun, Frame::Gathering { .. }));
                intake.pass(ahead);
                *frame = begun;
                Ok(Flow::On)
            }
        }
    }

    /// Adds to a frame that is answered or judged, and disposes of it once it is whole.
    async fn gather_on(&self, intake: &mut Intake, frame: &mut Frame, at: Moment) -> Result<Flow, Ended> {
        // What is gathered does not belong to the bytes that go out as they came.
        self.send_on(intake).await;
        let Frame::Gathering { left, frame: gathered } = frame else { return Ok(Flow::On) };
        let n = intake.rest().len().min(*left);
        gathered.extend_from_slice(&intake.rest()[..n]);
        intake.take_out(n);
        *left -= n;
        if *left > 0 {
            return Ok(Flow::More);
        }
        let gathered = std::mem::take(gathered);
        *frame = Frame::Boundary;
        // Boxed, as all that is seldom, so that a connection does not carry the room for it.
        Box::pin(self.gathered(gathered, at)).await?;
        self.session.limits.dealt_with();
        Ok(Flow::On)
    }
}

impl Frame {
    /// Whether more of a frame is to come whose beginning may have left.
    fn is_open(&self) -> bool {
        match self {
            Frame::Passing { .. } | Frame::Walking { .. } | Frame::Metering { .. } | Frame::Tail { .. } => {
                true
            }
            Frame::Boundary | Frame::Rejecting(_) | Frame::Gathering { .. } | Frame::Swallowing { .. } => {
                false
            }
        }
    }

    /// What is to come of this frame goes nowhere: its beginning went to a broker that is gone.
    fn swallow(&mut self) -> Result<(), Ended> {
        *self = match std::mem::replace(self, Frame::Boundary) {
            Frame::Passing { left } => Frame::Swallowing { left, heard: None },
            Frame::Metering { left, heard } => Frame::Swallowing { left, heard: Some(heard) },
            Frame::Walking { .. } | Frame::Tail { .. } => {
                return Err(Ended::broker(Why::CutOff).because("a Fetch request too large to be asked again"));
            }
            Frame::Boundary | Frame::Rejecting(_) | Frame::Gathering { .. } | Frame::Swallowing { .. } => {
                return Ok(());
            }
        };
        Ok(())
    }

    /// Lets what is there of a frame in progress go on.
    fn follow(&mut self, intake: &mut Intake) -> Result<Flow, Ended> {
        let there = intake.rest().len();
        match self {
            Frame::Passing { left } => {
                let n = there.min(*left);
                intake.pass(n);
                *left -= n;
                if *left > 0 {
                    return Ok(Flow::More);
                }
                *self = Frame::Boundary;
            }
            Frame::Walking { left, walker } => {
                let n = there.min(*left);
                match walker.feed(&intake.rest()[..n]).map_err(malformed)? {
                    Fed::All if n < *left => {
                        intake.pass(n);
                        *left -= n;
                        return Ok(Flow::More);
                    }
                    Fed::All if !walker.in_tail() => return Err(malformed(HEAD_CUT)),
                    Fed::All => {
                        intake.pass(n);
                        *self = Frame::Boundary;
                    }
                    Fed::Tail(before) => {
                        intake.pass(before);
                        *self = Frame::Tail { left: *left - before };
                    }
                }
            }
            Frame::Tail { left } if *left > wire::tail::TAIL_BYTES_MAX => {
                return Err(Ended::client(Why::TooLarge).because("a Fetch request's tail"));
            }
            Frame::Tail { left } if there < *left => return Ok(Flow::More),
            Frame::Tail { left } => {
                wire::tail::force_consumer(&mut intake.rest()[..*left]).map_err(malformed)?;
                intake.pass(*left);
                *self = Frame::Boundary;
            }
            Frame::Boundary
            | Frame::Gathering { .. }
            | Frame::Metering { .. }
            | Frame::Swallowing { .. }
            | Frame::Rejecting(_) => {}
        }
        Ok(Flow::On)
    }
}

/// What a wait for the client's bytes gave.
enum Filled {
    /// So many bytes; none at the end of the client's stream.
    Bytes(usize),
    /// A drain is on and the direction stands between frames.
    Drained,
}

fn malformed(error: wire::Malformed) -> Ended {
    Ended::client(Why::Malformed).because(error)
}
