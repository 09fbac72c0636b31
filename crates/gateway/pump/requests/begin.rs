//! The beginning of a request: its head is read, its way decided, and what is owed for it noted.

use policy::access::{Privilege, Verdict};
use wire::api::{Api, RequestPath, Stance};
use wire::head::{self, RequestPrefix};
use wire::request::{self, Front};
use wire::tail::TAIL_BYTES_MAX;
use wire::walk::{Fed, Walker};

use super::{Frame, malformed};
use crate::auth::{self, Reply};
use crate::conn::Session;
use crate::ended::{Ended, Why};
use crate::frames::{self, HEAD_CUT, SIZE_BYTES};
use crate::in_flight::{self, Asked, Left, Owed, Treatment};
use crate::kept::{FRAME_BYTES_MAX, Keep};
use crate::moment::Moment;
use crate::pump::Pump;
use crate::pump::mend::Answer;

/// The largest request that is read whole: those the gateway answers or judges. None carries records.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest of those that are refused anyway.
const REFUSED_BYTES_MAX: usize = 256 * 1024;

/// The largest request of the login's APIs.
const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// The body of a frame whose head is read.
pub(super) struct Body {
    /// Where it begins in the frame.
    pub(super) at: usize,
    /// Its bytes, also those that are not here yet.
    pub(super) size: usize,
    /// Whether all of them are here.
    is_whole: bool,
}

/// What the bytes at a boundary allow.
pub(super) enum Begun {
    /// The head is not complete.
    More,
    /// Limits are to be asked first, which may let it wait.
    Limited,
    /// Another broker is asked these first bytes, so many of them.
    Elsewhere(usize),
    /// The first `ahead` bytes may go; then the frame continues as told.
    Frame(usize, Frame),
}

