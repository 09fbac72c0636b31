//! What a limit of each kind charges, and how much of it there is.

use std::time::Duration;

use config::limit::{Amount, LimitKind, Rate, Unit};
use wire::Api;

use super::Measure;
use crate::quota::bucket::{Nanos, Pace};

/// How much, of whatever kind.
#[derive(Clone, Copy)]
pub(super) enum Much {
    Paced(Pace),
    AtOnce(u64),
}

/// What is charged, and by how much it is limited.
#[derive(Clone, Copy)]
pub(super) struct Charge {
    pub(super) measure: Measure,
    pub(super) much: Much,
}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX).max(1)
}

fn rate(rate: Rate) -> Much {
    Much::Paced(Pace::Rate { units: rate.units.max(1), per: nanos(rate.per), burst: rate.burst.max(1) })
}

/// What is charged by a limit of this kind, for requests of `api`.
pub(super) fn charges(kind: LimitKind, amount: Amount, api: Option<Api>) -> [Option<Charge>; 2] {
    let (produces, fetches) = (api == Some(Api::Produce), api.is_some_and(|api| api.class() == FETCH));
    let mutates = matches!(api, Some(Api::CreateTopics | Api::DeleteTopics | Api::CreatePartitions));
    let one = |measure, much| [Some(Charge { measure, much }), None];
    let windowed = |unit, much| match unit {
        Unit::Requests => one(Measure::Requests, much),
        Unit::Bytes if produces => one(Measure::ProduceBytes, much),
        Unit::Bytes if fetches => one(Measure::FetchBytes, much),
        Unit::Records if produces => one(Measure::Records, much),
        Unit::Bytes | Unit::Records => [None, None],
    };
    match (kind, amount) {
        (LimitKind::FixedWindow(unit), Amount::Count { count, window }) => {
            windowed(unit, Much::Paced(Pace::Fixed { count: count.max(1), window: nanos(window) }))
        }
        (LimitKind::SlidingWindow(unit), Amount::Count { count, window }) => {
            windowed(unit, Much::Paced(Pace::Sliding { count: count.max(1), window: nanos(window) }))
        }
        (LimitKind::LeakyBucket, Amount::Rate(steady)) => one(Measure::Requests, rate(steady)),
        (LimitKind::ConnectionRate, Amount::Rate(steady)) => one(Measure::Connections, rate(steady)),
        (LimitKind::Mutations, Amount::Rate(steady)) if mutates => one(Measure::Mutations, rate(steady)),
        (LimitKind::Concurrency, Amount::AtOnce(max)) => one(Measure::InFlight, Much::AtOnce(max)),
        (LimitKind::Connections, Amount::AtOnce(max)) => one(Measure::Open, Much::AtOnce(max)),
        (LimitKind::Bytes, Amount::Bytes { produce: Some(steady), .. }) if produces => {
            one(Measure::ProduceBytes, rate(steady))
        }
        (LimitKind::Bytes, Amount::Bytes { fetch: Some(steady), .. }) if fetches => {
            one(Measure::FetchBytes, rate(steady))
        }
        _ => [None, None],
    }
}

const FETCH: wire::api::Class = wire::api::Class::Fetch;
