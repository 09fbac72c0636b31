//! `[[cluster.listener]]`

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::address::check_host;
use crate::check::{cluster, files, socket, users};
use crate::raw::{Section, Written};
use crate::{Listener, ListenerTls, Mechanism};

/// Most ids that `node_ids` may name.
const NODE_IDS_MAX: usize = 10_000;

/// A listener as far as it could be read, and what its ports are judged by.
pub(super) struct Draft {
    pub(super) listener: Listener,
    pub(super) bind: Option<Written<SocketAddr>>,
    pub(super) node_port_base: Option<Written<u16>>,
    /// Nodes that are known before the cluster was asked: `node_ids` and the keys of `node_addresses`.
    pub(super) known_ids: BTreeSet<i32>,
    /// Whether its clients have to log in.
    pub(super) asks_who: bool,
}

pub(super) fn read(
    mut section: Section<'_, '_>,
    base: &Path,
    cluster: &Arc<str>,
    addressed: &[i32],
    users: &users::Found,
) -> Draft {
    let bind = read_bind(&mut section);
    let advertised_host = read_advertised_host(&mut section, bind.as_ref());
    let ids = read_node_ids(&mut section);
    let node_port_base = read_port(&mut section, "node_port_base", 0);
    if !section.has("node_port_base") {
        section.missing("node_port_base", "19100");
    }
    let advertised_base = read_port(&mut section, "advertised_port_base", 0);
    let advertised_port = read_port(&mut section, "advertised_port", 1).map(|port| port.value);
    let asks_who = section.has("sasl");
    let sasl = read_sasl(&mut section, users);
    let tls = section.section("tls", "tls = { … }");
    let has_tls = tls.is_some();
    let tls = tls.and_then(|tls| read_tls(tls, base));

    let mut known_ids: BTreeSet<i32> = ids.iter().copied().collect();
    known_ids.extend(addressed);
    for base in node_port_base.iter().chain(&advertised_base) {
        check_ports(&section, base, &known_ids);
    }
    if let (false, false, Some(bind)) = (sasl.is_empty(), has_tls, &bind) {
        let line = section.text.line(&bind.at);
        section.text.findings.note(format!("{line}: passwords travel unencrypted to a listener without tls"));
    }

    // Where something is faulty, any value will do: a model with a fault is never handed out.
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let bind_to = bind.as_ref().map_or(nowhere, |bind| bind.value);
    let node_base = node_port_base.as_ref().map_or(0, |base| base.value);
    let listener = Listener {
        cluster: Arc::clone(cluster),
        bind: bind_to,
        advertised_host: advertised_host.into(),
        node_port_base: node_base,
        advertised_port_base: advertised_base.map_or(node_base, |base| base.value),
        advertised_port: advertised_port.unwrap_or(bind_to.port()),
        node_ids: ids,
        sasl,
        tls,
        frame_bytes_max: section.size("frame_bytes_max", 100 << 20, ["1KiB", "2047MiB"]),
        in_flight_max: section.number("in_flight_max", 128, 1..=65_536),
        login_timeout: section.time("login_timeout", "10s", ["10ms", "10m"]),
        idle_timeout: section.time("idle_timeout", "11m", ["10ms", "30d"]),
        age_max: section.time_if("age_max", ["10ms", "365d"]),
        age_jitter: section.fraction("age_jitter", 0.2),
        session_lifetime: section.time_if("session_lifetime", ["100ms", "365d"]),
        failed_login_delay: section.time("failed_login_delay", "100ms", ["0s", "10s"]),
        stall_timeout: section.time("stall_timeout", "6m", ["100ms", "1h"]),
        keepalive: section.time("keepalive", "60s", ["1s", "2h"]),
        user_timeout: section.time("user_timeout", "6m", ["1s", "1h"]),
    };
    check_advertised(&section, &listener, &known_ids);
    section.finish();
    Draft { listener, bind, node_port_base, known_ids, asks_who }
}

fn read_bind(section: &mut Section<'_, '_>) -> Option<Written<SocketAddr>> {
    let written = section.string_needed("bind", "\"0.0.0.0:19092\"")?;
    let bind = socket(section, &written)?;
    if bind.value.port() == 0 {
        section.fault(&bind.at, "the port of a listener is 0", "write the port that clients are told of");
        return None;
    }
    Some(bind)
}

