//! `[[limit]]`

mod amount;
mod matches;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use wire::Api;

use crate::Limit;
use crate::check::cluster::Draft;
use crate::limit::{Entity, Key, LimitKind, Mode, OnExceeded, Override, Scope, Unit};
use crate::raw::{Section, Written};

/// APIs whose requests can be answered with an error that clients retry.
const REJECTABLE: [Api; 4] = [Api::Produce, Api::CreateTopics, Api::DeleteTopics, Api::CreatePartitions];

pub(super) fn read_all(root: &mut Section<'_, '_>, clusters: &[Draft]) -> Vec<Arc<Limit>> {
    let mut names = BTreeMap::new();
    let sections = root.sections("limit", "[[limit]]");
    sections.into_iter().filter_map(|section| read(section, clusters, &mut names).map(Arc::new)).collect()
}

fn read(
    mut section: Section<'_, '_>,
    clusters: &[Draft],
    names: &mut BTreeMap<String, String>,
) -> Option<Limit> {
    let name = read_name(&mut section, names);
    let kind = read_kind(&mut section);
    let by = read_by(&mut section);
    let mut matches = Written { value: crate::limit::Match::default(), at: section.place_of("match") };
    if let Some(inner) = section.section("match", "match = { … }") {
        matches.value = matches::read(inner, clusters);
    }
    let observes = choice(&mut section, "mode", ["enforce", "observe"]);
    let rejects = choice(&mut section, "on_exceeded", ["throttle", "reject"]);
    let is_fleet = choice(&mut section, "scope", ["replica", "fleet"]);
    let max_throttle = section.time("max_throttle", "5s", ["0s", "8s"]);
    let Some(kind) = kind else {
        // Which keys it may have is not known.
        return None;
    };
    let overrides = section.sections("override", "[[limit.override]]");
    let is_needed = overrides.is_empty();
    let amount = amount::read(&mut section, kind, is_needed);
    let overrides = read_overrides(overrides, kind, section.text);
    let limit = Limit {
        name: name.as_deref().unwrap_or_default().into(),
        kind,
        by: by.iter().map(|key| key.value).collect(),
        matches: matches.value.clone(),
        amount,
        overrides: overrides.into_iter().map(|over| over.value).collect(),
        mode: if observes { Mode::Observe } else { Mode::Enforce },
        on_exceeded: if rejects { OnExceeded::Reject } else { OnExceeded::Throttle },
        max_throttle,
        scope: if is_fleet { Scope::Fleet } else { Scope::Replica },
    };
    check_keys(&section, &limit, &by, &matches.at);
    check_reach(&section, &limit);
    section.finish();
    name.map(|_| limit)
}

fn read_name(section: &mut Section<'_, '_>, names: &mut BTreeMap<String, String>) -> Option<String> {
    let name = section.string_needed("name", "\"requests-per-user\"")?;
    let is_name = (1..=100).contains(&name.value.len())
        && name.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_name {
        let what = format!("`{}` cannot be the name of a limit", name.value.escape_debug());
        section.fault(&name.at, what, "write 1 to 100 letters, digits, `-`, `_` or `.`");
    } else if let Some(first) = names.get(name.value) {
        let what = format!("limit `{}` is there already, at {first}", name.value);
        section.fault(&name.at, what, "give each limit a `name` of its own");
    } else {
        names.insert(name.value.to_owned(), section.text.line(&name.at));
    }
    Some(name.value.to_owned())
}

fn read_kind(section: &mut Section<'_, '_>) -> Option<LimitKind> {
    const KINDS: [LimitKind; 8] = [
        LimitKind::FixedWindow(Unit::Requests),
        LimitKind::SlidingWindow(Unit::Requests),
        LimitKind::LeakyBucket,
        LimitKind::Concurrency,
        LimitKind::Connections,
        LimitKind::ConnectionRate,
        LimitKind::Bytes,
        LimitKind::Mutations,
    ];
    let written = section.string_needed("kind", "\"fixed-window\"")?;
    let kind = one_of(section, &written, "kind", &KINDS.map(|kind| (kind.name(), kind)))?;
    let windowed: Option<fn(Unit) -> LimitKind> = match kind {
        LimitKind::FixedWindow(_) => Some(LimitKind::FixedWindow),
        LimitKind::SlidingWindow(_) => Some(LimitKind::SlidingWindow),
        LimitKind::LeakyBucket
        | LimitKind::Concurrency
        | LimitKind::Connections
        | LimitKind::ConnectionRate
        | LimitKind::Bytes
        | LimitKind::Mutations => None,
    };
    let Some(windowed) = windowed else { return Some(kind) };
    let Some(unit) = section.string("unit", "\"requests\"") else { return Some(kind) };
    let units = [("requests", Unit::Requests), ("bytes", Unit::Bytes), ("records", Unit::Records)];
    one_of(section, &unit, "unit", &units).map(windowed)
}

