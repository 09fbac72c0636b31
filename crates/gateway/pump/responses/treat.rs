//! The beginning of an answer: it is matched to what is owed, and its way to the client decided.

use std::time::Duration;

use wire::answer::{self, Front, Splice};
use wire::api::{AnswerPath, Api, top_error};
use wire::error::code::NONE;
use wire::tail::{self, TailOutcome};
use wire::throttle;
use wire::walk::{Fed, Walker};
use wire::{Book, NodeId};

use super::timed::Timed;
use super::{FRONT_CUT, Frame, bad};
use crate::ended::{Ended, Why};
use crate::frames::SIZE_BYTES;
use crate::in_flight::{Asked, Treatment};
use crate::limits::Metered;
use crate::moment::Moment;
use crate::pool::BUFFER_BYTES;
use crate::pump::Pump;

/// Answers up to this size go to the client only once they are whole, so that a broker's end does not cut them.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// The largest answer that is gathered because its addresses can be anywhere in it.
const GATHERED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long after its records left a producer is told, at the earliest, that another broker leads their partition.
const MISLED_AFTER: Duration = Duration::from_millis(200);

/// What the bytes at a boundary allow.
pub(super) enum Begun {
    /// The head, or an answer that is wanted whole, is not complete.
    More,
    /// The first `ahead` bytes may go; then the answer continues as told.
    Frame(usize, Frame),
    /// The first bytes, so many of them, are no answer for the client: others are asked.
    Elsewhere(usize),
    /// These bytes, with their size, go in place of the first `consumed` unread ones; `left` more pass.
    Instead { bytes: Vec<u8>, consumed: usize, left: usize },
}

/// What a walk over a whole answer says of its tail.
#[derive(PartialEq, Eq)]
enum Endpoints {
    /// It is empty.
    None,
    /// It has to be looked at.
    Perhaps,
}

impl Pump {
    /// Matches an answer's head to what is owed and decides how it travels.
    pub(super) fn begin_answer(
        &self,
        unread: &mut [u8],
        at: Moment,
        timed: &mut Timed,
    ) -> Result<Begun, Ended> {
        let Some((size, frame)) = unread.split_first_chunk_mut::<SIZE_BYTES>() else {
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
        if there == size && self.goes_elsewhere(&asked, &frame[..there]) {
            return Ok(Begun::Elsewhere(SIZE_BYTES + size));
        }
        let mut begun = self.treat(asked, size, &frame[..there])?;
        if self.held_until.get().is_some() {
            return Ok(Begun::More);
        }
        if !matches!(begun, Begun::More) {
            if asked.slotted
                || !self.session.limits.pass_back(asked.api, SIZE_BYTES + size, self.heard_at.get())
            {
                self.limit_answer(asked, size, &mut frame[..there], &mut begun, at);
            }
            self.in_flight.pop_asked();
            if top_error(asked.api, asked.version, &frame[..there]).is_some_and(|error| error != NONE) {
                self.session.counts.failed(asked.api);
            }
            timed.answered(self, &asked, self.heard_at.get(), 1);
        }
        Ok(begun)
    }

    /// Charges an answer that begins, and tells the client in it for how long it is not read from.
    fn limit_answer(&self, asked: Asked, size: usize, frame: &mut [u8], begun: &mut Begun, now: Moment) {
        let Asked { api, version, slotted, .. } = asked;
        let limits = &self.session.limits;
        if slotted {
            limits.landed();
        }
        limits.answered(api, SIZE_BYTES + size, &self.session, now);
        let Some(throttle) = limits.throttle(api, now) else { return };
        let throttle_ms = i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX);
        let frame = match begun {
            Begun::Instead { bytes, .. } => bytes.get_mut(SIZE_BYTES..).unwrap_or_default(),
            Begun::Frame(..) | Begun::Elsewhere(_) | Begun::More => frame,
        };
        // Where the field is not at hand, the pause says the same.
        let _ = throttle::raise(api, version, frame, throttle_ms);
    }

