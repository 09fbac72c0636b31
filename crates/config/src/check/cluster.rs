//! `[[cluster]]`

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::address::check_host;
use crate::check::listener::{self, Draft as ListenerDraft};
use crate::check::{files, users};
use crate::raw::{Section, Written};
use crate::{ANONYMOUS, BrokerSasl, BrokerTls, Cluster, HostPort, Mechanism, TlsRoots};

/// A cluster as far as it could be read.
pub(super) struct Draft {
    pub(super) cluster: Cluster,
    pub(super) listeners: Vec<ListenerDraft>,
}

pub(super) fn read_all(root: &mut Section<'_, '_>, base: &Path, users: &users::Found) -> Vec<Draft> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let sections = root.sections("cluster", "[[cluster]]");
    if sections.is_empty() && !root.has("cluster") {
        root.fault(
            &(0..0),
            "has no [[cluster]]",
            "write [[cluster]] with bootstrap, and [[cluster.listener]] with bind and node_port_base",
        );
    }
    sections.into_iter().map(|section| read(section, base, users, &mut names)).collect()
}

fn read(
    mut section: Section<'_, '_>,
    base: &Path,
    users: &users::Found,
    names: &mut BTreeMap<String, String>,
) -> Draft {
    let name: Arc<str> = read_name(&mut section, names).into();
    let bootstrap = read_bootstrap(&mut section);
    let node_addresses = read_node_addresses(&mut section);
    let drain_nodes = section.numbers("drain_nodes", "[2]", 0..=i32::MAX);
    let tls = section.section("tls", "tls = { … }").and_then(|tls| read_tls(tls, base));
    let sasl = read_sasl(&mut section, base);
    let refresh = section.time("refresh", "5s", ["100ms", "1h"]);
    let dial_timeout = section.time("dial_timeout", "3s", ["10ms", "5m"]);
    let hold = section.time("hold", "5s", ["100ms", "5m"]);
    let answer_timeout = section.time("answer_timeout", "30s", ["100ms", "1h"]);
    let known_ids: Vec<i32> = node_addresses.keys().copied().collect();
    let mut listeners = Vec::new();
    for listener in section.sections("listener", "[[cluster.listener]]") {
        listeners.push(listener::read(listener, base, &name, &known_ids, users));
    }
    if listeners.is_empty() && !section.has("listener") {
        section.fault(
            &section.at,
            format!("cluster `{name}` has no listener"),
            "add [[cluster.listener]] with bind and node_port_base",
        );
    }
    let admins = read_admins(&mut section, users, &listeners);
    if sasl.is_some() && tls.is_none() {
        let note = "the gateway's own password goes to the brokers unencrypted (sasl without tls)";
        section.text.findings.note(format!("{}: {note}", section.text.line(&section.place_of("sasl"))));
    }
    section.finish();
    let cluster = Cluster {
        name,
        bootstrap,
        node_addresses,
        drain_nodes: drain_nodes.into_iter().map(|node| node.value).collect(),
        tls,
        sasl,
        admins,
        refresh,
        dial_timeout,
        hold,
        answer_timeout,
        listeners: listeners.iter().map(|draft| Arc::new(draft.listener.clone())).collect(),
    };
    Draft { cluster, listeners }
}

