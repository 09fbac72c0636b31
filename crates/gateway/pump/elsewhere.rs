//! What others can answer in the place of this connection's own broker, while that one is away or disclaims a group.

use std::time::{Duration, Instant};

use policy::fate::{self, Fate, Sent, Whom};
use wire::request::{Named, group};

use super::Pump;
use super::judge::{Body, about, body};
use crate::beside;
use crate::ended::Ended;
use crate::in_flight::{Asked, Left};
use crate::kept::{Keep, Look};

/// A node that comes back within this is not gone: others are asked in its place only after that. Also the pause between two
/// tries.
const BLINK: Duration = Duration::from_millis(200);

/// A question for others, which has this name.
struct Question {
    name: u64,
    asked: Asked,
    frame: Vec<u8>,
    whom: Whom,
}

impl Pump {
    /// Whether there may be something that others are to be asked.
    pub(super) fn seeks_others(&self) -> bool {
        self.mending.get() == super::mend::Mending::Wanted || self.in_flight.front_is_elsewhere()
    }

    /// Asks others, as long as it is polled.
    pub(super) async fn ask_others(&self) -> Ended {
        if !self.in_flight.front_is_elsewhere() {
            tokio::time::sleep(BLINK).await;
        }
        loop {
            let Some(question) = self.for_others() else {
                tokio::time::sleep(BLINK).await;
                continue;
            };
            let answer = self.ask_other(&question).await;
            // Its own broker may be back, and have been asked again.
            let Some(Question { name, asked, frame, whom }) =
                self.for_others().filter(|now| now.name == question.name)
            else {
                continue;
            };
            let rewritten = answer.and_then(|answer| self.rewritten(asked, answer).ok());
            let is_late =
                asked.left == Left::Elsewhere && asked.read_at + whom.patience(self.hold()) <= Instant::now();
            let answer = match rewritten {
                Some(answer) => answer,
                None if is_late => match self.refusal(&asked, Look::Bytes(&frame)) {
                    Ok(answer) => answer,
                    Err(ended) => return ended,
                },
                None => {
                    tokio::time::sleep(BLINK).await;
                    continue;
                }
            };
            self.in_flight.answer(name, answer);
            self.stands_in(&asked);
        }
    }

    /// The first question that others can answer.
    fn for_others(&self) -> Option<Question> {
        let is_away = self.broker.borrow().is_none();
        let found = self.in_flight.find(|asked, look| {
            let Look::Bytes(frame) = look else { return None };
            if !(matches!(asked.keep, Keep::Whole(_)) && (is_away || asked.left == Left::Elsewhere)) {
                return None;
            }
            match fate::fate(asked.api, about(asked, body(asked, look).ok()?), Sent::Not)? {
                Fate::Hold { to: whom @ (Whom::AnyNode | Whom::Coordinator), .. } => {
                    Some((frame.to_vec(), whom))
                }
                Fate::Hold { .. } | Fate::SendAgain { .. } | Fate::Answer(_) | Fate::Forget => None,
            }
        });
        found.map(|(name, asked, (frame, whom))| Question { name, asked, frame, whom })
    }

    async fn ask_other(&self, question: &Question) -> Option<Vec<u8>> {
        let Question { asked, frame, whom, .. } = question;
        if *whom != Whom::Coordinator {
            return beside::anybody(&self.session, asked, frame).await;
        }
        let Body::Of(body) = body(asked, Look::Bytes(frame)).ok()? else { return None };
        let Named::Group(group) = group(asked.api, asked.version, body).ok()?? else { return None };
        let mut kept = self.beside.take();
        let answer = beside::coordinator(&self.session, &mut kept, group, asked, frame).await;
        self.beside.set(kept);
        answer
    }

    /// The broker has answered the first question by saying that it does not coordinate the group: whoever does is asked.
    pub(super) fn goes_elsewhere(&self, asked: &Asked, frame: &[u8]) -> bool {
        let is_disclaimed = wire::api::coordinator_error(asked.api, asked.version, frame).is_some();
        if is_disclaimed && matches!(asked.keep, Keep::Whole(_)) {
            self.in_flight.goes_elsewhere();
            self.stir.set(true);
            return true;
        }
        false
    }
}
