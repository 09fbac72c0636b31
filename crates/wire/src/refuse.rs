//! Answers that say no, composed by the gateway in the exact layout of the version that was asked in: the code goes into
//! the slot where a broker would put it (`AbstractRequest.getErrorResponse` of Kafka's own client), per item where the
//! API answers per item, with the names of the request echoed.
//!
//! The echo is read with the bounded [`Reader`] and written as it is read, so an answer is at most a constant factor
//! larger than its question.

#![allow(clippy::unnecessary_wraps, reason = "all composers have one signature, to stand in one table")]

mod acls;
mod clients;
mod cluster;
mod configs;
mod fetch;
mod groups;
mod members;
mod offsets;
mod partitions;
pub mod produce;
mod topics;
mod transactions;

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
/// Speaks every version in the table of all APIs that brokers answer but `Produce`, whose body nobody holds: see
/// [`produce::refuse`]. Anything else is [`Malformed::Unspoken`].
///
/// Where a version has no slot for the code (`DescribeLogDirs` below 3), the answer is empty, as a broker's is. `Fetch` 7+,
/// `ShareFetch` and `ShareAcknowledge` have two slots: codes about partitions (3, 6, 29, 100) go to each partition that the
/// request names, others to the top of an answer without partitions.
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

/// Who composes what, in the order of the keys. Each writes the body up to the tag section of the message.
static COMPOSERS: [(Api, Compose); 60] = [
    (Api::Fetch, fetch::fetch),
    (Api::ListOffsets, offsets::list),
    (Api::Metadata, clients::metadata),
    (Api::OffsetCommit, offsets::commit),
    (Api::OffsetFetch, offsets::fetch),
    (Api::FindCoordinator, cluster::find_coordinator),
    (Api::JoinGroup, groups::join),
    (Api::Heartbeat, groups::heartbeat),
    (Api::LeaveGroup, groups::leave),
    (Api::SyncGroup, groups::sync),
    (Api::DescribeGroups, groups::describe),
    (Api::ListGroups, groups::list),
    (Api::CreateTopics, topics::create),
    (Api::DeleteTopics, topics::delete),
    (Api::DeleteRecords, offsets::delete_records),
    (Api::InitProducerId, transactions::init_producer),
    (Api::OffsetForLeaderEpoch, offsets::of_leader_epoch),
    (Api::AddPartitionsToTxn, transactions::add_partitions),
    (Api::AddOffsetsToTxn, transactions::add_offsets),
    (Api::EndTxn, transactions::end),
    (Api::TxnOffsetCommit, transactions::commit_offsets),
    (Api::DescribeAcls, acls::describe),
    (Api::CreateAcls, acls::create),
    (Api::DeleteAcls, acls::delete),
    (Api::DescribeConfigs, configs::describe),
    (Api::AlterConfigs, configs::alter),
    (Api::AlterReplicaLogDirs, partitions::alter_log_dirs),
    (Api::DescribeLogDirs, partitions::describe_log_dirs),
    (Api::CreatePartitions, topics::grow),
    (Api::DeleteGroups, groups::delete),
    (Api::ElectLeaders, partitions::elect_leaders),
    (Api::IncrementalAlterConfigs, configs::alter_incrementally),
    (Api::AlterPartitionReassignments, partitions::reassign),
    (Api::ListPartitionReassignments, partitions::list_reassignments),
    (Api::OffsetDelete, offsets::delete),
    (Api::DescribeClientQuotas, configs::describe_quotas),
    (Api::AlterClientQuotas, configs::alter_quotas),
    (Api::DescribeUserScramCredentials, acls::describe_scram_users),
    (Api::DescribeQuorum, cluster::describe_quorum),
    (Api::UpdateFeatures, cluster::update_features),
    (Api::DescribeCluster, cluster::describe_cluster),
    (Api::DescribeProducers, transactions::describe_producers),
    (Api::UnregisterBroker, cluster::unregister_broker),
    (Api::DescribeTransactions, transactions::describe),
    (Api::ListTransactions, transactions::list),
    (Api::ConsumerGroupHeartbeat, members::heartbeat),
    (Api::ConsumerGroupDescribe, members::describe),
    (Api::GetTelemetrySubscriptions, clients::get_telemetry),
    (Api::PushTelemetry, clients::push_telemetry),
    (Api::ListConfigResources, cluster::list_config_resources),
    (Api::DescribeTopicPartitions, clients::describe_topic_partitions),
    (Api::ShareGroupHeartbeat, members::heartbeat),
    (Api::ShareGroupDescribe, members::describe),
    (Api::ShareFetch, fetch::share_fetch),
    (Api::ShareAcknowledge, fetch::share_acknowledge),
    (Api::StreamsGroupHeartbeat, members::streams_heartbeat),
    (Api::StreamsGroupDescribe, members::streams_describe),
    (Api::DescribeShareGroupOffsets, members::describe_offsets),
    (Api::AlterShareGroupOffsets, members::change_offsets),
    (Api::DeleteShareGroupOffsets, members::change_offsets),
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

    /// The throttle time, of versions from `first` on.
    fn throttle_from(&mut self, first: i16) {
        if self.version >= first {
            self.throttle();
        }
    }

    /// The code alone.
    fn code(&mut self) {
        self.answer.i16(self.code);
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

    /// A topic that the answer repeats: by its name, or in versions from `id_from` on by its id.
    fn echo_topic(&mut self, id_from: i16) -> Result<(), Malformed> {
        if self.version < id_from {
            return self.echo_string("topic");
        }
        let id = self.request.uuid("topic id")?;
        self.answer.uuid(&id);
        Ok(())
    }

    /// Topics and their partitions, of which question and answer have a structure each; `partition` is all of it but its end.
    fn each_partition(
        &mut self,
        id_from: i16,
        partition: impl Fn(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for _ in 0..self.count("topics")? {
            self.echo_topic(id_from)?;
            for _ in 0..self.count("partitions")? {
                partition(self)?;
                self.end()?;
            }
            self.end()?;
        }
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
    fn what_brokers_answer_can_be_refused() {
        for api in Api::ALL {
            let by_brokers = matches!(api.stance(), Stance::Admin | Stance::Proxied);
            for version in api.row().min..=api.row().max {
                assert_eq!(is_refusable(api, version), by_brokers && api != Api::Produce, "{api} {version}");
            }
        }
        let keys: Vec<_> = COMPOSERS.iter().map(|(api, _)| api.key()).collect();
        assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?}");
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
