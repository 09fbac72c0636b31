//! Limits that look into Produce requests and Fetch answers: topics, and how many records there are.
//!
//! What is in them is known only as it passes, so all of this is charged afterwards, also limits on requests by topic. Newer
//! clients name topics by id: the names of ids that are new are asked for, and until they are known such topics are
//! charged to nobody.

use std::rc::Rc;

use policy::quota::{Handle, Measure};
use wire::Api;
use wire::api::Class;
use wire::meter::{Topic, Visit};

use super::Limits;
use super::ahead::{Ahead, Heard};
use super::names::Name;
use crate::conn::Session;
use crate::moment::Moment;

/// What has been heard of one message so far.
#[derive(Default)]
pub struct Metered {
    /// The buckets of the topic at hand,
    topic: Option<Rc<[Handle]>>,
    /// and what it has so far.
    bytes: u64,
    records: u64,
    /// Records of all topics.
    records_in_all: u64,
    /// The topics before it.
    heard: Vec<Heard>,
}

/// Listens to a message that passes.
pub struct Listening<'a> {
    session: &'a Session,
    api: Api,
    now: Moment,
    metered: &'a mut Metered,
}

impl Limits {
    /// Whether anything that passes may have to be listened to.
    #[inline]
    pub fn listen(&self) -> bool {
        self.listens.get()
    }

    /// Whether what passes of this API has to be listened to.
    #[inline]
    pub fn meters(&self, api: Api, session: &Session, now: Moment) -> bool {
        self.listen() && self.charged(api, session, now).meters
    }
}

impl Metered {
    /// Listens to the next piece of the message.
    pub fn listen<'a>(&'a mut self, session: &'a Session, api: Api, now: Moment) -> Listening<'a> {
        Listening { session, api, now, metered: self }
    }
}

impl Listening<'_> {
    /// The message is over.
    pub fn finish(mut self) {
        self.settle();
        let limits = &self.session.limits;
        let charged = limits.charged(self.api, self.session, self.now);
        let records = self.metered.records_in_all;
        for handle in charged.of(Measure::Records) {
            limits.charge_passed(&charged, handle, records, self.now);
        }
        let heard = std::mem::take(&mut self.metered.heard);
        charged.ahead.settle(heard, records, limits.clock.at(self.now));
    }

    /// Charges the topic at hand.
    fn settle(&mut self) {
        let (bytes, records) =
            (std::mem::take(&mut self.metered.bytes), std::mem::take(&mut self.metered.records));
        let Some(handles) = self.metered.topic.take() else { return };
        let limits = &self.session.limits;
        let charged = limits.charged(self.api, self.session, self.now);
        let topic = Heard { handles, bytes, records };
        for handle in &*topic.handles {
            let cost = topic.cost(handle.measure);
            if cost > 0 {
                limits.charge_passed(&charged, handle, cost, self.now);
            }
        }
        if self.api.class() == Class::Fetch {
            Ahead::hear(&mut self.metered.heard, topic);
        }
    }
}

impl Visit for Listening<'_> {
    fn topic(&mut self, topic: Topic<'_>) {
        self.settle();
        let (session, limits) = (self.session, &self.session.limits);
        let of = |name: &str| limits.of_name(self.api, Name::Topic(name), session, self.now);
        self.metered.topic = match topic {
            Topic::Name(name) => std::str::from_utf8(name).ok().map(of),
            Topic::Id(id) => session.place.cluster.topics.name(id).map(|name| of(&name)),
        };
    }

    fn partition(&mut self, _index: i32) {}

    fn records(&mut self, bytes: u64, records: u64) {
        let metered = &mut *self.metered;
        metered.bytes = metered.bytes.saturating_add(bytes);
        metered.records = metered.records.saturating_add(records);
        metered.records_in_all = metered.records_in_all.saturating_add(records);
    }
}