fn read_advertised_host(section: &mut Section<'_, '_>, bind: Option<&Written<SocketAddr>>) -> String {
    if let Some(host) = section.string("advertised_host", "\"kafka.example.com\"") {
        let wildcard = host.value.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let checked =
            if wildcard { Err("is an address that nobody can dial") } else { check_host(host.value) };
        if let Err(why) = checked {
            section.fault(
                &host.at,
                format!("`{}` {why}", host.value.escape_debug()),
                "write a host name or an IP address, without a port",
            );
        }
        return host.value.to_owned();
    }
    let Some(bind) = bind else { return String::new() };
    if bind.value.ip().is_unspecified() && !section.has("advertised_host") {
        let what = format!("nobody can dial {}, and there is no `advertised_host`", bind.value.ip());
        let remedy = "add advertised_host = the name that clients reach this host by";
        section.fault(&bind.at, what, remedy);
    }
    bind.value.ip().to_string()
}

fn read_port(section: &mut Section<'_, '_>, key: &'static str, least: usize) -> Option<Written<u16>> {
    let written = section.number_written(key, least..=usize::from(u16::MAX))?;
    u16::try_from(written.value).ok().map(|value| Written { value, at: written.at })
}

/// `1-3` or `1,2,5-7`.
fn read_node_ids(section: &mut Section<'_, '_>) -> Vec<i32> {
    let mut ids = BTreeSet::new();
    let Some(written) = section.string("node_ids", "\"1-3\"") else { return Vec::new() };
    for part in written.value.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let id = |text: &str| text.trim().parse::<i32>().ok().filter(|id| (0..=65_535).contains(id));
        match id(first).zip(id(last)) {
            Some((first, last)) if first <= last => ids.extend(first..=last),
            _ => {
                section.fault(
                    &written.at,
                    format!("`{}` is neither a node id nor a range of them", part.escape_debug()),
                    "write ids and ranges divided by commas, as in \"1-3\" or \"1,2,5-7\"",
                );
                return Vec::new();
            }
        }
    }
    if ids.len() > NODE_IDS_MAX {
        let what = format!("`node_ids` names {} nodes", ids.len());
        section.fault(&written.at, what, format!("name at most {NODE_IDS_MAX}"));
    }
    ids.into_iter().collect()
}

/// Every known node needs a port from 1 to 65535.
fn check_ports(section: &Section<'_, '_>, base: &Written<u16>, ids: &BTreeSet<i32>) {
    let port = |id: i32| i64::from(base.value) + i64::from(id);
    if let Some(id) = ids.iter().find(|id| !(1..=i64::from(u16::MAX)).contains(&port(**id))) {
        let most = ids.last().map_or(0, |id| i64::from(u16::MAX) - i64::from(*id)).max(0);
        section.fault(
            &base.at,
            format!("node {id} would be at port {}, which does not exist", port(*id)),
            format!("write a base from 1 to {most}"),
        );
    }
}

/// Clients must not be told one port for two things.
fn check_advertised(section: &Section<'_, '_>, listener: &Listener, ids: &BTreeSet<i32>) {
    let node = ids.iter().find(|id| {
        i64::from(listener.advertised_port_base) + i64::from(**id) == i64::from(listener.advertised_port)
    });
    // Without keys of its own, what is advertised is what is bound, and reported there.
    if let Some(id) = node
        && (section.has("advertised_port") || section.has("advertised_port_base"))
    {
        let key = if section.has("advertised_port") { "advertised_port" } else { "advertised_port_base" };
        section.fault(
            &section.place_of(key),
            format!(
                "port {} would be advertised both for bootstrap and for node {id}",
                listener.advertised_port
            ),
            "move advertised_port or advertised_port_base",
        );
    }
}

fn read_sasl(section: &mut Section<'_, '_>, users: &users::Found) -> Vec<Mechanism> {
    let at: Range<usize> = section.place_of("sasl");
    let Some(written) = section.strings("sasl", "[\"PLAIN\"]") else { return Vec::new() };
    if written.is_empty() {
        let remedy = "write [\"PLAIN\"], or leave `sasl` out where clients are anonymous";
        section.fault(&at, "`sasl` is empty", remedy);
    }
    let mut mechanisms = Vec::new();
    for name in &written {
        if let Some(mechanism) = cluster::mechanism(section, name) {
            if mechanisms.contains(&mechanism) {
                section.fault(&name.at, format!("{mechanism} is there twice"), "remove one of the two");
            } else {
                mechanisms.push(mechanism);
            }
        }
    }
    if !mechanisms.is_empty() && users.is_empty() {
        let remedy = "add [[user]] with name and password, or users_file";
        section.fault(&at, "nobody can log in, there are no users", remedy);
    }
    mechanisms
}

fn read_tls(mut section: Section<'_, '_>, base: &Path) -> Option<ListenerTls> {
    let chain = section
        .string_needed("certificate", "\"gateway.pem\"")
        .and_then(|file| files::certificates(&section, &file, base));
    let key = section
        .string_needed("key", "\"gateway.key\"")
        .and_then(|file| files::private_key(&section, &file, base));
    section.finish();
    Some(ListenerTls { chain: chain?, key: Arc::new(key?) })
}
