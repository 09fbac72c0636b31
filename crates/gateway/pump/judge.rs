//! What becomes of the questions of a broker that is gone, and the answers in its place.

use std::time::Duration;

use policy::fate::{self, Fate, Sent, Whom};
use wire::api::Api;
use wire::error::code;
use wire::head;
use wire::known::{self, Known};
use wire::meter::Echo;
use wire::refuse;
use wire::walk::Walker;

use super::Pump;
use crate::ended::{Ended, Why};
use crate::frames::SIZE_BYTES;
use crate::in_flight::{Asked, Judged, Left};
use crate::kept::{Keep, Look};
use crate::listener::{Entry, Place};
use crate::moment::Moment;

/// How often a question is sent again that its broker may have died of.
const REPEATS_MAX: u8 = 2;

/// Whether there may be a broker in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// It is looked for.
    Left,
    /// It was not found.
    Gone,
}

/// One question, as it is judged.
struct Case<'a> {
    asked: &'a mut Asked,
    look: Look<'a>,
    /// Whether records were sent before it whose fate is not known.
    is_behind_records: bool,
    hope: Hope,
}

impl Pump {
    /// Decides about all questions, and says how many go on waiting. What has not come whole is answered once it has.
    pub(super) fn judge_all(&self, hope: Hope) -> Result<usize, Ended> {
        let last = self.last_on_its_way();
        let (mut is_first, mut is_behind_records, mut waiting) = (true, false, 0);
        self.in_flight.judge(|name, asked, look| {
            if std::mem::take(&mut is_first) && asked.left == Left::Wholly && hope == Hope::Left {
                // Brokers answer one after the other: it may be this one that the broker died of.
                asked.repeats += 1;
            }
            let case = Case { asked, look, is_behind_records, hope };
            is_behind_records |= case.asked.api == Api::Produce && case.asked.left == Left::Wholly;
            if name != last {
                let judged = self.judge(case);
                waiting += usize::from(matches!(judged, Ok(Judged::Waits)));
                return judged;
            }
            if case.is_behind_records && case.asked.api == Api::Produce {
                // It must not overtake them: nothing of it goes on.
                case.asked.left = Left::Partly;
            }
            Ok(Judged::Waits)
        })?;
        Ok(waiting)
    }

    /// Decides about the question of which not all left, now that all of it has come.
    pub(super) fn judge_partly_gone(&self, hope: Hope) -> Result<(), Ended> {
        self.in_flight.judge(|_, asked, look| match asked.left {
            Left::Partly => self.judge(Case { asked, look, is_behind_records: false, hope }),
            Left::Not | Left::Wholly | Left::Elsewhere => Ok(Judged::Waits),
        })
    }

    /// What becomes of one question.
    fn judge(&self, case: Case<'_>) -> Result<Judged, Ended> {
        let Case { asked, look, is_behind_records, hope } = case;
        let sent = match asked.left {
            Left::Wholly => Sent::Wholly,
            Left::Not | Left::Partly | Left::Elsewhere if is_behind_records => Sent::NotBehindRecords,
            Left::Not | Left::Partly | Left::Elsewhere => Sent::Not,
        };
        let body = body(asked, look)?;
        let fate = fate::fate(asked.api, about(asked, body), sent).ok_or_else(|| unanswered(asked))?;
        let can_wait = self.is_patient(asked, fate, hope)
            && match fate {
                Fate::Hold { .. } => asked.left == Left::Not || matches!(asked.keep, Keep::Whole(_)),
                Fate::SendAgain { .. } => {
                    matches!(asked.keep, Keep::Whole(_)) && asked.repeats <= REPEATS_MAX
                }
                Fate::Answer(_) | Fate::Forget => false,
            };
        if can_wait {
            return Ok(Judged::Waits);
        }
        let code = fate.code().ok_or_else(|| unanswered(asked))?;
        let answer = self.answer(asked, body, code)?;
        self.stands_in(asked);
        Ok(Judged::Answered(answer))
    }

    /// Whether there is hope for a question that what it waits for comes in time.
    fn is_patient(&self, asked: &Asked, fate: Fate, hope: Hope) -> bool {
        match (hope, fate) {
            (Hope::Left, _) => true,
            (Hope::Gone, Fate::Hold { to, .. } | Fate::SendAgain { to, .. }) => {
                to == Whom::Coordinator && asked.read_at.after(to.patience(self.hold())) > Moment::now()
            }
            (Hope::Gone, Fate::Answer(_) | Fate::Forget) => false,
        }
    }

