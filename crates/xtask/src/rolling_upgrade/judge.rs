//! What came of it on one way, and whether that is what was promised.

use std::time::Duration;

use testkit::steady::Fared;

use super::ground::{Ends, Way};
use super::play::Step;

/// The only end of a client's connection that may be a broker's doing: it died inside an answer that was on its way to
/// the client already, and nobody can know the rest of that.
const CUT_ANSWER: (&str, &str) = ("broker", "cut-off");

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
