//! `GET /brokers`: how each broker fares; `POST` and `DELETE /drain`: one is about to be taken down, or not after all.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;
use serde_json::{Value, json};
use wire::NodeId;

use super::limits::pair;
use crate::cluster::{Cluster, DrainedBy, Node};
use crate::health::Through;
use crate::live::Gateway;

/// The answer to `GET /brokers`, as JSON.
pub(super) fn answer(gateway: &Gateway) -> String {
    let live = gateway.live();
    let clusters: Vec<Value> = live
        .clusters
        .values()
        .map(|cluster| {
            let topology = cluster.topology();
            let nodes = topology.iter().flat_map(|topology| &topology.nodes);
            let nodes: Vec<Value> = nodes.map(|(id, node)| described(cluster, *id, node)).collect();
            let cluster_id = topology.as_ref().and_then(|topology| topology.cluster_id.as_deref());
            json!({ "cluster": &*cluster.name, "cluster_id": cluster_id, "nodes": nodes })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "clusters": clusters })).unwrap_or_default() + "\n"
}

fn described(cluster: &Cluster, id: NodeId, node: &Node) -> Value {
    let health = cluster.health.node(id);
    let told = health.tale();
    let ago = |then: Instant| then.elapsed().as_secs_f64();
    json!({
        "node": id.0,
        "address": node.address.to_string(),
        "rack": node.rack.as_deref(),
        "up": node.up,
        "breaker": health.state().label(),
        "since_seconds": ago(told.since),
        "failures": health.failures(),
        "last_failure": told.failed.map(|(kind, then)| json!({ "kind": kind, "seconds_ago": ago(then) })),
        "connections": {
            "bootstrap": health.connections(Through::Bootstrap),
            "node": health.connections(Through::Node),
        },
        "drained_by": cluster.drained_by(id).map(|by| match by {
            DrainedBy::File => "file",
            DrainedBy::Operator => "operator",
        }),
    })
}

/// What an operator wants with a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Drain,
    Undo,
}

/// Begins a drain or takes it back; says what that means.
pub(super) fn drain(gateway: &Gateway, query: &str, wish: Wish) -> (StatusCode, String) {
    let (cluster, id) = match find(gateway, query) {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let health = cluster.health.node(id);
    let (name, id) = (&cluster.name, health.id);
    match wish {
        Wish::Drain => cluster.drain(id),
        Wish::Undo => cluster.undo_drain(id),
    }
    gateway.look_again();
    let drained_by = cluster.drained_by(id);
    tracing::info!(cluster = &**name, node = id.0, ?wish, ?drained_by, "an operator spoke about a drain");
    match (wish, drained_by) {
        (Wish::Undo, Some(_)) => {
            let why = "is drained by the configuration: take it out of drain_nodes and reload";
            (StatusCode::CONFLICT, format!("node {id} of {name} {why}\n"))
        }
        (Wish::Undo, None) => (StatusCode::OK, format!("node {id} of {name} is not drained\n")),
        (Wish::Drain, _) => {
            let others =
                if cluster.has_other(id) { "go elsewhere" } else { "stay, for no other broker is well" };
            let (bootstrap, node) =
                (health.connections(Through::Bootstrap), health.connections(Through::Node));
            let text = format!(
                "node {id} of {name} is drained: {bootstrap} connections by bootstrap ports {others}; {node} at its \
                 own port stay until they are idle\n"
            );
            (StatusCode::OK, text)
        }
    }
}

fn find(gateway: &Gateway, query: &str) -> Result<(Arc<Cluster>, NodeId), (StatusCode, String)> {
    let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
    let (mut cluster, mut node) = (None, None);
    for (key, value) in query.split('&').filter(|pair| !pair.is_empty()).map(pair) {
        match key.as_str() {
            "cluster" => cluster = Some(value),
            "node" => node = Some(value.parse().map_err(|_| wrong(format!("`{value}` is no node id\n")))?),
            other => return Err(wrong(format!("`{other}` is not asked with: cluster and node are\n"))),
        }
    }
    let (Some(cluster), Some(node)) = (cluster, node) else {
        return Err(wrong("say which: /drain?cluster=NAME&node=ID\n".to_owned()));
    };
    let missing = |what: String| (StatusCode::NOT_FOUND, what);
    let live = gateway.live();
    let found =
        live.clusters.get(&*cluster).ok_or_else(|| missing(format!("there is no cluster {cluster}\n")))?;
    let is_known = found.topology().is_some_and(|topology| topology.nodes.contains_key(&NodeId(node)));
    if !is_known {
        return Err(missing(format!("no node {node} of {cluster} was ever seen\n")));
    }
    Ok((Arc::clone(found), NodeId(node)))
}
