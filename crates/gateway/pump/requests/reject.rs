//! What a limit rejects: answered with an error that clients retry, where there is one.
//!
//! Producers retry 19 (`NOT_ENOUGH_REPLICAS`), administrators 89 (`THROTTLING_QUOTA_EXCEEDED`, KIP-599). Everything else waits.

use std::time::Duration;

use wire::Api;
use wire::error::code::NOT_ENOUGH_REPLICAS;
use wire::head::RequestPrefix;
use wire::meter::Echo;
use wire::refuse;
use wire::walk::Walker;

use super::begin::Begun;
use super::{Flow, Frame, malformed};
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
pub(super) fn millis(time: Duration) -> i32 {
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
    pub(super) async fn reject_on(&self, frame: &mut Frame, intake: &mut Intake) -> Result<Flow, Ended> {
        // What came before it goes on.
        self.send_on(intake).await;
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
        Ok(Flow::On)
    }
}
