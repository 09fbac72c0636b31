//! What a client is offered: the table, cut down to what every broker of the cluster speaks.
//!
//! A client reads this once, often before it says who it is, and goes by it with every broker. So it promises no more than
//! the oldest broker keeps, and depends on nobody's rights.

use std::collections::BTreeMap;

use wire::api::{Api, Stance};
use wire::versions::{ApiRanges, Feature, Offered, VersionRange};

/// The feature that makes producers rely on transactions V2 (KIP-890).
const TRANSACTION_VERSION: &str = "transaction.version";

/// Versions from which transactions V2 work. A client that sees the feature does not look at them.
const TRANSACTIONS_V2: [(Api, i16); 3] = [(Api::Produce, 12), (Api::TxnOffsetCommit, 5), (Api::EndTxn, 5)];

/// Cuts the table down to what all of these brokers speak: from the highest of their lowest versions to the lowest of
/// their highest ones. Hidden APIs are left out; what the gateway answers itself is always there.
///
/// Produce stays from 0: librdkafka before 2.x sends uncompressed data where it does not see that version (KAFKA-18659).
/// With no broker at all, only what the gateway answers itself is offered.
pub fn offer(brokers: &[&Offered]) -> Offered {
    let mut ranges = ApiRanges::default();
    for api in Api::ALL {
        let row = api.row();
        let table = VersionRange { min: row.min, max: row.max };
        ranges.set(
            api,
            match api.stance() {
                Stance::Hidden => None,
                Stance::Local => Some(table),
                Stance::Proxied | Stance::Admin => common(api, table, brokers),
            },
        );
    }
    let freshest = brokers.iter().max_by_key(|broker| broker.finalized_epoch);
    let mut finalized = freshest.map(|broker| broker.finalized.clone()).unwrap_or_default();
    if !has_transactions_v2(&ranges) {
        hide_transactions_v2(&mut finalized);
    }
    Offered {
        ranges,
        supported: common_features(brokers),
        finalized_epoch: freshest.map_or(-1, |broker| broker.finalized_epoch),
        finalized,
        zk_migration_ready: !brokers.is_empty() && brokers.iter().all(|broker| broker.zk_migration_ready),
    }
}

/// Whether the versions are there that transactions of version 2 (KIP-890) need.
pub fn has_transactions_v2(ranges: &ApiRanges) -> bool {
    TRANSACTIONS_V2.iter().all(|(api, version)| ranges.allows(*api, *version))
}

/// Tells nobody that transactions of version 2 are in force. A client takes the news from one connection for all of them: it
/// must not hear it as long as it has any whose versions lack them.
pub fn hide_transactions_v2(finalized: &mut Vec<Feature>) {
    finalized.retain(|feature| feature.name != TRANSACTION_VERSION || feature.max < 2);
}

/// What the table and all brokers have in common of one API.
fn common(api: Api, table: VersionRange, brokers: &[&Offered]) -> Option<VersionRange> {
    if brokers.is_empty() {
        return None;
    }
    let mut common = table;
    for broker in brokers {
        let range = broker.ranges.get(api)?;
        common.min = common.min.max(range.min);
        common.max = common.max.min(range.max);
    }
    if api == Api::Produce {
        common.min = 0;
    }
    (common.min <= common.max).then_some(common)
}

