//! `[[limit]]`

mod amount;
mod matches;
mod overrides;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Limit;
use crate::check::cluster::Draft;
use crate::limit::{Key, LimitKind, Mode, OnExceeded, Scope, Unit};
use crate::raw::{Section, Written};

/// What was found of limits.
#[derive(Default)]
pub(super) struct Found {
    pub(super) limits: Vec<Arc<Limit>>,
    /// Where the first one wants to be shared by a fleet.
    pub(super) fleet_at: Option<std::ops::Range<usize>>,
}

pub(super) fn read_all(root: &mut Section<'_, '_>, clusters: &[Draft]) -> Found {
    let mut names = BTreeMap::new();
    let mut found = Found::default();
    for section in root.sections("limit", "[[limit]]") {
        let scope_at = section.place_of("scope");
        let limit = read(section, clusters, &mut names);
        if limit.as_ref().is_some_and(|limit| limit.scope == Scope::Fleet) {
            found.fleet_at.get_or_insert(scope_at);
        }
        found.limits.extend(limit.map(Arc::new));
    }
    found
}

fn read(
    mut section: Section<'_, '_>,
    clusters: &[Draft],
    names: &mut BTreeMap<String, String>,
) -> Option<Limit> {
    let name = read_name(&mut section, names);
    let kind = read_kind(&mut section);
    let by = read_by(&mut section);
    let matches = section.section("match", "match = { … }");
    let (matches, looked_at) = matches.map(|inner| matches::read(inner, clusters)).unwrap_or_default();
    let observes = choice(&mut section, "mode", ["enforce", "observe"]);
    let rejects = choice(&mut section, "on_exceeded", ["throttle", "reject"]);
    let is_fleet = choice(&mut section, "scope", ["replica", "fleet"]);
    let max_throttle = section.time("max_throttle", "5s", ["0s", "8s"]);
    let overrides = section.sections("override", "[[limit.override]]");
    // Without a kind it is not known which keys there may be.
    let kind = kind?;
    let amount = amount::read(&mut section, kind, overrides.is_empty());
    let limit = Limit {
        name: name.unwrap_or_default().into(),
        kind,
        by: by.iter().map(|key| key.value).collect(),
        matches,
        amount,
        overrides: overrides::read_all(overrides, kind),
        mode: if observes { Mode::Observe } else { Mode::Enforce },
        on_exceeded: if rejects { OnExceeded::Reject } else { OnExceeded::Throttle },
        max_throttle,
        scope: if is_fleet { Scope::Fleet } else { Scope::Replica },
    };
    let keys: Vec<Written<Key>> = by.into_iter().chain(looked_at).collect();
    reach::check(&section, &limit, &keys);
    section.finish();
    Some(limit)
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