    /// How the answer to `asked` travels; `frame` is what is there of its `size` bytes.
    fn treat(&self, asked: Asked, size: usize, frame: &[u8]) -> Result<Begun, Ended> {
        let passing = Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size });
        let whole = frame.len() == size;
        if size <= WHOLE_BYTES_MAX && !whole {
            return Ok(Begun::More);
        }
        let path = match asked.treatment {
            Treatment::ByTable => asked.api.answer_path(asked.version),
            Treatment::MaskConfigs => AnswerPath::Whole,
        };
        match path {
            AnswerPath::Pass if whole => {
                // Nothing hangs on it: what can't be walked passes uncounted.
                let _ = self.walk_whole(asked, frame);
                Ok(passing)
            }
            AnswerPath::Pass if !self.meters(asked) => Ok(passing),
            AnswerPath::Tailed if whole && self.walk_whole(asked, frame)? == Endpoints::None => Ok(passing),
            AnswerPath::Pass | AnswerPath::Tailed if !whole => Ok(self.walk(asked, size).unwrap_or(passing)),
            AnswerPath::Pass | AnswerPath::Tailed | AnswerPath::Metadata | AnswerPath::Whole => {
                self.readdress(asked, size, frame, path)
            }
        }
    }

    /// The answer with other addresses, as soon as so much of it is here as that takes.
    fn readdress(&self, asked: Asked, size: usize, frame: &[u8], path: AnswerPath) -> Result<Begun, Ended> {
        let whole = frame.len() == size;
        let book = self.session.book();
        let mut left_out = Vec::new();
        let begun = if path == AnswerPath::Metadata {
            match answer::metadata_front(asked.version, frame, &book, &mut left_out).map_err(bad)? {
                Front::Need if whole => return Err(bad(FRONT_CUT)),
                Front::Need => Begun::More,
                Front::Done { consumed, replacement } => {
                    let bytes = framed(size - consumed + replacement.len(), &replacement)?;
                    Begun::Instead { bytes, consumed: SIZE_BYTES + consumed, left: size - consumed }
                }
            }
        } else if whole {
            match splice(asked, frame, &book, &mut left_out)? {
                Splice::Unchanged => Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size }),
                Splice::Replaced(new) => {
                    let bytes = framed(new.len(), &new)?;
                    Begun::Instead { bytes, consumed: SIZE_BYTES + size, left: 0 }
                }
            }
        } else if size + SIZE_BYTES <= BUFFER_BYTES {
            Begun::More
        } else if size <= GATHERED_BYTES_MAX {
            Begun::Frame(0, Frame::Gathering { asked, left: SIZE_BYTES + size, frame: Vec::new() })
        } else {
            let what = format!("{} answer of {size} bytes", asked.api.name());
            return Err(Ended::broker(Why::TooLarge).because(what));
        };
        self.session.missed(&left_out);
        Ok(begun)
    }

    /// An answer that is walked as it streams by, and listened to if limits want that.
    fn walk(&self, asked: Asked, size: usize) -> Option<Begun> {
        let walker = Box::new(Walker::answer(asked.api, asked.version)?);
        let metered = self.meters(asked).then(Box::default);
        // The walker starts behind the size, which passes as it is.
        Some(Begun::Frame(SIZE_BYTES, Frame::Walking { asked, left: size, walker, metered }))
    }

    /// Whether limits want to hear what is in this answer.
    pub(super) fn meters(&self, asked: Asked) -> bool {
        let session = &self.session;
        session.limits.listen()
            && asked.api.brings_records()
            && session.limits.meters(asked.api, session, Moment::now())
    }

    /// Walks on through an answer.
    pub(super) fn feed(
        &self,
        asked: Asked,
        walker: &mut Walker,
        metered: Option<&mut Metered>,
        bytes: &[u8],
    ) -> Result<Fed, Ended> {
        let Some(metered) = metered else { return walker.feed(bytes).map_err(bad) };
        let mut listening = metered.listen(&self.session, asked.api, Moment::now());
        let fed = walker.feed_to(bytes, &mut listening).map_err(bad)?;
        if matches!(fed, Fed::Tail(_)) {
            listening.finish();
        }
        Ok(fed)
    }

    /// Walks a whole answer of Produce, Fetch and their kin: counts it if it tells an error of a partition, and says
    /// whether addresses may be in its tail.
    fn walk_whole(&self, asked: Asked, frame: &[u8]) -> Result<Endpoints, Ended> {
        let is_metered = self.meters(asked);
        if !is_metered && let Some(tail) = answer::plain_tail(asked.api, asked.version, frame) {
            let is_empty = tail::is_empty(asked.api, &frame[tail..]);
            return Ok(if is_empty { Endpoints::None } else { Endpoints::Perhaps });
        }
        let Some(mut walker) = Walker::answer(asked.api, asked.version) else {
            return Ok(Endpoints::Perhaps);
        };
        let mut metered = is_metered.then(Metered::default);
        let fed = self.feed(asked, &mut walker, metered.as_mut(), frame)?;
        if asked.api == Api::Produce && walker.is_misled() && self.holds_back(&asked) {
            return Ok(Endpoints::None);
        }
        if walker.errors() > 0 {
            self.session.counts.failed(asked.api);
        }
        match fed {
            Fed::Tail(before) if tail::is_empty(asked.api, &frame[before..]) => Ok(Endpoints::None),
            Fed::Tail(_) => Ok(Endpoints::Perhaps),
            Fed::All => Err(bad(FRONT_CUT)),
        }
    }

    /// Whether an answer comes too early: told at once that another broker leads, some producers ask three times while the
    /// cluster is still agreeing on who, and then give up.
    fn holds_back(&self, asked: &Asked) -> bool {
        let due = asked.sent_at.after(MISLED_AFTER);
        let is_early = due > Moment::now();
        if is_early {
            self.held_until.set(Some(due));
        }
        is_early
    }

    /// The frame, with its size, that goes to the client for an answer that came on another connection.
    pub(in crate::pump) fn rewritten(&self, asked: Asked, frame: Vec<u8>) -> Result<Vec<u8>, Ended> {
        let mut left_out = Vec::new();
        let book = self.session.book();
        let new = match asked.api.answer_path(asked.version) {
            AnswerPath::Metadata => {
                match answer::metadata_front(asked.version, &frame, &book, &mut left_out).map_err(bad)? {
                    Front::Need => return Err(bad(FRONT_CUT)),
                    Front::Done { consumed, replacement } => [&replacement, &frame[consumed..]].concat(),
                }
            }
            AnswerPath::Pass => frame,
            AnswerPath::Whole | AnswerPath::Tailed => match splice(asked, &frame, &book, &mut left_out)? {
                Splice::Unchanged => frame,
                Splice::Replaced(new) => new,
            },
        };
        self.session.missed(&left_out);
        framed(new.len(), &new)
    }

    /// The rewritten form of a gathered answer, which came with its size.
    pub(super) fn rewrite_gathered(&self, asked: Asked, gathered: &mut Vec<u8>) -> Result<Vec<u8>, Ended> {
        let mut left_out = Vec::new();
        let book = self.session.book();
        let splice = splice(asked, &gathered[SIZE_BYTES..], &book, &mut left_out)?;
        self.session.missed(&left_out);
        match splice {
            Splice::Unchanged => Ok(std::mem::take(gathered)),
            Splice::Replaced(new) => framed(new.len(), &new),
        }
    }

    pub(super) fn rewrite_tail(&self, asked: Asked, tail_bytes: &mut [u8]) -> Result<(), Ended> {
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
