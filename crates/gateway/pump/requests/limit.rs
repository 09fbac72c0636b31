//! Limits at the boundary of two requests: what the next one has to wait for.

use std::pin::pin;
use std::task::Poll;

use wire::Api;
use wire::head;
use wire::meter::{Echo, Topic, Visit};
use wire::refuse;
use wire::request::{self, Capped, Named};
use wire::walk::Walker;

use super::begin::{Begun, Body};
use super::{Flow, Frame, malformed};
use crate::ended::Ended;
use crate::frames::SIZE_BYTES;
use crate::limits::{self, Admission, Listening, Metered, Request};
use crate::moment::Moment;
use crate::pool::Intake;
use crate::pump::Pump;

/// A Produce request that is listened to, as far as it has come.
pub(super) struct Heard {
    walker: Walker,
    /// For limits that look into it,
    metered: Option<Metered>,
    /// and for an answer that would have to name what is in it.
    names: Option<Box<Echo>>,
}

/// Who listens.
struct Ears<'a> {
    listening: Option<Listening<'a>>,
    names: Option<&'a mut Echo>,
}

impl Visit for Ears<'_> {
    fn topic(&mut self, topic: Topic<'_>) {
        if let Some(listening) = &mut self.listening {
            listening.topic(topic);
        }
        if let Some(names) = &mut self.names {
            names.topic(topic);
        }
    }

    fn partition(&mut self, index: i32) {
        if let Some(listening) = &mut self.listening {
            listening.partition(index);
        }
        if let Some(names) = &mut self.names {
            names.partition(index);
        }
    }

    fn records(&mut self, bytes: u64, records: u64) {
        if let Some(listening) = &mut self.listening {
            listening.records(bytes, records);
        }
    }
}

impl Pump {
    /// What the limits say to the request that begins with these bytes.
    pub(super) fn ask_limits(&self, unread: &[u8], now: Moment) -> Result<Admission, Ended> {
        let limits = &self.session.limits;
        if let Some(until) = limits.pause.is_on().filter(|until| *until > now) {
            return Ok(Admission::Paused(until));
        }
        self.admit(unread, now)
    }

    /// Lets the next request wait as limits want it. `None` when it may begin.
    pub(super) async fn pass_limits(
        &self,
        admission: Admission,
        intake: &mut Intake,
        at: &mut Moment,
    ) -> Result<Option<Flow>, Ended> {
        let limits = &self.session.limits;
        match admission {
            Admission::More => return Ok(Some(Flow::More)),
            Admission::Paused(until) => {
                self.stand(intake, at, until).await?;
                return Ok(Some(Flow::On));
            }
            Admission::Unnamed(topic) => {
                self.send_on(intake).await;
                self.session.place.cluster.topics.until_known(topic).await;
                *at = Moment::now();
                return Ok(Some(Flow::On));
            }
            Admission::Go | Admission::WithSlots => {}
            Admission::At(until) => self.stand(intake, at, until).await?,
            Admission::Reject(wait) => self.rejecting.set(Some(wait)),
        }
        if limits.wants_slots() {
            self.send_on(intake).await;
            let mut slots = pin!(limits.take_slots());
            let stops = std::future::poll_fn(|cx| {
                if self.draining.get().is_some() { Poll::Ready(()) } else { slots.as_mut().poll(cx) }
            });
            let since = Moment::now();
            stops.await;
            limits.pause.has_waited(since);
            *at = Moment::now();
        }
        // What it waited for may have been a drain.
        Ok(self.draining.get().is_some().then_some(Flow::Drained))
    }

    /// Charges the request that begins with these bytes.
    fn admit(&self, unread: &[u8], now: Moment) -> Result<Admission, Ended> {
        let session = &self.session;
        if session.login.awaits_token() {
            return Ok(Admission::Go);
        }
        let Some((size, frame)) = unread.split_first_chunk::<SIZE_BYTES>() else {
            return Ok(Admission::More);
        };
        // A size that cannot be is told by whoever begins the request.
        let size = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
        let frame = &frame[..frame.len().min(size)];
        let Some(prefix) = head::request_prefix(frame) else {
            return Ok(if frame.len() < size { Admission::More } else { Admission::Go });
        };
        let Some(api) = Api::from_key(prefix.key) else { return Ok(Admission::Go) };
        let limits = &session.limits;
        let is_glanced_at = |api: Api| api == Api::Produce && limits.meters(api, session, now);
        let (mut group, mut body) = (None, None);
        if limits.asks_client_id() || limits.asks_group(api, session, now) || is_glanced_at(api) {
            let rest = if frame.len() < size { Admission::More } else { Admission::Go };
            let flexible = api.request_is_flexible(prefix.version);
            let Some(head) = head::request_head(frame, flexible).map_err(malformed)? else { return Ok(rest) };
            session.called(&head);
            if is_glanced_at(api) && api.speaks(prefix.version) {
                let (bytes, size) = (&frame[head.body_at..], size - head.body_at);
                body = Some(limits::Body { version: prefix.version, bytes, size });
            }
            // Asked again: for another client other limits may be in force.
            if api.speaks(prefix.version) && limits.asks_group(api, session, now) {
                match request::group(api, prefix.version, &frame[head.body_at..]).map_err(malformed)? {
                    Some(Named::Group(name)) => group = std::str::from_utf8(name).ok(),
                    Some(Named::NoGroup) => {}
                    None => return Ok(rest),
                }
            }
        }
        let can_be_rejected = api == Api::Produce || refuse::knows_throttling_quota(api, prefix.version);
        let request = Request { api, size: SIZE_BYTES + size, group, can_be_rejected, body };
        Ok(limits.admit(&request, session, now))
    }

