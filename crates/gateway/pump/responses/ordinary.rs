//! Ordinary answers: whole ones to Produce and Fetch that tell no error and no address. Nearly all are of that kind, so those to
//! one API and version that stand in a row pass in one go. Whatever is out of the ordinary is left to [`Pump::begin_answer`],
//! which would let these pass as well.

use wire::answer;
use wire::api::AnswerPath;
use wire::tail;

use super::timed::Timed;
use crate::frames::SIZE_BYTES;
use crate::in_flight::{Asked, Left, Treatment};
use crate::limits::Allowance;
use crate::pool::Intake;
use crate::pump::Pump;

/// Answers that stand in a row.
struct Row<'a> {
    /// The first question.
    first: Asked,
    /// Whether addresses may be in their tails.
    is_tailed: bool,
    /// What limits let go at once.
    allowance: Allowance<'a>,
}

impl Pump {
    /// Lets the ordinary answers go on that stand first.
    pub(super) fn pass_ordinary_answers(&self, intake: &mut Intake, timed: &mut Timed) {
        let unread = intake.rest();
        if unread.len() < SIZE_BYTES {
            return;
        }
        let Some(mut row) = self.in_flight.front_asked().and_then(|first| self.answers_row(first)) else {
            return;
        };
        let at = self.heard_at.get();
        // Those of a row mostly came and left together: so many, as this one did.
        let (mut like, mut n) = (row.first, 0);
        let mut bytes = 0;
        self.in_flight.pop_while(|asked| {
            let Some(size) = unread.get(bytes..).and_then(|unread| row.next(asked, unread)) else {
                return false;
            };
            bytes += size;
            if asked.read_at != like.read_at || asked.sent_at != like.sent_at {
                timed.answered(self, &like, at, n);
                (like, n) = (*asked, 0);
            }
            n += 1;
            true
        });
        timed.answered(self, &like, at, n);
        row.allowance.pass_back(bytes as u64);
        intake.pass(bytes);
    }

    /// What is the same for a row of answers that begins with this one, if one may.
    fn answers_row(&self, first: Asked) -> Option<Row<'_>> {
        if !answer::may_be_plain(first.api) || self.meters(first) {
            return None;
        }
        let allowance = self.session.limits.allowance_back(first.api, self.heard_at.get())?;
        let is_tailed = first.api.answer_path(first.version) == AnswerPath::Tailed;
        Some(Row { first, is_tailed, allowance })
    }
}

impl Row<'_> {
    /// Bytes of the answer to `asked` that stands first, with its size, if it belongs to the row.
    #[inline]
    fn next(&mut self, asked: &Asked, unread: &[u8]) -> Option<usize> {
        let (size, behind) = unread.split_first_chunk::<SIZE_BYTES>()?;
        let frame = behind.get(..usize::try_from(i32::from_be_bytes(*size)).ok()?)?;
        let Asked { api, version, correlation, treatment, slotted, left, .. } = *asked;
        let is_to_it = frame.first_chunk() == Some(&correlation.0.to_be_bytes());
        if !is_to_it
            || (api, version) != (self.first.api, self.first.version)
            || slotted
            || treatment != Treatment::ByTable
            || left == Left::Elsewhere
        {
            return None;
        }
        let tail = frame.get(answer::plain_tail(api, version, frame)?..)?;
        if self.is_tailed && !tail::is_empty(api, tail) {
            return None;
        }
        let bytes = SIZE_BYTES + frame.len();
        self.allowance.covers(bytes).then_some(bytes)
    }
}
