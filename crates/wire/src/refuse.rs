//! Answers that say no, composed by the gateway in the exact layout of the version that was asked in: the code goes into
//! the slot where a broker would put it (`AbstractRequest.getErrorResponse` of Kafka's own client), per item where the
//! API answers per item, with the names of the request echoed.
//!
//! The echo is read with the bounded [`Reader`] and written as it is read, so an answer is at most a constant factor
//! larger than its question.

#![allow(clippy::unnecessary_wraps, reason = "all composers have one signature, to stand in one table")]

mod acls;
mod cluster;
mod configs;
mod partitions;
pub mod produce;
mod topics;

use crate::address::CorrelationId;
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_writer;
use crate::reader::{Encoding, Reader};
use crate::writer::Writer;

/// So many items of one answer say why in words; further ones have the code alone. A partition is four bytes in the
/// question and would be a hundred in the answer.
pub const ITEMS_WITH_WORDS_MAX: u32 = 64;

/// Composes the refusal of one request: a whole frame with its size.
///
/// `body` is the request's body (what follows its head); `message` is for the eyes of whoever reads the client's log.
/// Speaks every version in the table of all `Stance::Admin` APIs, `FindCoordinator`, `DescribeCluster`, `DescribeConfigs`,
/// `AlterConfigs`, `IncrementalAlterConfigs`, `CreateTopics`, `DeleteTopics` and `CreatePartitions`; anything else is
/// [`Malformed::Unspoken`].
///
/// Where a version has no slot for the code (`DescribeLogDirs` below 3), the answer is empty, as a broker's is.
pub fn refuse(
    api: Api,
    version: i16,
    correlation: CorrelationId,
    body: &[u8],
    code: i16,
    message: &str,
) -> Result<Vec<u8>, Malformed> {
    refuse_throttled(api, version, correlation, body, code, message, 0)
}

/// As [`refuse`], in words and in `throttle_time_ms`, where the version has it: for so long the client is to be quiet.
pub fn refuse_throttled(
    api: Api,
    version: i16,
    correlation: CorrelationId,
    body: &[u8],
    code: i16,
    message: &str,
    throttle_ms: i32,
) -> Result<Vec<u8>, Malformed> {
    let composer = COMPOSERS.iter().find(|(composed, _)| *composed == api && api.speaks(version));
    let (_, compose) = composer.ok_or(Malformed::Unspoken { api: api.name(), version })?;
    let encoding = Encoding::of(api.request_is_flexible(version));
    let mut refusal = Refusal {
        version,
        code,
        message,
        throttle_ms,
        items: 0,
        request: Reader::new(body, encoding),
        answer: answer_writer(correlation, api.answer_header_is_flexible(version), encoding),
    };
    compose(&mut refusal)?;
    refusal.answer.no_tags();
    Ok(refusal.answer.into_frame())
}

/// Whether [`refuse`] has an answer for this API in this version.
pub fn is_refusable(api: Api, version: i16) -> bool {
    api.speaks(version) && COMPOSERS.iter().any(|(composed, _)| *composed == api)
}

/// Whether clients of this version know [`code::THROTTLING_QUOTA_EXCEEDED`](crate::error::code::THROTTLING_QUOTA_EXCEEDED),
/// and try again by themselves (KIP-599). Others must be held back instead.
pub fn knows_throttling_quota(api: Api, version: i16) -> bool {
    let known_from = [(Api::CreateTopics, 6), (Api::DeleteTopics, 5), (Api::CreatePartitions, 3)];
    api.speaks(version) && known_from.iter().any(|(knows, from)| *knows == api && version >= *from)
}