    /// How long what waits for a broker is held.
    pub(super) fn hold(&self) -> Duration {
        self.session.place.cluster.spec().config.hold
    }

    /// The answer to a question that nobody has answered in time.
    pub(super) fn refusal(&self, asked: &Asked, look: Look<'_>) -> Result<Vec<u8>, Ended> {
        let body = body(asked, look)?;
        let fate = fate::fate(asked.api, about(asked, body), Sent::Not);
        let code = fate.and_then(Fate::code).ok_or_else(|| unanswered(asked))?;
        self.answer(asked, body, code)
    }

    /// Whether the brokers do not count this connection's own among themselves: it leads and coordinates nothing.
    fn is_no_member(&self) -> bool {
        let Place { cluster, entry: Entry::Node(node), .. } = &*self.session.place else { return false };
        cluster.topology().is_some_and(|topology| topology.nodes.get(node).is_some_and(|node| !node.member))
    }

    /// A question has an answer of the gateway's own.
    pub(super) fn stands_in(&self, asked: &Asked) {
        self.session.counts.stood_in(asked.api);
        if asked.slotted {
            self.session.limits.landed();
        }
        self.sift.set(true);
        self.stir.set(true);
    }

    /// The answer in a broker's place.
    fn answer(&self, asked: &Asked, body: Body<'_>, code: i16) -> Result<Vec<u8>, Ended> {
        let Asked { api, version, correlation, .. } = *asked;
        // Who asks all brokers what each of them coordinates is not to wait for one that coordinates nothing.
        let lists = matches!(api, Api::ListGroups | Api::ListTransactions);
        let code = if lists && self.is_no_member() { code::NONE } else { code };
        let cannot = |error: wire::Malformed| Ended::broker(Why::Unanswered).because(error);
        let message = "the gateway can't reach the broker";
        let produce = |echo: &Echo| {
            refuse::produce::refuse(version, correlation, echo, code, message, 0).map_err(cannot)
        };
        let body = match body {
            Body::Names(echo) => return produce(echo),
            Body::Unknown => return Err(unanswered(asked)),
            Body::Of(body) => body,
        };
        if api == Api::Produce {
            let mut echo = Echo::new();
            Walker::produce_request(version).feed_to(body, &mut echo).map_err(cannot)?;
            return produce(&echo);
        }
        if api != Api::Metadata && api != Api::DescribeCluster {
            return refuse::refuse(api, version, correlation, body, code, message).map_err(cannot);
        }
        let book = self.session.book();
        let topology = self.session.place.cluster.topology();
        let cluster = topology.as_ref().and_then(|topology| topology.cluster_id.as_deref());
        // Any broker takes what is for the controller.
        let controller = book.iter().next().map(|(node, _)| node);
        let known = Known { book: &book, cluster, controller };
        let answer = if api == Api::Metadata {
            known::metadata(version, correlation, body, known, 0)
        } else {
            known::cluster(version, correlation, known, 0)
        };
        answer.map_err(cannot)
    }
}

/// What is known of a request's body.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// All of it, or of a Produce the front.
    Of(&'a [u8]),
    /// Of a Produce, what it names.
    Names(&'a Echo),
    /// Nothing.
    Unknown,
}

/// What about a question its fate hangs on.
pub(super) fn about(asked: &Asked, body: Body<'_>) -> fate::Asked {
    match body {
        Body::Of(body) => fate::Asked::of(asked.api, asked.version, body),
        Body::Names(_) => fate::Asked::Records { acks: -1 },
        Body::Unknown => fate::Asked::Plain,
    }
}

pub(super) fn body<'a>(asked: &Asked, look: Look<'a>) -> Result<Body<'a>, Ended> {
    let frame = match look {
        Look::Names(Some(echo)) => return Ok(Body::Names(echo)),
        Look::Names(None) | Look::Nothing => return Ok(Body::Unknown),
        Look::Bytes(frame) => frame.get(SIZE_BYTES..).unwrap_or_default(),
    };
    body_of(asked.api, asked.version, frame).map(Body::Of).ok_or_else(|| unanswered(asked))
}

/// What follows the head of a frame, if that makes sense.
pub(super) fn body_of(api: Api, version: i16, frame: &[u8]) -> Option<&[u8]> {
    let head = head::request_head(frame, api.request_is_flexible(version)).ok().flatten()?;
    frame.get(head.body_at..)
}

fn unanswered(asked: &Asked) -> Ended {
    Ended::broker(Why::Unanswered).because(asked.api.name())
}