fn read_by(section: &mut Section<'_, '_>) -> Vec<Written<Key>> {
    let known = Key::ALL.map(|key| (key.name(), key));
    let mut by: Vec<Written<Key>> = Vec::new();
    for written in section.strings("by", "[\"principal\"]").unwrap_or_default() {
        let Some(key) = one_of(section, &written, "by", &known) else { continue };
        if by.iter().any(|other| other.value == key) {
            section.fault(
                &written.at,
                format!("`{}` is named twice", written.value),
                "remove one of the two",
            );
        } else {
            by.push(Written { value: key, at: written.at });
        }
    }
    by.sort_by_key(|key| key.value);
    by
}

/// Which of two words is written; the first is the default.
fn choice(section: &mut Section<'_, '_>, key: &'static str, [no, yes]: [&'static str; 2]) -> bool {
    let Some(written) = section.string(key, &format!("\"{no}\"")) else { return false };
    one_of(section, &written, key, &[(no, false), (yes, true)]).unwrap_or(false)
}

/// What a word stands for; a fault when it is none of them.
fn one_of<T: Copy>(
    section: &Section<'_, '_>,
    written: &Written<&str>,
    key: &str,
    known: &[(&str, T)],
) -> Option<T> {
    let found = known.iter().find(|(word, _)| *word == written.value).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        section.fault(
            &written.at,
            format!("`{}` is no `{key}`", written.value.escape_debug()),
            crate::raw::nearest(written.value, &words),
        );
    }
    found
}

fn read_overrides(
    sections: Vec<Section<'_, '_>>,
    kind: LimitKind,
    text: crate::raw::Text<'_>,
) -> Vec<Written<Override>> {
    let mut all: Vec<Written<Override>> = Vec::new();
    for mut section in sections {
        let entity = |section: &mut Section<'_, '_>, key, example: &str| {
            section.string(key, example).map(|written| match written.value {
                "<default>" => Entity::Default,
                name => Entity::Name(name.into()),
            })
        };
        let principal = entity(&mut section, "principal", "\"alice\"");
        let client_id = entity(&mut section, "client_id", "\"app\"");
        let address = entity(&mut section, "address", "\"10.0.0.1\"");
        let of_connections = matches!(kind, LimitKind::Connections | LimitKind::ConnectionRate);
        if principal.is_none() && client_id.is_none() && address.is_none() {
            let remedy = "add principal, client_id or both, each a name or \"<default>\"";
            section.fault(&section.at, "the override is for nobody", remedy);
        }
        if address.is_some() && !of_connections {
            let remedy = "only connections and connection-rate have overrides by address";
            section.fault(&section.place_of("address"), "`address` is not for this kind of limit", remedy);
        }
        if client_id.is_some() && of_connections {
            let what = "`client_id` is not known when a connection comes";
            section.fault(&section.place_of("client_id"), what, "name a principal or an address");
        }
        let same = all.iter().find(|other| {
            other.value.principal == principal
                && other.value.client_id == client_id
                && other.value.address == address
        });
        if let Some(same) = same {
            let what = format!("there is an override for the same already, at {}", text.line(&same.at));
            section.fault(&section.at, what, "remove one of the two");
        }
        let amount = amount::read(&mut section, kind, true);
        let at = section.at.clone();
        section.finish();
        if let Some(amount) = amount {
            all.push(Written { value: Override { principal, client_id, address, amount }, at });
        }
    }
    all
}

