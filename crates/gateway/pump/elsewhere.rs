//! What others can answer in the place of this connection's own broker, while that one is away or disclaims a group.

use std::task::Poll;
use std::time::Duration;

use policy::fate::{self, Fate, Sent, Whom};
use wire::Api;
use wire::request::{Named, group};

use super::Pump;
use super::judge::{Body, about, body, body_of};
use crate::beside;
use crate::ended::Ended;
use crate::in_flight::{Asked, Left};
use crate::kept::{Keep, Look};
use crate::moment::Moment;
use crate::timer;

/// A node that comes back within this is not gone: others are asked in its place only after that. Also the pause between two
/// tries.
const BLINK: Duration = Duration::from_millis(200);

/// A question for others, which has this name.
struct Question {
    name: u64,
    asked: Asked,
    frame: Vec<u8>,
    others: Others,
}

/// Whom a question can be asked of besides its own broker.
enum Others {
    /// Any.
    Any,
    /// The coordinator of this group.
    Coordinator(Box<[u8]>),
}

impl Pump {
    /// Whether there may be something that others are to be asked.
    pub(super) fn seeks_others(&self) -> bool {
        self.mending.get() == super::mend::Mending::Wanted || self.in_flight.front_is_elsewhere()
    }

    /// Asks others, as long as it is polled.
    pub(super) async fn ask_others(&self) -> Ended {
        self.asks_others.set(true);
        if !self.in_flight.front_is_elsewhere() {
            timer::sleep(BLINK).await;
        }
        loop {
            let question = std::future::poll_fn(|_| {
                let question = self.for_others();
                // Where there is none it is looked for again whenever anything happens to the connection.
                self.asks_others.set(question.is_some());
                question.map_or(Poll::Pending, Poll::Ready)
            });
            let question = question.await;
            let answer = self.ask_other(&question).await;
            // Its own broker may be back, and have been asked again.
            let Some(Question { name, asked, frame, .. }) =
                self.for_others().filter(|now| now.name == question.name)
            else {
                continue;
            };
            let rewritten = answer.and_then(|answer| self.rewritten(asked, answer).ok());
            let is_late = asked.left == Left::Elsewhere
                && asked.read_at.after(Whom::Coordinator.patience(self.hold())) <= Moment::now();
            let answer = match rewritten {
                Some(answer) => answer,
                None if is_late => match self.refusal(&asked, Look::Bytes(&frame)) {
                    Ok(answer) => answer,
                    Err(ended) => return ended,
                },
                None => {
                    timer::sleep(BLINK).await;
                    continue;
                }
            };
            self.in_flight.answer(name, answer);
            self.stands_in(&asked);
        }
    }

    /// The first question that others can answer; while the connection's own broker is there, only what is to be answered next.
    fn for_others(&self) -> Option<Question> {
        let is_away = self.broker.borrow().is_none();
        let is_next = self.in_flight.front_is_elsewhere();
        let found = self.in_flight.find(|asked, look| {
            let Look::Bytes(frame) = look else { return None };
            let is_asked = is_away || is_next && asked.left == Left::Elsewhere;
            let others = if is_asked { others(asked, look)? } else { return None };
            Some((frame.to_vec(), others))
        });
        found.map(|(name, asked, (frame, others))| Question { name, asked, frame, others })
    }

    async fn ask_other(&self, question: &Question) -> Option<Vec<u8>> {
        let Question { asked, frame, others, .. } = question;
        let Others::Coordinator(group) = others else {
            return beside::anybody(&self.session, asked, frame).await;
        };
        let mut kept = self.beside.take();
        let answer = beside::coordinator(&self.session, &mut kept, group, asked, frame).await;
        let kept = kept.filter(|kept| !kept.is_own(&self.session));
        *self.led_beside.borrow_mut() = (answer.is_some() && kept.is_some()).then(|| group.clone());
        self.beside.set(kept);
        answer
    }

    /// Whether a request, which is here whole, is for the group that another broker coordinates. A broker that was away for a while does
    /// not know at once that it is not the coordinator any more, and would not know the members either.
    pub(super) fn is_led_beside(&self, api: Api, version: i16, frame: &[u8]) -> bool {
        if api == Api::JoinGroup {
            // Who joins here has asked for the coordinator anew.
            self.led_beside.replace(None);
        }
        if !fate::is_for_coordinator(api) {
            return false;
        }
        let led_beside = self.led_beside.borrow();
        let Some(led_beside) = led_beside.as_deref() else { return false };
        let body = body_of(api, version, frame);
        body.and_then(|body| group_of(api, version, body)).is_some_and(|group| group == led_beside)
    }

    /// The broker has answered the first question by saying that it does not coordinate the group: whoever does is asked.
    #[inline]
    pub(super) fn goes_elsewhere(&self, asked: &Asked, frame: &[u8]) -> bool {
        fate::is_for_coordinator(asked.api) && self.is_disclaimed(asked, frame)
    }

    fn is_disclaimed(&self, asked: &Asked, frame: &[u8]) -> bool {
        if wire::api::coordinator_error(asked.api, asked.version, frame).is_none() {
            return false;
        }
        let first = self.in_flight.find(|asked, look| Some(others(asked, look).is_some()));
        // What is too large to be kept, or makes no sense, nobody else can be asked: the client hears what the broker says.
        let Some((name, _, true)) = first else { return false };
        self.in_flight.goes_elsewhere(name);
        self.stir.set(true);
        true
    }
}

/// Whom a question can be asked of besides its own broker, if it is here whole and there is anybody.
fn others(asked: &Asked, look: Look<'_>) -> Option<Others> {
    let (Keep::Whole(_), Ok(body)) = (asked.keep, body(asked, look)) else { return None };
    let Fate::Hold { to, .. } = fate::fate(asked.api, about(asked, body), Sent::Not)? else { return None };
    match (to, body) {
        (Whom::AnyNode, _) => Some(Others::Any),
        (Whom::Coordinator, Body::Of(body)) => {
            Some(Others::Coordinator(group_of(asked.api, asked.version, body)?.into()))
        }
        (Whom::Coordinator | Whom::SameNode, _) => None,
    }
}

fn group_of(api: Api, version: i16, body: &[u8]) -> Option<&[u8]> {
    match group(api, version, body) {
        Ok(Some(Named::Group(group))) => Some(group),
        Ok(Some(Named::NoGroup) | None) | Err(_) => None,
    }
}
