//! A glance at what is there of a Produce request before it goes on: its topics, and how many bytes and records each has.

use policy::quota::Handle;
use wire::Api;
use wire::meter::{Topic, Visit};
use wire::walk::{Fed, Walker};

use super::Limits;
use super::ahead::Heard;
use super::names::Name;
use crate::conn::Session;
use crate::moment::Moment;
use crate::topics::TopicId;

/// What is there of a Produce request.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// Its version.
    pub version: i16,
    /// Its body, or the beginning of it.
    pub bytes: &'a [u8],
    /// Bytes of all of it.
    pub size: usize,
}

/// What a request will be charged for, as far as that is known.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) topics: Vec<Heard>,
    /// Records of all topics.
    pub(super) records: u64,
    /// A topic whose name is not known yet.
    pub(super) unnamed: Option<TopicId>,
}

struct Glance<'a> {
    limits: &'a Limits,
    session: &'a Session,
    now: Moment,
    expected: Expected,
}

impl Limits {
    /// What a Produce request has. `None` where more has to be there first.
    pub(super) fn glance(&self, body: Body<'_>, session: &Session, now: Moment) -> Option<Expected> {
        let mut glance = Glance { limits: self, session, now, expected: Expected::default() };
        let fed = Walker::produce_request(body.version).feed_to(body.bytes, &mut glance);
        let mut expected = glance.expected;
        // What cannot be read is told by whoever begins the request.
        let is_whole = !matches!(fed, Ok(Fed::All)) || body.bytes.len() == body.size;
        if is_whole {
            return Some(expected);
        }
        // The last topic has not passed yet, and may have all the rest; how many records that is, the last request may tell.
        let last = expected.topics.last_mut()?;
        last.bytes = last.bytes.max(body.size as u64);
        let records = self.charged(Api::Produce, session, now).ahead.records.get();
        last.records = last.records.max(records);
        expected.records = expected.records.max(records);
        Some(expected)
    }
}

impl Visit for Glance<'_> {
    fn topic(&mut self, topic: Topic<'_>) {
        let of = |name: &str| self.limits.of_name(Api::Produce, Name::Topic(name), self.session, self.now);
        let handles = match topic {
            Topic::Name(name) => std::str::from_utf8(name).ok().map(of),
            Topic::Id(id) => {
                let topics = &self.session.place.cluster.topics;
                let name = topics.name(id);
                if name.is_none() && !topics.is_known(id) {
                    self.expected.unnamed = Some(id);
                }
                name.map(|name| of(&name))
            }
        };
        let handles = handles.unwrap_or_else(|| <[Handle; 0]>::default().into());
        self.expected.topics.push(Heard { handles, bytes: 0, records: 0 });
    }

    fn partition(&mut self, _index: i32) {}

    fn records(&mut self, bytes: u64, records: u64) {
        if let Some(topic) = self.expected.topics.last_mut() {
            topic.bytes = topic.bytes.saturating_add(bytes);
            topic.records = topic.records.saturating_add(records);
        }
        self.expected.records = self.expected.records.saturating_add(records);
    }
}