/// Features that all brokers could run with, at the levels that all of them know.
fn common_features(brokers: &[&Offered]) -> Vec<Feature> {
    let mut common: BTreeMap<&str, (usize, i16, i16)> = BTreeMap::new();
    for feature in brokers.iter().flat_map(|broker| &broker.supported) {
        let (seen, min, max) = common.entry(&feature.name).or_insert((0, feature.min, feature.max));
        *seen += 1;
        *min = feature.min.max(*min);
        *max = feature.max.min(*max);
    }
    let of_all = common.into_iter().filter(|(_, (seen, min, max))| *seen == brokers.len() && min <= max);
    of_all.map(|(name, (_, min, max))| Feature { name: name.to_owned(), min, max }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A broker that speaks the whole table, with transactions V2.
    fn broker(change: impl FnOnce(&mut Offered)) -> Offered {
        let mut offered = Offered { finalized_epoch: 7, ..Offered::default() };
        for api in Api::ALL {
            offered.ranges.set(api, Some(VersionRange { min: api.row().min, max: i16::MAX }));
        }
        offered.supported = vec![feature(TRANSACTION_VERSION, 0, 2), feature("group.version", 0, 1)];
        offered.finalized = vec![feature(TRANSACTION_VERSION, 2, 2), feature("group.version", 1, 1)];
        change(&mut offered);
        offered
    }

    fn feature(name: &str, min: i16, max: i16) -> Feature {
        Feature { name: name.to_owned(), min, max }
    }

    #[allow(clippy::unnecessary_wraps, reason = "as the ranges hold it")]
    fn range(min: i16, max: i16) -> Option<VersionRange> {
        Some(VersionRange { min, max })
    }

    #[test]
    fn a_cluster_is_as_new_as_its_oldest_broker_and_as_old_as_its_newest() {
        let old = broker(|b| {
            b.ranges.set(Api::Fetch, range(0, 11));
            b.ranges.set(Api::ShareFetch, None);
            b.ranges.set(Api::Produce, range(3, 11));
        });
        let new = broker(|b| {
            b.ranges.set(Api::Fetch, range(4, 99));
            b.ranges.set(Api::Metadata, range(99, 100));
        });
        let offered = offer(&[&old, &new]).ranges;
        assert_eq!(offered.get(Api::Fetch), range(4, 11));
        assert_eq!(offered.get(Api::Produce), range(0, 11));
        assert_eq!(offered.get(Api::ShareFetch), None);
        assert_eq!(offered.get(Api::Metadata), None);
    }

    #[test]
    fn caps_hold_and_hidden_apis_are_hidden_whatever_brokers_say() {
        let offered = offer(&[&broker(|_| {})]).ranges;
        assert_eq!(offered.get(Api::AddPartitionsToTxn), range(0, 3));
        assert_eq!(offered.get(Api::InitProducerId), range(0, 5));
        assert_eq!(offered.get(Api::ApiVersions), range(0, 4));
        for (api, _) in offered.iter() {
            assert_ne!(api.stance(), Stance::Hidden, "{api}");
        }
    }

    #[test]
    fn what_the_gateway_answers_itself_is_offered_without_any_broker() {
        let local = broker(|b| b.ranges = ApiRanges::default());
        for offered in [offer(&[]), offer(&[&local])] {
            let keys: Vec<_> = offered.ranges.iter().map(|(api, _)| api).collect();
            assert_eq!(keys, [Api::SaslHandshake, Api::ApiVersions, Api::SaslAuthenticate]);
        }
        assert_eq!(offer(&[]), Offered { ranges: offer(&[]).ranges, ..Offered::default() });
    }

    #[test]
    fn transactions_v2_are_promised_only_with_all_versions_that_they_need() {
        let names = |brokers: &[&Offered]| -> Vec<String> {
            offer(brokers).finalized.into_iter().map(|feature| feature.name).collect()
        };
        let new = broker(|_| {});
        assert_eq!(names(&[&new]), [TRANSACTION_VERSION, "group.version"]);
        for (api, version) in TRANSACTIONS_V2 {
            let old = broker(|b| b.ranges.set(api, range(0, version - 1)));
            assert_eq!(names(&[&new, &old]), ["group.version"], "{api}");
        }
    }

    #[test]
    fn features_are_those_of_all_brokers_at_levels_that_all_know() {
        let other = broker(|b| {
            b.supported = vec![feature(TRANSACTION_VERSION, 0, 1)];
            b.finalized_epoch = 8;
            b.finalized = vec![];
        });
        let offered = offer(&[&broker(|_| {}), &other]);
        assert_eq!(offered.supported, [feature(TRANSACTION_VERSION, 0, 1)]);
        assert_eq!((offered.finalized_epoch, offered.finalized), (8, vec![]));
    }
}
