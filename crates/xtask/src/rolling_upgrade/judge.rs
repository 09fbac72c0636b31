//! What came of it, and whether that is what was promised.

use std::time::Duration;

use testkit::Library;
use testkit::steady::check::{Consumed, Produced};
use testkit::steady::{Idempotence, Summary};

use super::ground::{Ends, Way};
use super::play::Step;

/// The only end of a client's connection that may be a broker's doing: it died inside an answer that was on its way to
/// the client already, and nobody can know the rest of that.
const CUT_ANSWER: (&str, &str) = ("broker", "cut-off");

/// What the brokers' records say of a client's journal.
pub(crate) enum Verdict {
    /// A producer's.
    Produced(Produced, Idempotence),
    /// A consumer's.
    Consumed(Consumed),
}

/// How one client fared.
pub(crate) struct Fared {
    pub(crate) library: Library,
    pub(crate) title: String,
    pub(crate) summary: Summary,
    pub(crate) verdict: Verdict,
}

/// How all fared on one way.
pub(crate) struct Outcome {
    pub(crate) way: Way,
    pub(crate) fared: Vec<Fared>,
    pub(crate) steps: Vec<Step>,
    /// While the clients were at it: ends that are their own doing at their own end are not among these.
    pub(crate) connections_ended: Ends,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Of clients; the rest is to be filled in.
    pub(crate) fn new(way: Way, fared: Vec<Fared>) -> Outcome {
        Outcome { way, fared, steps: Vec::new(), connections_ended: Ends::new(), took: Duration::ZERO }
    }

    /// Every promise that was not kept, in words.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken: Vec<String> = self.fared.iter().flat_map(Fared::broken).collect();
        for ((side, reason), count) in &self.connections_ended {
            // What clients close is theirs to close.
            if side != "client" && (side.as_str(), reason.as_str()) != CUT_ANSWER && *count > 0 {
                broken.push(format!("{count} client connections were closed: {side}, {reason}"));
            }
        }
        broken
    }
}

impl Fared {
    fn broken(&self) -> Vec<String> {
        let summary = &self.summary;
        let mut counts = vec![("failed sends", summary.failed_sends)];
        counts.push(("errors told to the program", summary.errors.values().sum()));
        let mut count = |what, list: &[String]| counts.push((what, list.len() as u64));
        match &self.verdict {
            Verdict::Produced(produced, idempotence) => {
                count("acknowledged records lost", &produced.lost);
                count("records that nobody sent", &produced.uncalled);
                if *idempotence == Idempotence::On {
                    count("records twice", &produced.duplicated);
                    count("records out of order", &produced.reordered);
                }
            }
            Verdict::Consumed(consumed) => {
                count("records not read", &consumed.missed);
                count("records read otherwise than held", &consumed.altered);
            }
        }
        if summary.pause.is_none() {
            counts.push(("clients that did nothing", 1));
        }
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(|(what, count)| format!("{}: {count} {what}", self.title)).collect()
    }
}