/// Refuses keys that the kind cannot look at.
fn check_keys(section: &Section<'_, '_>, limit: &Limit, by: &[Written<Key>], match_at: &Range<usize>) {
    let of = &limit.matches;
    let matched = [
        (Key::Principal, !of.principal.is_empty()),
        (Key::ClientId, !of.client_id.is_empty()),
        (Key::Address, !of.address.is_empty()),
        (Key::Cluster, !of.cluster.is_empty()),
        (Key::Listener, !of.listener.is_empty()),
        (Key::Topic, !of.topic.is_empty()),
        (Key::Group, !of.group.is_empty()),
        (Key::Api, of.apis.is_some()),
    ];
    let matched = matched.into_iter().filter(|(_, is)| *is).map(|(key, _)| (key, match_at));
    let all: Vec<(Key, &Range<usize>)> = by.iter().map(|key| (key.value, &key.at)).chain(matched).collect();
    for (key, at) in &all {
        let why = match (limit.kind, key) {
            (LimitKind::Connections | LimitKind::ConnectionRate, Key::ClientId | Key::Api) => {
                "a connection names none when it comes"
            }
            (
                LimitKind::Connections
                | LimitKind::ConnectionRate
                | LimitKind::Concurrency
                | LimitKind::Mutations,
                Key::Topic | Key::Group,
            ) => "this kind does not look into requests for it",
            (
                LimitKind::Bytes
                | LimitKind::FixedWindow(Unit::Bytes | Unit::Records)
                | LimitKind::SlidingWindow(Unit::Bytes | Unit::Records),
                Key::Group,
            ) => "Produce and Fetch name no group",
            _ => continue,
        };
        let what = format!("`{}` is not for limits of the kind {}: {why}", key.name(), limit.kind.name());
        section.fault(at, what, "remove it, or take another kind of limit");
    }
    let has = |wanted| all.iter().find(|(key, _)| *key == wanted).map(|(_, at)| *at);
    if let (Some(_), Some(at)) = (has(Key::Topic), has(Key::Group)) {
        section.fault(at, "no request names both a topic and a group", "make two limits of it");
    }
}

/// Refuses what would never apply, or never do what it says.
fn check_reach(section: &Section<'_, '_>, limit: &Limit) {
    let covers = |api: Api| limit.matches.apis.is_none_or(|apis| apis.contains(api));
    let data = [Api::Produce, Api::Fetch, Api::ShareFetch];
    let looks_at_topics = limit.by.contains(&Key::Topic) || !limit.matches.topic.is_empty();
    let is_of_bytes = matches!(
        limit.kind,
        LimitKind::Bytes
            | LimitKind::FixedWindow(Unit::Bytes | Unit::Records)
            | LimitKind::SlidingWindow(Unit::Bytes | Unit::Records)
    );
    let at = section.place_of("match");
    if (looks_at_topics || is_of_bytes) && !data.into_iter().any(covers) {
        let what = "none of the requests in `match` carries records";
        section.fault(&at, what, "match api = [\"Produce\"], [\"Fetch\"] or both");
    }
    let of_records =
        matches!(limit.kind, LimitKind::FixedWindow(Unit::Records) | LimitKind::SlidingWindow(Unit::Records));
    if of_records && !covers(Api::Produce) {
        section.fault(&at, "records are counted in Produce only", "match api = [\"Produce\"]");
    }
    let is_paced = matches!(
        limit.kind,
        LimitKind::FixedWindow(_)
            | LimitKind::SlidingWindow(_)
            | LimitKind::LeakyBucket
            | LimitKind::Bytes
            | LimitKind::Mutations
    );
    if limit.on_exceeded == OnExceeded::Reject && !(is_paced && REJECTABLE.into_iter().any(covers)) {
        let what = "nothing that this limit covers can be rejected";
        let remedy =
            "only Produce, CreateTopics, DeleteTopics and CreatePartitions have an error that clients retry";
        section.fault(&section.place_of("on_exceeded"), what, remedy);
    }
    if limit.scope == Scope::Fleet {
        let what = "limits are not shared among replicas by this version";
        section.fault(
            &section.place_of("scope"),
            what,
            "write scope = \"replica\", and each replica's share",
        );
    }
    if limit.max_throttle == Duration::ZERO && limit.on_exceeded == OnExceeded::Throttle {
        let note = "a limit whose max_throttle is 0s only counts";
        section
            .text
            .findings
            .note(format!("{}: {note}", section.text.line(&section.place_of("max_throttle"))));
    }
}
