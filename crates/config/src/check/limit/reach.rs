//! Limits that cannot be: keys that the kind does not know, requests that it never sees, effects that it cannot have.

use std::ops::Range;
use std::time::Duration;

use wire::Api;
use wire::api::{Class, Stance};
use wire::request::{Named, group};

use crate::Limit;
use crate::limit::{Amount, Key, LimitKind, OnExceeded, Scope, Unit};
use crate::raw::{Section, Written};

/// APIs that create and delete topics and partitions.
const MUTATING: [Api; 3] = [Api::CreateTopics, Api::DeleteTopics, Api::CreatePartitions];

/// Reports all that is wrong with a limit whose keys are each well-formed. `keys`: what `by` and `match` name.
pub(super) fn check(section: &Section<'_, '_>, limit: &Limit, keys: &[Written<Key>]) {
    if keys_are_fit(section, limit, keys) {
        check_requests(section, limit, keys);
    }
    let paces = matches!(
        limit.kind,
        LimitKind::FixedWindow(_)
            | LimitKind::SlidingWindow(_)
            | LimitKind::LeakyBucket
            | LimitKind::Bytes
            | LimitKind::Mutations
    );
    let cannot = |key: &str, what: &str, remedy: &str| {
        let what = format!("limits of the kind {} cannot {what}", limit.kind.name());
        section.fault(&section.place_of(key), what, remedy);
    };
    if limit.on_exceeded == OnExceeded::Reject && !paces {
        cannot("on_exceeded", "reject", "write on_exceeded = \"throttle\"");
    }
    if limit.scope == Scope::Fleet && matches!(limit.kind, LimitKind::Concurrency | LimitKind::Connections) {
        cannot("scope", "be shared by a fleet", "write scope = \"replica\", and each replica's part");
    }
    if limit.max_throttle == Duration::ZERO && limit.on_exceeded == OnExceeded::Throttle && paces {
        note(section, "max_throttle", "a limit whose max_throttle is 0s only counts");
    }
}

fn note(section: &Section<'_, '_>, key: &str, note: &str) {
    let line = section.text.line(&section.place_of(key));
    section.text.findings.note(format!("{line}: {note}"));
}

/// Whether the kind can look at all of the keys.
fn keys_are_fit(section: &Section<'_, '_>, limit: &Limit, keys: &[Written<Key>]) -> bool {
    let mut are_fit = true;
    for key in keys {
        if let Some(why) = unfit(limit.kind, key.value) {
            are_fit = false;
            let what =
                format!("`{}` is not for limits of the kind {}: {why}", key.value.name(), named(limit.kind));
            section.fault(&key.at, what, "remove it, or take another kind of limit");
        }
    }
    if place(keys, Key::Topic).is_some()
        && let Some(at) = place(keys, Key::Group)
    {
        are_fit = false;
        section.fault(at, "a limit looks at topics or at groups, not at both", "make two limits of it");
    }
    are_fit
}

/// The kind as people read it: with its unit where that matters.
fn named(kind: LimitKind) -> String {
    let unit = match kind {
        LimitKind::FixedWindow(Unit::Bytes) | LimitKind::SlidingWindow(Unit::Bytes) => " of bytes",
        LimitKind::FixedWindow(Unit::Records) | LimitKind::SlidingWindow(Unit::Records) => " of records",
        LimitKind::FixedWindow(Unit::Requests)
        | LimitKind::SlidingWindow(Unit::Requests)
        | LimitKind::LeakyBucket
        | LimitKind::Concurrency
        | LimitKind::Connections
        | LimitKind::ConnectionRate
        | LimitKind::Bytes
        | LimitKind::Mutations => "",
    };
    format!("{}{unit}", kind.name())
}

fn place(keys: &[Written<Key>], wanted: Key) -> Option<&Range<usize>> {
    keys.iter().find(|key| key.value == wanted).map(|key| &key.at)
}

/// Why a kind cannot look at a key.
fn unfit(kind: LimitKind, key: Key) -> Option<&'static str> {
    match (kind, key) {
        (
            LimitKind::Connections | LimitKind::ConnectionRate,
            Key::ClientId | Key::Api | Key::Topic | Key::Group,
        ) => Some("it is not known when a connection comes"),
        (LimitKind::Concurrency | LimitKind::Mutations, Key::Topic | Key::Group) => {
            Some("it does not look into requests for it")
        }
        (
            LimitKind::Bytes
            | LimitKind::FixedWindow(Unit::Bytes | Unit::Records)
            | LimitKind::SlidingWindow(Unit::Bytes | Unit::Records),
            Key::Group,
        ) => Some("Produce and Fetch name no group"),
        _ => None,
    }
}

