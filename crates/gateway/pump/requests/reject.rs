//! What a limit rejects: answered with an error that clients retry, where there is one.
//!
//! Producers retry 19 (`NOT_ENOUGH_REPLICAS`), administrators 89 (`THROTTLING_QUOTA_EXCEEDED`, KIP-599). Everything else waits.

use std::time::{Duration, Instant};

use wire::Api;
use wire::error::code::{NOT_ENOUGH_REPLICAS, THROTTLING_QUOTA_EXCEEDED};
use wire::head::RequestPrefix;
use wire::meter::Echo;
use wire::refuse;
use wire::request::{Change, each_mutation};
use wire::walk::Walker;

use super::begin::Begun;
use super::{Flow, Frame, Run, malformed};
use crate::ended::{Ended, Why};
use crate::frames::SIZE_BYTES;
use crate::in_flight::Owed;
use crate::pool::Intake;
use crate::pump::Pump;

/// A Produce request that is rejected, as far as it has come.
pub(super) struct Rejected {
    prefix: RequestPrefix,
    acks: i16,
    throttle: Duration,
    /// Bytes up to its body, and of its body, that are to come.
    head_left: usize,
    body_left: usize,
    walker: Walker,
    echo: Echo,
}

/// In whole milliseconds, rounded up.
fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

impl Pump {
    /// Begins to reject a Produce request.
    pub(super) fn reject(&self, prefix: RequestPrefix, acks: i16, body_at: usize, size: usize) -> Begun {
        self.session.counts.refused(Api::Produce);
        let rejected = Rejected {
            prefix,
            acks,
            throttle: self.rejecting.take().unwrap_or_default(),
            head_left: SIZE_BYTES + body_at,
            body_left: size,
            walker: Walker::produce_request(prefix.version),
            echo: Echo::new(),
        };
        Begun::Frame(0, Frame::Rejecting(Box::new(rejected)))
    }

    /// Takes out what is there of a rejected request, and answers it once it is over.
    pub(super) async fn reject_on(
        &self,
        frame: &mut Frame,
        intake: &mut Intake,
        run: &mut Run,
    ) -> Result<Flow, Ended> {
        // What came before it goes on.
        self.send_on(intake, run).await?;
        let Frame::Rejecting(rejected) = frame else { return Ok(Flow::On) };
        let head = intake.rest().len().min(rejected.head_left);
        intake.take_out(head);
        rejected.head_left -= head;
        let body = intake.rest().len().min(rejected.body_left);
        rejected.walker.feed_to(&intake.rest()[..body], &mut rejected.echo).map_err(malformed)?;
        intake.take_out(body);
        rejected.body_left -= body;
        if rejected.head_left + rejected.body_left > 0 {
            return Ok(Flow::More);
        }
        // Nobody waits for an answer to acks 0.
        if rejected.acks != 0 {
            let RequestPrefix { version, correlation, .. } = rejected.prefix;
            let (code, throttle) = (NOT_ENOUGH_REPLICAS, millis(rejected.throttle));
            let message = "the gateway's limit is exceeded: try again later";
            let answer =
                refuse::produce::refuse(version, correlation, &rejected.echo, code, message, throttle);
            let answer = answer.map_err(|error| Ended::gateway(Why::TooLarge).because(error))?;
            self.in_flight.push(Owed::ByGateway(answer));
        }
        *frame = Frame::Boundary;
        run.first = self.in_flight.next_name();
        Ok(Flow::On)
    }

    /// Whether a request that changes topics has to be read whole for a limit's sake.
    pub(super) fn limits_changes(&self, api: Api) -> bool {
        matches!(api, Api::CreateTopics | Api::DeleteTopics | Api::CreatePartitions)
            && (self.rejecting.get().is_some()
                || self.session.limits.mutates(api, &self.session, Instant::now()))
    }

    /// Charges what a whole request creates and deletes; the answer, if limits reject it.
    pub(super) fn limit_changes(
        &self,
        api: Api,
        prefix: RequestPrefix,
        body: &[u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Ended> {
        if !self.limits_changes(api) {
            return Ok(None);
        }
        let RequestPrefix { version, correlation, .. } = prefix;
        let mut mutations: u64 = 0;
        each_mutation(api, version, body, |mutation| {
            // How many partitions a topic has that is deleted or grows only the brokers know: it counts as one.
            mutations += match mutation.change {
                Change::Create { partitions } => u64::from(partitions.unwrap_or(1)),
                Change::Delete | Change::Grow { .. } => 1,
            };
        })
        .map_err(malformed)?;
        let can_be_rejected = refuse::knows_throttling_quota(api, version);
        let limits = &self.session.limits;
        let rejected = self
            .rejecting
            .take()
            .map_or_else(|| limits.mutate(api, mutations, can_be_rejected, &self.session, now), Err);
        let Err(throttle) = rejected else { return Ok(None) };
        let message = "The gateway's limit is exceeded: try again later";
        let code = THROTTLING_QUOTA_EXCEEDED;
        let answer =
            refuse::refuse_throttled(api, version, correlation, body, code, message, millis(throttle));
        answer.map(Some).map_err(malformed)
    }
}
