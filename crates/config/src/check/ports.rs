//! Which listener takes which port; two that want the same one are a fault.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::check::cluster::Draft;
use crate::raw::{Text, Written};

/// Somebody who wants a port.
struct Claim {
    ip: IpAddr,
    at: Range<usize>,
    whose: String,
    /// Which table it belongs to: two tables are reported once, not once a port.
    owner: usize,
}

pub(super) fn check(text: Text<'_>, admin: Option<&Written<SocketAddr>>, clusters: &[Draft]) {
    let mut by_port: BTreeMap<u16, Vec<Claim>> = BTreeMap::new();
    if let Some(admin) = admin.filter(|admin| admin.value.port() != 0) {
        let claim = Claim { ip: admin.value.ip(), at: admin.at.clone(), whose: "[admin]".into(), owner: 0 };
        by_port.entry(admin.value.port()).or_default().push(claim);
    }
    let mut bases: Vec<(IpAddr, &Written<u16>)> = Vec::new();
    let mut reported: Vec<(usize, usize)> = Vec::new();
    for (owner, listener) in clusters.iter().flat_map(|cluster| &cluster.listeners).enumerate() {
        let owner = owner + 1;
        let Some(bind) = &listener.bind else { continue };
        let ip = bind.value.ip();
        let whose = format!("listener {}", bind.value);
        let claim = Claim { ip, at: bind.at.clone(), whose, owner };
        by_port.entry(bind.value.port()).or_default().push(claim);
        let Some(base) = &listener.node_port_base else { continue };
        for (id, port) in ports(base.value, &listener.known_ids) {
            let whose = format!("node {id} of listener {}", bind.value);
            by_port.entry(port).or_default().push(Claim { ip, at: base.at.clone(), whose, owner });
        }
        let same = bases.iter().find(|(other, taken)| overlap(*other, ip) && taken.value == base.value);
        if let Some((_, taken)) = same {
            text.fault(
                &base.at,
                format!("node_port_base {} is taken already, at {}", base.value, text.line(&taken.at)),
                "give each listener a range of its own, or an IP address of its own",
            );
        }
        bases.push((ip, base));
        note_near(text, listener, bind, base);
    }
    for (port, claims) in &by_port {
        for (index, claim) in claims.iter().enumerate() {
            let first = claims.iter().take(index).find(|first| overlap(first.ip, claim.ip));
            let Some(first) = first else { continue };
            let pair = (first.owner.min(claim.owner), first.owner.max(claim.owner));
            if reported.contains(&pair) || same_base(clusters, pair) {
                continue;
            }
            reported.push(pair);
            text.fault(
                &claim.at,
                format!(
                    "port {port} of {} is also that of {} ({})",
                    claim.whose,
                    first.whose,
                    text.line(&first.at)
                ),
                "move one of the two to ports that are free",
            );
        }
    }
}

fn ports(base: u16, ids: &std::collections::BTreeSet<i32>) -> impl Iterator<Item = (i32, u16)> + '_ {
    ids.iter()
        .filter_map(move |id| u16::try_from(i64::from(base) + i64::from(*id)).ok().map(|port| (*id, port)))
}

/// Whether two listeners have the same base, which is reported as such and not port by port.
fn same_base(clusters: &[Draft], (one, two): (usize, usize)) -> bool {
    let base = |owner: usize| {
        let mut listeners = clusters.iter().flat_map(|cluster| &cluster.listeners);
        listeners.nth(owner.checked_sub(1)?).and_then(|draft| draft.node_port_base.as_ref()).map(|b| b.value)
    };
    one != two && base(one).is_some() && base(one) == base(two)
}

/// Whether one socket cannot be bound beside the other; `[::]` takes IPv4 as well.
fn overlap(one: IpAddr, two: IpAddr) -> bool {
    one == two
        || (one.is_unspecified() && (one.is_ipv6() || two.is_ipv4()))
        || (two.is_unspecified() && (two.is_ipv6() || one.is_ipv4()))
}

/// Nodes that nobody has named may still come to lie on the listener's own port.
fn note_near(
    text: Text<'_>,
    listener: &crate::check::listener::Draft,
    bind: &Written<SocketAddr>,
    base: &Written<u16>,
) {
    let Some(id) = bind.value.port().checked_sub(base.value) else { return };
    if listener.known_ids.is_empty() && id < 100 {
        text.findings.note(format!(
            "{}: a node {id} would be at the port of the listener itself and get none; name the nodes (node_ids) or move \
             node_port_base",
            text.line(&base.at)
        ));
    }
}