type Compose = fn(&mut Refusal<'_>) -> Result<(), Malformed>;

/// Who composes what. Each writes the body up to the tag section of the message.
static COMPOSERS: [(Api, Compose); 23] = [
    (Api::FindCoordinator, cluster::find_coordinator),
    (Api::CreateTopics, topics::create),
    (Api::DeleteTopics, topics::delete),
    (Api::DescribeAcls, acls::describe),
    (Api::CreateAcls, acls::create),
    (Api::DeleteAcls, acls::delete),
    (Api::DescribeConfigs, configs::describe),
    (Api::AlterConfigs, configs::alter),
    (Api::IncrementalAlterConfigs, configs::alter_incrementally),
    (Api::AlterReplicaLogDirs, partitions::alter_log_dirs),
    (Api::DescribeLogDirs, partitions::describe_log_dirs),
    (Api::CreatePartitions, topics::grow),
    (Api::ElectLeaders, partitions::elect_leaders),
    (Api::AlterPartitionReassignments, partitions::reassign),
    (Api::ListPartitionReassignments, partitions::list_reassignments),
    (Api::DescribeClientQuotas, configs::describe_quotas),
    (Api::AlterClientQuotas, configs::alter_quotas),
    (Api::DescribeUserScramCredentials, acls::describe_scram_users),
    (Api::DescribeQuorum, cluster::describe_quorum),
    (Api::UpdateFeatures, cluster::update_features),
    (Api::DescribeCluster, cluster::describe_cluster),
    (Api::UnregisterBroker, cluster::unregister_broker),
    (Api::ListConfigResources, cluster::list_config_resources),
];

/// A refusal in the making: the question as far as it was read, the answer as far as it was written.
struct Refusal<'a> {
    version: i16,
    code: i16,
    message: &'a str,
    throttle_ms: i32,
    items: u32,
    request: Reader<'a>,
    answer: Writer,
}

impl Refusal<'_> {
    /// The throttle time: the first field of nearly all answers.
    fn throttle(&mut self) {
        self.answer.i32(self.throttle_ms);
    }

    /// The code and the reason of the whole answer.
    fn top(&mut self) {
        self.answer.i16(self.code);
        self.answer.nullable_string(Some(self.message));
    }

    /// The code and the reason of one item.
    fn item(&mut self) {
        self.item_with_words(true);
    }

    /// The code of one item, and the reason where the version has words for it.
    fn item_with_words(&mut self, has_words: bool) {
        self.items = self.items.saturating_add(1);
        self.answer.i16(self.code);
        if has_words {
            self.answer.nullable_string((self.items <= ITEMS_WITH_WORDS_MAX).then_some(self.message));
        }
    }

    /// The count of an array of items that are answered one by one.
    fn count(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let count = self.request.array_len(what)?;
        self.answer.array_len(count);
        Ok(count)
    }

    /// The end of a struct, in both.
    fn end(&mut self) -> Result<(), Malformed> {
        self.answer.no_tags();
        self.request.skip_tags()
    }

    /// A string that the answer repeats.
    fn echo_string(&mut self, what: &'static str) -> Result<(), Malformed> {
        let text = self.request.string_bytes(what)?;
        self.answer.string_bytes(text);
        Ok(())
    }

    /// A number that the answer repeats.
    fn echo_i32(&mut self, what: &'static str) -> Result<(), Malformed> {
        let number = self.request.i32(what)?;
        self.answer.i32(number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::Stance;
    use crate::error::code;

    #[test]
    fn every_admin_api_can_be_refused() {
        for api in Api::ALL {
            if api.stance() == Stance::Admin {
                assert!(is_refusable(api, api.row().min) && is_refusable(api, api.row().max), "{api}");
            }
        }
    }

    #[test]
    fn many_items_do_not_repeat_a_long_reason() {
        let mut body = Writer::new(Encoding::Flexible);
        body.i8(0);
        body.array_len(1);
        body.string("topic");
        body.array_len(10_000);
        for partition in 0..10_000 {
            body.i32(partition);
        }
        body.no_tags();
        body.i32(60_000);
        body.no_tags();
        let body = body.into_bytes();
        let why = "w".repeat(200);
        let frame =
            refuse(Api::ElectLeaders, 2, CorrelationId(1), &body, code::CLUSTER_AUTHORIZATION_FAILED, &why)
                .unwrap();
        assert!(frame.len() < 3 * body.len(), "{} for {}", frame.len(), body.len());
    }

    #[test]
    fn the_code_of_quotas_is_known_from_the_versions_that_brought_it() {
        let known = |api| (0..=9).filter(|version| knows_throttling_quota(api, *version)).collect::<Vec<_>>();
        assert_eq!(known(Api::CreateTopics), [6, 7]);
        assert_eq!(known(Api::DeleteTopics), [5, 6]);
        assert_eq!(known(Api::CreatePartitions), [3]);
        assert_eq!(known(Api::Produce), []);
    }

    #[test]
    fn what_is_not_spoken_is_not_refused() {
        let refused = |api, version| refuse(api, version, CorrelationId(1), &[], 31, "");
        assert!(matches!(refused(Api::Produce, 9), Err(Malformed::Unspoken { .. })));
        assert!(matches!(refused(Api::DescribeAcls, 4), Err(Malformed::Unspoken { .. })));
        assert!(matches!(refused(Api::DescribeAcls, -1), Err(Malformed::Unspoken { .. })));
    }
}