fn read_name(section: &mut Section<'_, '_>, names: &mut BTreeMap<String, String>) -> String {
    let written = section.string("name", "\"main\"");
    let (name, at) = match &written {
        Some(name) => (name.value, name.at.clone()),
        None => ("main", section.at.clone()),
    };
    let is_name = (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_name {
        let what = format!("`{}` cannot be the name of a cluster", name.escape_debug());
        section.fault(&at, what, "write 1 to 100 letters, digits, `-`, `_` or `.`");
    } else if let Some(first) = names.get(name) {
        let what = format!("cluster `{name}` is there already, at {first}");
        section.fault(&at, what, "give each cluster a `name` of its own");
    } else {
        names.insert(name.to_owned(), section.text.line(&at));
    }
    name.to_owned()
}

fn read_bootstrap(section: &mut Section<'_, '_>) -> Vec<HostPort> {
    let example = "[\"kafka-1:9092\", \"kafka-2:9092\"]";
    if !section.has("bootstrap") {
        section.missing("bootstrap", example);
    }
    let at = section.place_of("bootstrap");
    let Some(written) = section.strings("bootstrap", example) else { return Vec::new() };
    if written.is_empty() {
        section.fault(&at, "`bootstrap` is empty", format!("name at least one broker, as in {example}"));
    }
    written
        .iter()
        .filter_map(|address| address_at(section, address.value, &address.at, "\"kafka-1:9092\""))
        .collect()
}

fn address_at(section: &Section<'_, '_>, text: &str, at: &Range<usize>, example: &str) -> Option<HostPort> {
    match HostPort::parse(text) {
        Ok(address) => Some(address),
        Err(why) => {
            let what = format!("`{}` {why}", text.escape_debug());
            section.fault(at, what, format!("write host:port, as in {example}"));
            None
        }
    }
}

fn read_node_addresses(section: &mut Section<'_, '_>) -> BTreeMap<i32, HostPort> {
    let mut addresses = BTreeMap::new();
    let title = "node_addresses = { … }";
    let Some(table) = section.section("node_addresses", title) else { return addresses };
    for (key, value) in table.entries() {
        let id = key.value.parse::<i32>().ok().filter(|id| *id >= 0);
        if id.is_none() {
            let what = format!("`{}` is no node id", key.value.escape_debug());
            section.fault(&key.at, what, "write a node id, as in { 1 = \"10.0.0.1:9092\" }");
        }
        let Some(text) = value.get_ref().as_str() else {
            let what = format!("the address of node {} is no text", key.value.escape_debug());
            section.fault(&value.span(), what, "write host:port in quotes");
            continue;
        };
        let address = address_at(section, text, &value.span(), "{ 1 = \"10.0.0.1:9092\" }");
        if let (Some(id), Some(address)) = (id, address) {
            addresses.insert(id, address);
        }
    }
    addresses
}

fn read_tls(mut section: Section<'_, '_>, base: &Path) -> Option<BrokerTls> {
    let ca = section.string("ca", "\"ca.pem\"");
    let server_name = section.string("server_name", "\"kafka.internal\"");
    if let Some(name) = &server_name
        && let Err(why) = check_host(name.value)
    {
        let what = format!("`{}` {why}", name.value.escape_debug());
        section.fault(&name.at, what, "write the host name that is in the brokers' certificates");
    }
    let roots = match &ca {
        Some(ca) => files::certificates(&section, ca, base).map(TlsRoots::Bundle),
        None => Some(TlsRoots::System),
    };
    section.finish();
    Some(BrokerTls { roots: roots?, server_name: server_name.map(|name| name.value.to_owned()) })
}

fn read_sasl(cluster: &mut Section<'_, '_>, base: &Path) -> Option<BrokerSasl> {
    let mut section = cluster.section("sasl", "sasl = { … }")?;
    let written = section.string_needed("mechanism", "\"PLAIN\"");
    let mechanism = written.and_then(|written| mechanism(&section, &written));
    let username = section.string_needed("username", "\"gateway\"");
    let password = files::password(&mut section, base);
    if let Some(name) = &username
        && (name.value.is_empty() || name.value.contains('\0'))
    {
        section.fault(&name.at, "the username is empty, or has NUL in it", "name the gateway's own user");
    }
    section.finish();
    let username = username?.value.to_owned();
    Some(BrokerSasl { mechanism: mechanism?, username, password: password?.secret })
}

/// A mechanism by its name.
pub(super) fn mechanism(section: &Section<'_, '_>, written: &Written<&str>) -> Option<Mechanism> {
    let found = Mechanism::from_name(written.value);
    if found.is_none() {
        let names: Vec<_> = Mechanism::ALL.iter().map(|known| format!("\"{known}\"")).collect();
        let what = format!("`{}` is no mechanism that is spoken here", written.value.escape_debug());
        section.fault(&written.at, what, format!("write {}", names.join(" or ")));
    }
    found
}

fn read_admins(
    section: &mut Section<'_, '_>,
    users: &users::Found,
    listeners: &[ListenerDraft],
) -> BTreeSet<String> {
    let mut admins = BTreeSet::new();
    for admin in section.strings("admins", "[\"ops\"]").unwrap_or_default() {
        let name = admin.value.escape_debug();
        if admin.value == ANONYMOUS {
            if listeners.iter().all(|listener| listener.asks_who) {
                let what = "nobody is anonymous here, every listener has sasl";
                section.fault(&admin.at, what, "name a user, or remove it");
            }
        } else if !listeners.is_empty() && !listeners.iter().any(|listener| listener.asks_who) {
            let what = format!("nobody can be `{name}` here, every listener is anonymous");
            section.fault(&admin.at, what, "give a listener sasl = [\"PLAIN\"], or write \"ANONYMOUS\"");
        } else if !users.may_have(admin.value) {
            let remedy = "name a user that exists, or add it as [[user]]";
            section.fault(&admin.at, format!("`{name}` is no user"), remedy);
        }
        admins.insert(admin.value.to_owned());
    }
    admins
}