/// Refuses a limit that no request counts to, and one that shall reject what cannot be rejected.
fn check_requests(section: &Section<'_, '_>, limit: &Limit, keys: &[Written<Key>]) {
    if matches!(limit.kind, LimitKind::Connections | LimitKind::ConnectionRate) {
        return;
    }
    let counted: Vec<Api> = Api::ALL.into_iter().filter(|api| counts(limit, keys, *api)).collect();
    let at = place(keys, Key::Api).cloned().unwrap_or_else(|| section.at.clone());
    if counted.is_empty() {
        let (what, remedy) = uncounted(limit, keys);
        section.fault(&at, what, remedy);
        return;
    }
    let can_be_rejected = |api: &Api| *api == Api::Produce || MUTATING.contains(api);
    if limit.on_exceeded == OnExceeded::Reject
        && limit.kind != LimitKind::Concurrency
        && !counted.iter().any(can_be_rejected)
    {
        let what = "nothing that this limit counts can be rejected";
        let remedy = "write on_exceeded = \"throttle\"; only Produce, CreateTopics, DeleteTopics and \
                      CreatePartitions have an error that clients retry";
        section.fault(&section.place_of("on_exceeded"), what, remedy);
    }
    if counted.iter().all(|api| api.is_pressing()) {
        note(
            section,
            "match",
            "this limit only counts: logins and calls of groups and transactions are never delayed",
        );
    }
}

/// Whether requests of an API count to the limit, if they come from somebody it is for.
fn counts(limit: &Limit, keys: &[Written<Key>], api: Api) -> bool {
    let fetches = api.class() == Class::Fetch;
    let amounts = || limit.amount.iter().chain(limit.overrides.iter().map(|over| &over.amount));
    let of_kind = match limit.kind {
        LimitKind::FixedWindow(Unit::Bytes) | LimitKind::SlidingWindow(Unit::Bytes) => {
            api == Api::Produce || fetches
        }
        LimitKind::FixedWindow(Unit::Records) | LimitKind::SlidingWindow(Unit::Records) => {
            api == Api::Produce
        }
        // Without an amount there is a fault already.
        LimitKind::Bytes if amounts().next().is_none() => api == Api::Produce || fetches,
        LimitKind::Bytes => amounts().any(|amount| match amount {
            Amount::Bytes { produce, fetch } => {
                (api == Api::Produce && produce.is_some()) || (fetches && fetch.is_some())
            }
            Amount::Count { .. } | Amount::Rate(_) | Amount::AtOnce(_) => false,
        }),
        LimitKind::Mutations => MUTATING.contains(&api),
        LimitKind::Connections | LimitKind::ConnectionRate => false,
        LimitKind::FixedWindow(Unit::Requests)
        | LimitKind::SlidingWindow(Unit::Requests)
        | LimitKind::LeakyBucket
        | LimitKind::Concurrency => true,
    };
    api.stance() != Stance::Hidden
        && of_kind
        && limit.matches.apis.is_none_or(|apis| apis.contains(api))
        && (place(keys, Key::Topic).is_none() || matches!(api, Api::Produce | Api::Fetch))
        && (place(keys, Key::Group).is_none() || names_a_group(api))
}

/// Whether the requests of an API name a group: whoever reads one asks for more than nothing.
fn names_a_group(api: Api) -> bool {
    group(api, api.row().max, &[]) != Ok(Some(Named::NoGroup))
}

/// Why no request counts to a limit, and what to match instead.
fn uncounted(limit: &Limit, keys: &[Written<Key>]) -> (&'static str, &'static str) {
    let records = "match api = [\"Produce\"], [\"Fetch\"] or both";
    match limit.kind {
        LimitKind::FixedWindow(Unit::Records) | LimitKind::SlidingWindow(Unit::Records) => {
            ("records are counted in Produce only, which is not in `match`", "match api = [\"Produce\"]")
        }
        LimitKind::Mutations => (
            "none of the requests in `match` creates or deletes topics or partitions",
            "match api = [\"CreateTopics\", \"DeleteTopics\", \"CreatePartitions\"], or leave api and class out",
        ),
        LimitKind::Bytes => (
            "there is no rate for what `match` lets through",
            "match Produce and give produce_rate, or match Fetch and give fetch_rate",
        ),
        LimitKind::FixedWindow(_)
        | LimitKind::SlidingWindow(_)
        | LimitKind::LeakyBucket
        | LimitKind::Concurrency
        | LimitKind::Connections
        | LimitKind::ConnectionRate
            if place(keys, Key::Group).is_some() =>
        {
            (
                "none of the requests in `match` names a group",
                "match class = [\"group\"], or leave api and class out",
            )
        }
        LimitKind::FixedWindow(_)
        | LimitKind::SlidingWindow(_)
        | LimitKind::LeakyBucket
        | LimitKind::Concurrency
        | LimitKind::Connections
        | LimitKind::ConnectionRate => ("none of the requests in `match` carries records", records),
    }
}
