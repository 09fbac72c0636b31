//! The buckets of the topics and groups that a connection names.

use std::rc::Rc;

use policy::quota::{Handle, Who};
use wire::Api;

use super::{Limits, who};
use crate::conn::Session;
use crate::moment::Moment;

/// Names whose buckets a connection keeps at hand.
const NAMES_KEPT: usize = 256;

/// What a request names, and limits look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    Topic(&'a str),
    Group(&'a str),
}

/// The buckets of one name for requests of one API.
pub(super) struct Named {
    api: Api,
    is_topic: bool,
    name: Box<str>,
    handles: Rc<[Handle]>,
}

impl Named {
    fn is(&self, api: Api, name: Name<'_>) -> bool {
        let own = if self.is_topic { Name::Topic(&self.name) } else { Name::Group(&self.name) };
        self.api == api && own == name
    }
}

impl Limits {
    /// The buckets of a name, found the first time.
    pub(super) fn of_name(&self, api: Api, name: Name<'_>, session: &Session, now: Moment) -> Rc<[Handle]> {
        let mut names = self.names.borrow_mut();
        if let Some(known) = names.iter().find(|known| known.is(api, name)) {
            return Rc::clone(&known.handles);
        }
        let (principal, client_id) = (session.principal(), session.caller.client_id());
        let anyone = who(session, &principal, &client_id, Some(api));
        let (who, is_topic, name) = match name {
            Name::Topic(name) => (Who { topic: Some(name), ..anyone }, true, name),
            Name::Group(name) => (Who { group: Some(name), ..anyone }, false, name),
        };
        let handles: Rc<[Handle]> = self.rules.borrow().applying(&who, self.clock.at(now)).into();
        if names.len() >= NAMES_KEPT {
            names.clear();
        }
        names.push(Named { api, is_topic, name: name.into(), handles: Rc::clone(&handles) });
        handles
    }
}