impl Pump {
    /// Reads the head of a request and decides how the frame travels.
    pub(super) fn begin(&self, unread: &mut [u8], at: Moment) -> Result<Begun, Ended> {
        let Some((size, frame)) = unread.split_first_chunk_mut::<SIZE_BYTES>() else {
            return Ok(Begun::More);
        };
        let size = self.frame_size(*size)?;
        let there = frame.len().min(size);
        let frame = &mut frame[..there];
        let Some(prefix) = head::request_prefix(frame) else { return Ok(Begun::More) };
        let api = Api::from_key(prefix.key)
            .ok_or_else(|| Ended::client(Why::UnknownApi).because(format_args!("key {}", prefix.key)))?;
        self.check_version(api, prefix)?;
        // Also while nothing is limited: a reload may change that.
        self.session.limits.pause.carries(api);
        if self.session.login.has_expired(at) && api.stance() != Stance::Local {
            return Err(Ended::client(Why::SessionExpired));
        }
        let Session { limits, caller, .. } = &self.session;
        let is_by_the_same = caller.sent(frame);
        if limits.has_to_admit() && !limits.pass(api, SIZE_BYTES + size, is_by_the_same, at) {
            return Ok(Begun::Limited);
        }
        let path = self.path(api, prefix);
        let is_whole = there == size;
        if !is_whole && api != Api::Produce && SIZE_BYTES + size <= FRAME_BYTES_MAX {
            // So that it can be asked again.
            return Ok(Begun::More);
        }
        match path {
            RequestPath::Pass if is_whole && self.is_led_beside(api, prefix.version, frame) => {
                let name = self.in_flight.next_name();
                self.in_flight.keep([&size_bytes(size), frame]);
                self.note(api, prefix, Treatment::ByTable, Keep::Whole(SIZE_BYTES + size), at);
                self.in_flight.goes_elsewhere(name);
                Ok(Begun::Elsewhere(SIZE_BYTES + size))
            }
            RequestPath::Pass => {
                let keep = self.keep_whole(frame, size);
                self.note(api, prefix, Treatment::ByTable, keep, at);
                Ok(Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size }))
            }
            RequestPath::Held | RequestPath::Answered => self.gather(api, path, frame, size, prefix, at),
            RequestPath::Produce | RequestPath::Topics | RequestPath::Replica | RequestPath::Fetch => {
                let is_flexible = api.request_is_flexible(prefix.version);
                let known = if is_by_the_same { caller.body_at(frame, is_flexible) } else { None };
                let body_at = match known {
                    Some(body_at) => body_at,
                    None => match self.read_head(frame, is_flexible, path)? {
                        Some(body_at) => body_at,
                        None if is_whole => return Err(malformed(HEAD_CUT)),
                        None => return Ok(Begun::More),
                    },
                };
                let body = Body { at: body_at, size: size - body_at, is_whole };
                self.begin_body(api, prefix, &body, frame, at)
            }
        }
    }

    /// Reads a whole head, and says where the body begins; `None` while the head is not complete.
    fn read_head(
        &self,
        frame: &mut [u8],
        is_flexible: bool,
        path: RequestPath,
    ) -> Result<Option<usize>, Ended> {
        let Some(head) = head::request_head(frame, is_flexible).map_err(malformed)? else { return Ok(None) };
        self.session.called(&head);
        let (body_at, client_id) = (head.body_at, head.client_id_at);
        if path == RequestPath::Produce && self.session.caller.is_admin() {
            disown(&mut frame[client_id]);
        }
        Ok(Some(body_at))
    }

    /// Reads the beginning of a body, of which the gateway has to know something.
    fn begin_body(
        &self,
        api: Api,
        prefix: RequestPrefix,
        whole: &Body,
        frame: &mut [u8],
        at: Moment,
    ) -> Result<Begun, Ended> {
        if api == Api::Produce {
            return self.begin_produce(prefix, whole, frame, at);
        }
        let (version, body) = (prefix.version, &mut frame[whole.at..]);
        let passing = || Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + whole.at + whole.size });
        let known = match api.request_path(version) {
            RequestPath::Pass | RequestPath::Held | RequestPath::Answered | RequestPath::Produce => Some(()),
            RequestPath::Topics => {
                request::topics_are_possible(body, whole.size, version).map_err(malformed)?
            }
            RequestPath::Replica | RequestPath::Fetch if !self.cap_fetch(api, version, body, at) => None,
            RequestPath::Replica if body.len() < 4 => None,
            RequestPath::Replica => {
                Some(request::force_replica(api, version, body).map(drop).map_err(malformed)?)
            }
            RequestPath::Fetch if whole.is_whole => Some(force_consumer(body, version)?),
            RequestPath::Fetch => {
                self.passes(SIZE_BYTES + whole.at + whole.size, Answer::Brokers);
                self.note(api, prefix, Treatment::ByTable, Keep::Nothing, at);
                let walker = Box::new(Walker::fetch_request(version));
                return Ok(Begun::Frame(SIZE_BYTES + whole.at, Frame::Walking { left: whole.size, walker }));
            }
        };
        match known {
            Some(()) => {
                let keep = self.keep_whole(frame, whole.at + whole.size);
                self.note(api, prefix, Treatment::ByTable, keep, at);
                Ok(passing())
            }
            None if whole.is_whole => Err(malformed(HEAD_CUT)),
            None => Ok(Begun::More),
        }
    }

    /// Reads the front of a Produce request, and keeps of it what an answer of the gateway's own would have to name.
    fn begin_produce(
        &self,
        prefix: RequestPrefix,
        whole: &Body,
        frame: &[u8],
        at: Moment,
    ) -> Result<Begun, Ended> {
        let (api, version) = (Api::Produce, prefix.version);
        let front = request::produce_front(&frame[whole.at..], whole.size, version).map_err(malformed)?;
        let Some(Front { acks, only_partition }) = front else {
            return if whole.is_whole { Err(malformed(HEAD_CUT)) } else { Ok(Begun::More) };
        };
        if self.rejecting.get().is_some() {
            self.count(api);
            return Ok(self.reject(prefix, acks, whole.at, whole.size));
        }
        if acks == 0 {
            // Nobody answers.
            self.count(api);
            self.passes(SIZE_BYTES + whole.at + whole.size, Answer::Nobodys);
            return Ok(self.produce(version, whole, false, at));
        }
        self.passes(SIZE_BYTES + whole.at + whole.size, Answer::Brokers);
        let keep = if let Some(records_at) = only_partition {
            let front = &frame[..whole.at + records_at];
            self.in_flight.keep([&size_bytes(whole.at + whole.size), front]);
            Keep::Front(SIZE_BYTES + front.len())
        } else {
            self.in_flight.keep_names();
            Keep::Names
        };
        self.note(api, prefix, Treatment::ByTable, keep, at);
        Ok(self.produce(version, whole, keep == Keep::Names, at))
    }

    /// Keeps a request of `size` bytes, if all of it is here and it is not too large.
    fn keep_whole(&self, frame: &[u8], size: usize) -> Keep {
        self.passes(SIZE_BYTES + size, Answer::Brokers);
        if frame.len() < size || SIZE_BYTES + size > FRAME_BYTES_MAX {
            return Keep::Nothing;
        }
        self.in_flight.keep([&size_bytes(size), frame]);
        Keep::Whole(SIZE_BYTES + size)
    }

    /// How a request travels: as the table says, unless it belongs to a new login.
    fn path(&self, api: Api, prefix: RequestPrefix) -> RequestPath {
        if self.session.login.awaits_token() {
            RequestPath::Answered
        } else if self.limits_changes(api) {
            RequestPath::Held
        } else {
            api.request_path(prefix.version)
        }
    }

    /// The size a frame announces, within the listener's limit.
    fn frame_size(&self, size: [u8; 4]) -> Result<usize, Ended> {
        let announced = i32::from_be_bytes(size);
        let max = self.session.listener.frame_bytes_max as usize;
        let why = match usize::try_from(announced) {
            Ok(bytes) if bytes < head::REQUEST_PREFIX_BYTES => Why::Malformed,
            Ok(bytes) if bytes <= max => return Ok(bytes),
            Ok(_) => frames::foreign(size).unwrap_or(Why::TooLarge),
            Err(_) => Why::Malformed,
        };
        Err(Ended::client(why).because(format_args!("a frame of {announced} bytes")))
    }

    /// Refuses a version that this connection was not promised, as a broker does: by closing.
    fn check_version(&self, api: Api, prefix: RequestPrefix) -> Result<(), Ended> {
        // An ApiVersions of any version gets an answer (KIP-511).
        if api == Api::ApiVersions || self.session.allows(api, prefix.version) {
            return Ok(());
        }
        let known = self.session.promises(api);
        let why = if known { Why::UnsupportedVersion } else { Why::UnknownApi };
        Err(Ended::client(why).because(format_args!("{} v{}", api.name(), prefix.version)))
    }

    /// Begins to gather a request that is judged or answered here.
    fn gather(
        &self,
        api: Api,
        path: RequestPath,
        frame: &[u8],
        size: usize,
        prefix: RequestPrefix,
        at: Moment,
    ) -> Result<Begun, Ended> {
        let admin = self.session.privilege() == Privilege::Admin;
        if admin && api.stance() == Stance::Admin {
            let keep = self.keep_whole(frame, size);
            self.note(api, prefix, Treatment::ByTable, keep, at);
            return Ok(Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size }));
        }
        let max = match (path, api.stance()) {
            (RequestPath::Answered, _) => LOGIN_BYTES_MAX,
            (_, Stance::Admin) => REFUSED_BYTES_MAX,
            _ => HELD_BYTES_MAX,
        };
        if size > max {
            let what = format!("{} of {size} bytes; at most {max} are read whole", api.name());
            return Err(Ended::client(Why::TooLarge).because(what));
        }
        Ok(Begun::Frame(0, Frame::Gathering { left: SIZE_BYTES + size, frame: Vec::new() }))
    }

    /// Disposes of a gathered frame (with its size): answered here, or judged and sent on.
    pub(super) async fn gathered(&self, framed: Vec<u8>, at: Moment) -> Result<(), Ended> {
        let frame = &framed[SIZE_BYTES..];
        let prefix = head::request_prefix(frame).ok_or_else(|| malformed(HEAD_CUT))?;
        let api = Api::from_key(prefix.key).ok_or_else(|| Ended::client(Why::UnknownApi))?;
        if self.path(api, prefix) == RequestPath::Answered {
            self.count(api);
            match auth::answer(&self.session, api, prefix, frame, at.instant()).await? {
                Reply::Answer(answer) => self.owe(answer)?,
                Reply::Last(answer, Ended { side, why, .. }) => {
                    // What was asked before is answered before.
                    self.in_flight.push(Owed::ByGateway(answer));
                    self.draining.set(Some((side, why)));
                }
            }
            return Ok(());
        }
        let flexible = api.request_is_flexible(prefix.version);
        let body_at = head::request_head(frame, flexible)
            .map_err(malformed)?
            .ok_or_else(|| malformed(HEAD_CUT))?
            .body_at;
        let body = &frame[body_at..];
        let verdict =
            policy::access::judge(api, prefix.version, prefix.correlation, body, self.session.privilege());
        let treatment = match verdict.map_err(malformed)? {
            Verdict::Answer(answer) => {
                self.count(api);
                self.session.counts.refused(api);
                return self.owe(answer);
            }
            Verdict::Forward => {
                if let Some(answer) = self.limit_changes(api, prefix, body).await? {
                    self.count(api);
                    self.session.counts.refused(api);
                    return self.owe(answer);
                }
                Treatment::ByTable
            }
            Verdict::ForwardMasked => Treatment::MaskConfigs,
        };
        let name = self.in_flight.next_name();
        let keep = if framed.len() <= FRAME_BYTES_MAX {
            self.in_flight.keep([&framed, &[]]);
            Keep::Whole(framed.len())
        } else {
            Keep::Nothing
        };
        self.note(api, prefix, treatment, keep, at);
        self.send_whole(&framed, name).await;
        Ok(())
    }

    /// Notes an answer of the gateway's own.
    fn owe(&self, answer: Vec<u8>) -> Result<(), Ended> {
        if answer.len() > in_flight::HELD_BYTES_MAX {
            let what = format!("a request whose refusal has {} bytes", answer.len());
            return Err(Ended::client(Why::TooLarge).because(what));
        }
        self.in_flight.push(Owed::ByGateway(answer));
        Ok(())
    }

    /// Notes that the broker owes an answer.
    fn note(&self, api: Api, prefix: RequestPrefix, treatment: Treatment, keep: Keep, at: Moment) {
        self.count(api);
        self.session.counts.owed(1);
        let RequestPrefix { version, correlation, .. } = prefix;
        self.in_flight.push(Owed::ByBroker(Asked {
            api,
            version,
            correlation,
            treatment,
            slotted: self.session.limits.in_flight(),
            keep,
            left: Left::Not,
            repeats: 0,
            read_at: at,
            sent_at: at,
        }));
    }

    pub(super) fn count(&self, api: Api) {
        self.bytes.requests.set(self.bytes.requests.get() + 1);
        self.session.counts.requests(api, 1);
    }
}

/// A frame's size, as it stands before it.
fn size_bytes(size: usize) -> [u8; SIZE_BYTES] {
    i32::try_from(size).unwrap_or(i32::MAX).to_be_bytes()
}

/// Forces the replica id in the tail of a whole Fetch body to that of a consumer.
fn force_consumer(body: &mut [u8], version: i16) -> Result<(), Ended> {
    let found = match request::plain_fetch_tail(version, body) {
        Some(before) => Fed::Tail(before),
        None => Walker::fetch_request(version).feed(body).map_err(malformed)?,
    };
    match found {
        Fed::Tail(before) if body.len() - before <= TAIL_BYTES_MAX => {
            wire::tail::force_consumer(&mut body[before..]).map(drop).map_err(malformed)
        }
        Fed::Tail(_) => Err(Ended::client(Why::TooLarge).because("a Fetch request's tail")),
        Fed::All => Err(malformed(HEAD_CUT)),
    }
}

/// Renames a client that calls itself the brokers' internal client, which alone may produce into internal topics.
/// The name keeps its length; the broker then refuses such a topic by its own rule.
fn disown(client_id: &mut [u8]) {
    if let Some(first) = client_id.first_mut() {
        *first = b'x';
    }
}
