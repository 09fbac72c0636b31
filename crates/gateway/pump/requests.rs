//! From the client to the broker: heads are read, what is owed is noted, bytes flow on unheld.

use std::task::Poll;
use std::time::Instant;

use policy::access::{Privilege, Verdict};
use wire::api::{Api, RequestPath, Stance};
use wire::head::{self, RequestPrefix};
use wire::request;
use wire::walk::{Fed, Walker};

use super::Pump;
use crate::auth::{self, Reply};
use crate::ended::{Ended, Side, Why};
use crate::frames::{self, HEAD_CUT, SIZE_BYTES};
use crate::in_flight::{Asked, Owed, Treatment};
use crate::pool::Intake;

/// The largest request that is read whole: those the gateway answers or judges. None carries records.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest request of the login's APIs.
const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// Where in a frame the direction stands.
enum Frame {
    /// Between frames.
    Boundary,
    /// The rest of a frame flows by.
    Passing { left: usize },
    /// A Fetch request flows by, its structure followed to the tail.
    Walking { left: usize, walker: Box<Walker> },
    /// The last bytes of a Fetch request, wanted whole.
    Tail { left: usize },
    /// A frame is gathered to be answered or judged.
    Gathering { left: usize, frame: Vec<u8> },
}

/// The body of a frame whose head is read.
struct Body {
    /// Where it begins in the frame.
    at: usize,
    /// Its bytes, also those that are not here yet.
    size: usize,
    /// Whether all of them are here.
    is_whole: bool,
}

/// What the bytes at a boundary allow.
enum Begun {
    /// The head is not complete.
    More,
    /// The first `ahead` bytes may go; then the frame continues as told.
    Frame(usize, Frame),
}

