//! `[[limit.override]]`: other amounts for somebody.

use std::net::IpAddr;

use super::amount;
use crate::limit::{Entity, LimitKind, Override};
use crate::raw::{Section, Written};

pub(super) fn read_all(sections: Vec<Section<'_, '_>>, kind: LimitKind) -> Vec<Override> {
    let mut all: Vec<Written<Override>> = Vec::new();
    for section in sections {
        let over = read(section, kind, &all);
        all.extend(over);
    }
    all.into_iter().map(|over| over.value).collect()
}

/// One of them, after `others` of the same limit.
fn read(
    mut section: Section<'_, '_>,
    kind: LimitKind,
    others: &[Written<Override>],
) -> Option<Written<Override>> {
    let principal = name(&mut section, "principal", "\"alice\"");
    let client_id = name(&mut section, "client_id", "\"app\"");
    let address = address(&mut section);
    check_entities(&section, kind);
    let same = others.iter().find(|other| {
        let other = &other.value;
        other.principal == principal && other.client_id == client_id && other.address == address
    });
    if let Some(same) = same {
        let what = format!("there is an override for the same already, at {}", section.text.line(&same.at));
        section.fault(&section.at, what, "remove one of the two");
    }
    let amount = amount::read(&mut section, kind, true);
    let at = section.at.clone();
    section.finish();
    amount.map(|amount| Written { value: Override { principal, client_id, address, amount }, at })
}

fn entity(name: &str) -> Entity {
    match name {
        "<default>" => Entity::Default,
        name => Entity::Name(name.into()),
    }
}

fn name(section: &mut Section<'_, '_>, key: &'static str, example: &str) -> Option<Entity> {
    section.string(key, example).map(|written| entity(written.value))
}

/// An IP address in the form in which clients' addresses are compared with it.
fn address(section: &mut Section<'_, '_>) -> Option<Entity> {
    let written = section.string("address", "\"10.0.0.1\"")?;
    if written.value == "<default>" {
        return Some(Entity::Default);
    }
    let Ok(address) = written.value.parse::<IpAddr>() else {
        let what = format!("`{}` is no IP address", written.value.escape_debug());
        section.fault(&written.at, what, "write one as in \"10.0.0.1\" or \"fd00::1\", or \"<default>\"");
        return None;
    };
    Some(entity(&address.to_canonical().to_string()))
}

fn check_entities(section: &Section<'_, '_>, kind: LimitKind) {
    let has = |key| section.has(key);
    let of_connections = matches!(kind, LimitKind::Connections | LimitKind::ConnectionRate);
    let (remedy, example) = if of_connections {
        ("add principal or address, a name or \"<default>\"", "name a principal or an address")
    } else {
        (
            "add principal, client_id or both, each a name or \"<default>\"",
            "name a principal, a client_id or both",
        )
    };
    if !has("principal") && !has("client_id") && !has("address") {
        section.fault(&section.at, "the override is for nobody", remedy);
    }
    if has("client_id") && of_connections {
        let what = "`client_id` is not known when a connection comes";
        section.fault(&section.place_of("client_id"), what, example);
    }
    if has("address") && !of_connections {
        let what = "only connections and connection-rate have overrides by address";
        section.fault(&section.place_of("address"), what, example);
    } else if has("address") && has("principal") {
        let what = "an override is for an address or for a principal, not for both";
        section.fault(&section.place_of("address"), what, "make two of it");
    }
}
