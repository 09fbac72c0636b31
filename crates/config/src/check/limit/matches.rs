//! `match = { … }`: who and what a limit is for.

use std::net::{IpAddr, SocketAddr};

use wire::Api;
use wire::api::{Class, Stance};

use crate::check::cluster::Draft;
use crate::limit::{Apis, Key, Match, Network, Pattern};
use crate::raw::{Section, Written, near, nearest};

/// What is matched, and which keys that takes, each with its place.
pub(super) fn read(mut section: Section<'_, '_>, clusters: &[Draft]) -> (Match, Vec<Written<Key>>) {
    let matches = Match {
        principal: patterns(&mut section, "principal", "[\"alice\", \"team-*\"]"),
        client_id: patterns(&mut section, "client_id", "[\"app-*\"]"),
        address: networks(&mut section),
        cluster: cluster_names(&mut section, clusters),
        listener: listeners(&mut section, clusters),
        topic: patterns(&mut section, "topic", "[\"orders\", \"logs-*\"]"),
        group: patterns(&mut section, "group", "[\"billing-*\"]"),
        apis: apis(&mut section),
    };
    let named = Key::ALL.map(|key| (key, key.name()));
    let keys = named.into_iter().chain([(Key::Api, "class")]).filter(|(_, name)| section.has(name));
    let keys = keys.map(|(value, name)| Written { value, at: section.place_of(name) }).collect();
    section.finish();
    (matches, keys)
}

/// The texts of a list. An empty one is a fault: it might be for all or for nobody.
fn list<'s>(
    section: &mut Section<'s, '_>,
    key: &'static str,
    example: &str,
) -> Option<Vec<Written<&'s str>>> {
    let texts = section.strings(key, example)?;
    let at = section.place_of(key);
    if section.is_empty(key) {
        let remedy = format!("remove it to match all, or name some, as in {key} = {example}");
        section.fault(&at, format!("`{key}` is empty"), remedy);
    }
    Some(texts)
}

fn patterns(section: &mut Section<'_, '_>, key: &'static str, example: &str) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for written in list(section, key, example).unwrap_or_default() {
        if written.value.strip_suffix('*').unwrap_or(written.value).contains('*') {
            let what = format!("`{}` has a `*` before its end", written.value.escape_debug());
            section.fault(&written.at, what, "write a name, or the beginning of names and one `*`");
        }
        patterns.push(Pattern::new(written.value));
    }
    patterns
}

fn networks(section: &mut Section<'_, '_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for written in list(section, "address", "[\"10.0.0.0/8\"]").unwrap_or_default() {
        match network(written.value) {
            Some(network) => networks.push(network),
            None => section.fault(
                &written.at,
                format!("`{}` is no network", written.value.escape_debug()),
                "write an IP address, or one with a prefix length as in \"10.0.0.0/8\" or \"fd00::/8\"",
            ),
        }
    }
    networks
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    if bits > most {
        return None;
    }
    match address.to_canonical() {
        // An IPv4 address mapped into IPv6 stands for itself, and so do networks of them.
        canonical if canonical != address => {
            Some(Network { address: canonical, bits: bits.checked_sub(96)? })
        }
        _ => Some(Network { address, bits }),
    }
}

fn cluster_names(section: &mut Section<'_, '_>, clusters: &[Draft]) -> Vec<std::sync::Arc<str>> {
    let mut names = Vec::new();
    for written in list(section, "cluster", "[\"main\"]").unwrap_or_default() {
        if let Some(draft) = clusters.iter().find(|draft| *draft.cluster.name == *written.value) {
            names.push(std::sync::Arc::clone(&draft.cluster.name));
            continue;
        }
        let known: Vec<&str> = clusters.iter().map(|draft| &*draft.cluster.name).collect();
        let what = format!("`{}` is no cluster of this file", written.value.escape_debug());
        section.fault(&written.at, what, nearest(written.value, &known));
    }
    names
}

fn listeners(section: &mut Section<'_, '_>, clusters: &[Draft]) -> Vec<SocketAddr> {
    let known: Vec<SocketAddr> =
        clusters.iter().flat_map(|draft| &draft.cluster.listeners).map(|listener| listener.bind).collect();
    let mut binds = Vec::new();
    for written in list(section, "listener", "[\"0.0.0.0:19092\"]").unwrap_or_default() {
        if let Some(bind) = written.value.parse().ok().filter(|bind| known.contains(bind)) {
            binds.push(bind);
            continue;
        }
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let what = format!("`{}` is no listener of this file", written.value.escape_debug());
        section.fault(&written.at, what, nearest(written.value, &known));
    }
    binds
}

fn apis(section: &mut Section<'_, '_>) -> Option<Apis> {
    let apis = list(section, "api", "[\"Produce\", \"Fetch\"]");
    let classes = list(section, "class", "[\"produce\", \"fetch\"]");
    if apis.is_none() && classes.is_none() {
        return None;
    }
    let mut set = Apis::default();
    for written in apis.unwrap_or_default() {
        let offered = || Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden);
        if let Some(api) = offered().find(|api| api.name() == written.value) {
            set.insert(api);
            continue;
        }
        let known: Vec<&str> = offered().map(Api::name).collect();
        let what = format!("`{}` is no API of clients", written.value.escape_debug());
        let remedy = near(written.value, &known)
            .unwrap_or_else(|| "write Kafka's name of it, such as Produce, Fetch or Metadata".to_owned());
        section.fault(&written.at, what, remedy);
    }
    for written in classes.unwrap_or_default() {
        if let Some(class) = Class::OF_CLIENTS.into_iter().find(|class| class.name() == written.value) {
            set.insert_class(class);
            continue;
        }
        let known = Class::OF_CLIENTS.map(Class::name);
        let what = format!("`{}` is no class of requests", written.value.escape_debug());
        section.fault(&written.at, what, nearest(written.value, &known));
    }
    Some(set)
}