    /// Lowers what a Fetch asks for to what its limits grant, and how long it waits at the broker by how long it has waited
    /// here: clients expect an answer within that time, some of them even a heartbeat's. False where more bytes are needed.
    pub(super) fn cap_fetch(&self, api: Api, version: i16, body: &mut [u8], now: Moment) -> bool {
        let limits = &self.session.limits;
        if api != Api::Fetch || limits.is_off() {
            return true;
        }
        let has_plenty = limits.has_plenty.get();
        let max = if has_plenty { None } else { limits.fetch_bytes_max(&self.session, now) };
        if max.is_some_and(|max| request::cap_fetch_bytes(version, body, max) == Capped::NeedMore) {
            return false;
        }
        let waited = limits.pause.waited.get();
        waited.is_zero() || {
            let waited_ms = i32::try_from(waited.as_millis()).unwrap_or(i32::MAX);
            request::shorten_fetch_wait(version, body, waited_ms)
        }
    }

    /// How a Produce request whose first bytes are known travels: past us, or past somebody who listens.
    pub(super) fn produce(&self, version: i16, whole: &Body, is_named: bool, now: Moment) -> Begun {
        let meters = self.session.limits.meters(Api::Produce, &self.session, now);
        if !meters && !is_named {
            return Begun::Frame(0, Frame::Passing { left: SIZE_BYTES + whole.at + whole.size });
        }
        let heard = Heard {
            walker: Walker::produce_request(version),
            metered: meters.then(Metered::default),
            names: is_named.then(Box::default),
        };
        Begun::Frame(SIZE_BYTES + whole.at, Frame::Metering { left: whole.size, heard: Box::new(heard) })
    }

    /// Lets what is there of a Produce request go on, and listens.
    pub(super) fn listen(&self, frame: &mut Frame, intake: &mut Intake, now: Moment) -> Result<Flow, Ended> {
        let Frame::Metering { left, heard } = frame else { return Ok(Flow::On) };
        let n = intake.rest().len().min(*left);
        self.hear(heard, &intake.rest()[..n], now)?;
        intake.pass(n);
        *left -= n;
        if *left > 0 {
            return Ok(Flow::More);
        }
        self.heard(heard, now);
        *frame = Frame::Boundary;
        Ok(Flow::On)
    }

    /// Listens to the next bytes of a Produce request.
    pub(super) fn hear(&self, heard: &mut Heard, bytes: &[u8], now: Moment) -> Result<(), Ended> {
        let Heard { walker, metered, names } = heard;
        let listening = metered.as_mut().map(|metered| metered.listen(&self.session, Api::Produce, now));
        let mut ears = Ears { listening, names: names.as_deref_mut() };
        walker.feed_to(bytes, &mut ears).map(drop).map_err(malformed)
    }

    /// A Produce request is over.
    pub(super) fn heard(&self, heard: &mut Heard, now: Moment) {
        if let Some(metered) = &mut heard.metered {
            metered.listen(&self.session, Api::Produce, now).finish();
        }
        if let Some(names) = heard.names.take() {
            self.in_flight.fill_names(names);
        }
    }

    /// Stands still between two requests until then. What was read is put aside meanwhile, so that who waits holds no
    /// buffer.
    async fn stand(&self, intake: &mut Intake, at: &mut Moment, until: Moment) -> Result<(), Ended> {
        self.send_on(intake).await;
        let unread = intake.park();
        // Nothing moves until then, and that is not idleness.
        self.moved_at.set(until);
        let (limits, since) = (&self.session.limits, Moment::now());
        limits.hold(until, || self.draining.get().is_some()).await;
        limits.pause.has_waited(since);
        intake.seed(&unread);
        *at = Moment::now();
        Ok(())
    }
}