impl Pump {
    /// Carries requests until the client or the broker ends, or the drain is complete.
    pub(super) async fn requests(&self, early: Vec<u8>) -> Ended {
        let mut intake = Intake::default();
        intake.seed(&early);
        drop(early);
        if let Err(ended) = self.be_promised(&mut intake).await {
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
                Passed::All => self.fill_from_client(&mut intake, at_boundary).await,
                Passed::Drained => Ok(Filled::Drained),
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

    fn read_from_client(&self, n: usize) {
        self.bytes.from_client.set(self.bytes.from_client.get() + n as u64);
        self.session.counts.from_client(n);
    }

    /// Reads more from the client, unless a drain finds it between frames. Cancel-safe: a byte that was read is in
    /// the intake.
    async fn fill_from_client(&self, intake: &mut Intake, at_boundary: bool) -> Result<Filled, Ended> {
        std::future::poll_fn(|cx| {
            if at_boundary && self.draining.get().is_some() {
                return Poll::Ready(Ok(Filled::Drained));
            }
            let space = intake.space();
            if space.is_empty() {
                return Poll::Ready(Err(
                    Ended::client(Why::TooLarge).because("a request's head does not fit")
                ));
            }
            match self.client.poll_read(cx, space) {
                Poll::Ready(Ok(n)) => {
                    intake.filled(n);
                    Poll::Ready(Ok(Filled::Bytes(n)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(Ended::client(Why::Io).because(error))),
                Poll::Pending => {
                    intake.release_if_empty();
                    self.in_flight.release_if_empty();
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Disposes of what was read: all of it, but for an unfinished head or tail.
    async fn pass_requests(&self, intake: &mut Intake, frame: &mut Frame) -> Result<Passed, Ended> {
        let now = Instant::now();
        self.moved_at.set(now);
        // Bytes in front of `ready` may go to the broker in one write.
        let mut ready = 0;
        let begun = u64::from(!matches!(frame, Frame::Boundary | Frame::Gathering { .. }));
        let mut first = self.in_flight.next_name().saturating_sub(begun);
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
                Frame::Walking { left, walker } => {
                    let n = there.min(*left);
                    let fed = walker.feed(&unread[ready..ready + n]).map_err(malformed)?;
                    match fed {
                        Fed::All => {
                            ready += n;
                            *left -= n;
                            if *left > 0 {
                                break;
                            }
                            if !walker.in_tail() {
                                return Err(malformed(HEAD_CUT));
                            }
                            *frame = Frame::Boundary;
                        }
                        Fed::Tail(before) => {
                            ready += before;
                            *frame = Frame::Tail { left: *left - before };
                        }
                    }
                }
                Frame::Tail { left } => {
                    if *left > wire::tail::TAIL_BYTES_MAX {
                        return Err(Ended::client(Why::TooLarge).because("a Fetch request's tail"));
                    }
                    if there < *left {
                        break;
                    }
                    wire::tail::force_consumer(&mut unread[ready..ready + *left]).map_err(malformed)?;
                    ready += *left;
                    *frame = Frame::Boundary;
                }
                Frame::Gathering { left, frame: gathered } => {
                    let n = there.min(*left);
                    gathered.extend_from_slice(&unread[ready..ready + n]);
                    *left -= n;
                    // What was gathered no longer belongs to the run of bytes that goes out as it came.
                    self.send_on(intake, ready, first).await?;
                    intake.consume(n);
                    ready = 0;
                    first = self.in_flight.next_name();
                    let Frame::Gathering { left: 0, frame: gathered } = frame else { break };
                    let gathered = std::mem::take(gathered);
                    *frame = Frame::Boundary;
                    self.gathered(gathered, now).await?;
                    first = self.in_flight.next_name();
                }
                Frame::Boundary => {
                    if self.draining.get().is_some() {
                        self.send_on(intake, ready, first).await?;
                        return Ok(Passed::Drained);
                    }
                    if there == 0 {
                        break;
                    }
                    if self.in_flight.is_full() {
                        self.send_on(intake, ready, first).await?;
                        ready = 0;
                        self.in_flight.space().await;
                        first = self.in_flight.next_name();
                        continue;
                    }
                    match self.begin(&mut unread[ready..], now)? {
                        Begun::More => break,
                        Begun::Frame(ahead, begun) => {
                            ready += ahead;
                            *frame = begun;
                        }
                    }
                }
            }
        }
        self.send_on(intake, ready, first).await?;
        Ok(Passed::All)
    }

    /// Sends the first `ready` unread bytes and notes that the questions from `first` on have left.
    async fn send_on(&self, intake: &mut Intake, ready: usize, first: u64) -> Result<(), Ended> {
        if ready > 0 {
            self.to_broker(&intake.unread()[..ready]).await?;
            intake.consume(ready);
            self.in_flight.sent(first, Instant::now());
        }
        Ok(())
    }

    /// Reads the head of a request and decides how the frame travels.
    fn begin(&self, unread: &mut [u8], now: Instant) -> Result<Begun, Ended> {
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
        if self.session.login.has_expired(now) && api.stance() != Stance::Local {
            return Err(Ended::client(Why::SessionExpired));
        }
        let path = self.path(api, prefix);
        let is_whole = there == size;
        match path {
            RequestPath::Pass => {
                self.note(api, prefix, Treatment::ByTable, now);
                Ok(Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size }))
            }
            RequestPath::Held | RequestPath::Answered => self.gather(api, path, size, prefix, now),
            RequestPath::Produce | RequestPath::Topics | RequestPath::Replica | RequestPath::Fetch => {
                let read = head::request_head(frame, api.request_is_flexible(prefix.version));
                let Some(read) = read.map_err(malformed)? else {
                    return if is_whole { Err(malformed(HEAD_CUT)) } else { Ok(Begun::More) };
                };
                let (body_at, client_id) = (read.body_at, read.client_id_at.clone());
                if path == RequestPath::Produce && read.client_id.is_some_and(request::is_admin_client) {
                    disown(&mut frame[client_id]);
                }
                let body = Body { at: body_at, size: size - body_at, is_whole };
                self.begin_body(api, prefix, body, &mut frame[body_at..], now)
            }
        }
    }

    /// Reads the beginning of a body, of which the gateway has to know something.
    fn begin_body(
        &self,
        api: Api,
        prefix: RequestPrefix,
        whole: Body,
        body: &mut [u8],
        now: Instant,
    ) -> Result<Begun, Ended> {
        let version = prefix.version;
        let passing = Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + whole.at + whole.size });
        let known = match api.request_path(version) {
            RequestPath::Pass | RequestPath::Held | RequestPath::Answered => Some(()),
            RequestPath::Topics => {
                request::topics_are_possible(body, whole.size, version).map_err(malformed)?
            }
            RequestPath::Produce => match request::produce_acks(body, version).map_err(malformed)? {
                Some(0) => {
                    // Nobody answers.
                    self.count(api);
                    return Ok(passing);
                }
                acks => acks.map(drop),
            },
            RequestPath::Replica if body.len() < 4 => None,
            RequestPath::Replica => {
                Some(request::force_replica(api, version, body).map(drop).map_err(malformed)?)
            }
            RequestPath::Fetch => {
                self.note(api, prefix, Treatment::ByTable, now);
                let walker = Box::new(Walker::fetch_request(version));
                return Ok(Begun::Frame(SIZE_BYTES + whole.at, Frame::Walking { left: whole.size, walker }));
            }
        };
        match known {
            Some(()) => {
                self.note(api, prefix, Treatment::ByTable, now);
                Ok(passing)
            }
            None if whole.is_whole => Err(malformed(HEAD_CUT)),
            None => Ok(Begun::More),
        }
    }

    /// How a request travels: as the table says, unless it belongs to a new login.
    fn path(&self, api: Api, prefix: RequestPrefix) -> RequestPath {
        if self.session.login.awaits_token() {
            RequestPath::Answered
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
        size: usize,
        prefix: RequestPrefix,
        now: Instant,
    ) -> Result<Begun, Ended> {
        let admin = self.session.privilege() == Privilege::Admin;
        if admin && api.stance() == Stance::Admin {
            self.note(api, prefix, Treatment::ByTable, now);
            return Ok(Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + size }));
        }
        let max = if path == RequestPath::Answered { LOGIN_BYTES_MAX } else { HELD_BYTES_MAX };
        if size > max {
            let what = format!("{} of {size} bytes; at most {max} are read whole", api.name());
            return Err(Ended::client(Why::TooLarge).because(what));
        }
        Ok(Begun::Frame(0, Frame::Gathering { left: SIZE_BYTES + size, frame: Vec::new() }))
    }

    /// Disposes of a gathered frame (with its size): answered here, or judged and sent on.
    async fn gathered(&self, framed: Vec<u8>, now: Instant) -> Result<(), Ended> {
        let frame = &framed[SIZE_BYTES..];
        let prefix = head::request_prefix(frame).ok_or_else(|| malformed(HEAD_CUT))?;
        let api = Api::from_key(prefix.key).ok_or_else(|| Ended::client(Why::UnknownApi))?;
        if self.path(api, prefix) == RequestPath::Answered {
            self.count(api);
            match auth::answer(&self.session, api, prefix, frame, now).await? {
                Reply::Answer(answer) => self.in_flight.push(Owed::ByGateway(answer)),
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
                self.in_flight.push(Owed::ByGateway(answer));
                return Ok(());
            }
            Verdict::Forward => Treatment::ByTable,
            Verdict::ForwardMasked => Treatment::MaskConfigs,
        };
        let name = self.in_flight.next_name();
        self.note(api, prefix, treatment, now);
        self.to_broker(&framed).await?;
        self.in_flight.sent(name, Instant::now());
        Ok(())
    }

    /// Notes that the broker owes an answer.
    fn note(&self, api: Api, prefix: RequestPrefix, treatment: Treatment, now: Instant) {
        self.count(api);
        self.session.counts.owed();
        let RequestPrefix { version, correlation, .. } = prefix;
        self.in_flight.push(Owed::ByBroker(Asked {
            api,
            version,
            correlation,
            treatment,
            read_at: now,
            sent_at: now,
        }));
    }

    fn count(&self, api: Api) {
        self.bytes.requests.set(self.bytes.requests.get() + 1);
        self.session.counts.request(api);
    }
}

/// What a wait for the client's bytes gave.
enum Filled {
    /// So many bytes; none at the end of the client's stream.
    Bytes(usize),
    /// A drain is on and the direction stands between frames.
    Drained,
}

/// How a round over the intake ended.
#[derive(PartialEq, Eq)]
enum Passed {
    /// Everything complete was disposed of.
    All,
    /// A drain is on and the direction stands between frames.
    Drained,
}

/// Renames a client that calls itself the brokers' internal client, which alone may produce into internal topics.
/// The name keeps its length; the broker then refuses such a topic by its own rule.
fn disown(client_id: &mut [u8]) {
    if let Some(first) = client_id.first_mut() {
        *first = b'x';
    }
}

fn malformed(error: wire::Malformed) -> Ended {
    Ended::client(Why::Malformed).because(error)
}
