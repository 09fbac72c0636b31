//! What came of it on one way, and whether that is what was promised.

use std::time::Duration;

use testkit::Library;
use testkit::steady::Fared;

use super::ground::{Ends, Way};
use super::play::{Play, Step};

/// The only end of a client's connection that may be a broker's doing: it died inside an answer that was on its way to
/// the client already, and nobody can know the rest of that.
const CUT_ANSWER: (&str, &str) = ("broker", "cut-off");

/// How all fared on one way.
pub(crate) struct Outcome {
    pub(crate) play: Play,
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
        let mut broken = Vec::new();
        for fared in &self.fared {
            if self.excuse(fared).is_none() {
                broken.extend(fared.told());
            }
            broken.extend(fared.records_broken());
        }
        for ((side, reason), count) in &self.connections_ended {
            // What clients close is theirs to close.
            if side != "client" && (side.as_str(), reason.as_str()) != CUT_ANSWER && *count > 0 {
                broken.push(format!("{count} client connections were closed: {side}, {reason}"));
            }
        }
        broken
    }

    /// What programs were told of that no gateway can spare them, and why.
    pub(crate) fn excused(&self) -> Vec<String> {
        let excused = self.fared.iter().filter_map(|fared| self.excuse(fared).map(|why| (fared, why)));
        excused
            .flat_map(|(fared, why)| fared.told().into_iter().map(move |told| format!("{told}: {why}")))
            .collect()
    }

    fn excuse(&self, fared: &Fared) -> Option<&'static str> {
        let said = &fared.summary.said;
        let all = |is_so: fn(&str) -> bool| !said.is_empty() && said.keys().all(|said| is_so(said));
        if fared.library == Library::Librdkafka && all(has_left_its_login) {
            return Some("it left a coordinator while it logged in there: another one was named meanwhile");
        }
        if fared.library == Library::KafkaJs && all(has_left_its_generation) {
            return Some("it joins its group anew when a leader moves, while a commit is on its way");
        }
        if self.play == Play::AllDown { Some(patience(fared.library)?) } else { None }
    }
}

/// librdkafka lets go of a coordinator's connection by itself where another coordinator is named, and tells its program that the
/// login failed. Had the gateway closed it, that would be among the connections that ended.
fn has_left_its_login(said: &str) -> bool {
    said.contains("GroupCoordinator: SASL") && said.contains("Local: Broker transpor")
}

/// kafkajs does not wait for its commits before it joins anew, and makes that known by the commit's failure.
fn has_left_its_generation(said: &str) -> bool {
    said.starts_with("commit: ") && said.contains("generation id is not valid")
}

/// For how long a library tries by default, where that is less than all brokers are away.
const fn patience(library: Library) -> Option<&'static str> {
    match library {
        Library::Java => None,
        Library::Librdkafka => Some("a commit waits for a coordinator no longer than session.timeout.ms"),
        Library::KafkaPython => Some("a commit waits 30 s (request_timeout_ms)"),
        Library::Aiokafka => Some("a batch waits 40 s (request_timeout_ms)"),
        Library::KafkaJs => Some("it tries six times, within some ten seconds (retry.retries)"),
        Library::FranzGo => Some("a commit is retried for 30 s (RetryTimeout)"),
        Library::Sarama => Some(
            "it tries four times within 300 ms (Producer.Retry), and tells of every heartbeat that failed",
        ),
    }
}
