//! Limits on what requests create and delete (KIP-599): how much that is has to be learned from the brokers first.

use std::time::Duration;

use policy::mutations::Changes;
use wire::error::code::THROTTLING_QUOTA_EXCEEDED;
use wire::head::RequestPrefix;
use wire::{Api, refuse};

use super::malformed;
use super::reject::millis;
use crate::conn::Session;
use crate::ended::Ended;
use crate::moment::Moment;
use crate::pump::Pump;

impl Pump {
    /// Whether a request that changes topics has to be read whole for a limit's sake.
    pub(super) fn limits_changes(&self, api: Api) -> bool {
        matches!(api, Api::CreateTopics | Api::DeleteTopics | Api::CreatePartitions)
            && (self.rejecting.get().is_some()
                || self.session.limits.mutates(api, &self.session, Moment::now()))
    }

    /// Charges what a whole request creates and deletes; the answer, if limits reject it.
    pub(super) async fn limit_changes(
        &self,
        api: Api,
        prefix: RequestPrefix,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Ended> {
        if !self.limits_changes(api) {
            return Ok(None);
        }
        let RequestPrefix { version, correlation, .. } = prefix;
        let changes = Changes::read(api, version, body).map_err(malformed)?;
        let can_be_rejected = refuse::knows_throttling_quota(api, version);
        let Err(throttle) = self.charge_changes(api, &changes, can_be_rejected).await else {
            return Ok(None);
        };
        let message = "The gateway's limit is exceeded: try again later";
        let code = THROTTLING_QUOTA_EXCEEDED;
        let answer =
            refuse::refuse_throttled(api, version, correlation, body, code, message, millis(throttle));
        answer.map(Some).map_err(malformed)
    }

    /// Charges changes, or says for how long they should not have come. A drain ends the wait for what brokers know of
    /// their topics: then they count as if nobody knew.
    async fn charge_changes(
        &self,
        api: Api,
        changes: &Changes<'_>,
        can_be_rejected: bool,
    ) -> Result<(), Duration> {
        if let Some(throttle) = self.rejecting.take() {
            return Err(throttle);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let Session { place, limits, .. } = &self.session;
        let learning = place.cluster.partitions.learn(changes, || self.draining.get().is_some());
        // Boxed, so that no other connection carries its memory.
        let learned = Box::pin(learning).await;
        let count = changes.count(&learned.topics, learned.default);
        limits.mutate(api, count, can_be_rejected, &self.session, Moment::now())
    }
}
