//! Ordinary requests: whole ones of Produce and Fetch, from a client that says who it is as before, which go on as they are.
//! Nearly all are of that kind, so those of one API and version that stand in a row pass in one go. Whatever is out of the
//! ordinary is left to [`Pump::begin`], which would let these pass as well.

use wire::api::Api;
use wire::head::{self, RequestPrefix};
use wire::request::{self, Front};

use crate::frames::SIZE_BYTES;
use crate::in_flight::{Asked, Left, Treatment};
use crate::kept::{FRAME_BYTES_MAX, Keep};
use crate::limits::Allowance;
use crate::moment::Moment;
use crate::pool::Intake;
use crate::pump::Pump;
use crate::pump::mend::Answer;

/// Ordinary requests that stand in a row.
struct Row<'a> {
    pump: &'a Pump,
    /// All of one API,
    api: Api,
    /// and one version.
    version: i16,
    is_flexible: bool,
    /// What limits let go at once.
    allowance: Allowance<'a>,
    read_at: Moment,
}

impl Pump {
    /// Lets the ordinary requests go on that stand first. No drain is on.
    pub(super) fn pass_ordinary(&self, intake: &mut Intake, at: Moment) {
        let unread = intake.rest();
        let Some(mut row) = self.row(unread, at) else { return };
        let (session, api) = (&self.session, row.api);
        let mut bytes = 0;
        let n = self.in_flight.push_while(|| {
            let unread = unread.get(bytes..)?;
            let (asked, size) = row.next(unread)?;
            bytes += size;
            Some((asked, unread))
        });
        if n == 0 {
            return;
        }
        row.allowance.pass(n, bytes as u64);
        intake.pass(bytes);
        self.passes(bytes, Answer::Brokers);
        self.bytes.requests.set(self.bytes.requests.get() + n);
        session.counts.requests(api, n);
        session.counts.owed(n);
    }

    /// What is the same for a row that begins with these bytes, if one may.
    fn row(&self, unread: &[u8], at: Moment) -> Option<Row<'_>> {
        let session = &self.session;
        let RequestPrefix { key, version, .. } = head::request_prefix(unread.get(SIZE_BYTES..)?)?;
        let api = [Api::Produce, Api::Fetch].into_iter().find(|api| api.key() == key)?;
        let login = &session.login;
        if !session.allows(api, version)
            || self.rejecting.get().is_some()
            || login.awaits_token()
            || login.has_expired(at)
        {
            return None;
        }
        Some(Row {
            pump: self,
            api,
            version,
            is_flexible: api.request_is_flexible(version),
            allowance: session.limits.allowance(api, at)?,
            read_at: at,
        })
    }
}

impl Row<'_> {
    /// The request that stands first, and its bytes with its size, if it belongs to the row.
    #[inline]
    fn next(&mut self, unread: &[u8]) -> Option<(Asked, usize)> {
        let (size, behind) = unread.split_first_chunk::<SIZE_BYTES>()?;
        let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
        let frame = behind.get(..size)?;
        let RequestPrefix { key, version, correlation } = head::request_prefix(frame)?;
        let (api, session) = (self.api, &self.pump.session);
        if key != api.key()
            || version != self.version
            || size > session.listener.frame_bytes_max as usize
            || !session.caller.sent(frame)
        {
            return None;
        }
        let body_at = session.caller.body_at(frame, self.is_flexible)?;
        let (bytes, body) = (SIZE_BYTES + size, frame.get(body_at..)?);
        let keep = if api == Api::Produce {
            match request::produce_front(body, body.len(), version) {
                Ok(Some(Front { acks, only_partition: Some(records_at) })) if acks != 0 => {
                    Keep::Front(SIZE_BYTES + body_at + records_at)
                }
                Ok(_) | Err(_) => return None,
            }
        } else {
            let is_kept = bytes <= FRAME_BYTES_MAX && request::is_plain_consumers(version, body);
            is_kept.then_some(Keep::Whole(bytes))?
        };
        self.allowance.covers(bytes).then_some(())?;
        let asked = Asked {
            api,
            version,
            correlation,
            treatment: Treatment::ByTable,
            slotted: false,
            keep,
            left: Left::Not,
            repeats: 0,
            read_at: self.read_at,
            sent_at: self.read_at,
        };
        Some((asked, bytes))
    }
}
