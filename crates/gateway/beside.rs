//! Other brokers than a connection's own, which are asked in its place: over connections with the same identity.

use wire::{Api, CorrelationId, NodeId, ask};

use crate::conn::Session;
use crate::frames::Frames;
use crate::in_flight::Asked;
use crate::listener::Entry;
use crate::timer;
use crate::upstream::{self, ANSWER_BYTES_MAX, CLIENT_ID, Connected};

/// A connection to another broker.
pub struct Beside {
    node: NodeId,
    broker: Connected,
    frames: Frames,
}

impl Beside {
    /// Dials a broker, unless it is left alone.
    async fn to(session: &Session, node: NodeId) -> Option<Box<Self>> {
        let cluster = &session.place.cluster;
        if !cluster.health.admits(node) {
            return None;
        }
        let topology = cluster.topology()?;
        let Some(known) = topology.nodes.get(&node) else {
            cluster.look_now.notify_one();
            return None;
        };
        let spec = cluster.spec().clone();
        let within = spec.config.dial_timeout;
        let broker =
            upstream::connect_within(&spec, &known.address, &session.software(), within).await.ok()?;
        Some(Box::new(Self { node, broker, frames: Frames::default() }))
    }

    /// Whether it is the broker that serves the connection anyway.
    pub fn is_own(&self, session: &Session) -> bool {
        session.place.entry == Entry::Node(self.node) || session.served_by() == Some(self.node)
    }

    /// Whether this broker speaks the version of a question.
    fn speaks(&self, api: Api, version: i16) -> bool {
        self.broker.offered.ranges.allows(api, version)
    }

    /// The answer to a request, both as frames; the request with its size. `None`: this connection is of no further use.
    async fn ask(&mut self, session: &Session, request: &[u8], id: CorrelationId) -> Option<Vec<u8>> {
        let asking = async {
            self.broker.stream.write_all(request).await.ok()?;
            self.frames.next(&self.broker.stream, ANSWER_BYTES_MAX).await.ok()
        };
        let within = session.place.cluster.spec().config.dial_timeout;
        let answer = timer::timeout(within, asking).await.ok()??;
        (answer.first_chunk() == Some(&id.0.to_be_bytes())).then_some(answer)
    }
}

/// Asks any broker but one that is away; the answer's frame, if there is one.
pub async fn anybody(session: &Session, asked: &Asked, request: &[u8]) -> Option<Vec<u8>> {
    for node in candidates(session) {
        let Some(mut beside) = Beside::to(session, node).await else { continue };
        if !beside.speaks(asked.api, asked.version) {
            continue;
        }
        if let Some(answer) = beside.ask(session, request, asked.correlation).await {
            return Some(answer);
        }
    }
    None
}

/// Asks the broker that coordinates this group; the answer's frame, if it is one of a coordinator. A connection to the last
/// one is `kept` for what follows.
pub async fn coordinator(
    session: &Session,
    kept: &mut Option<Box<Beside>>,
    group: &[u8],
    asked: &Asked,
    request: &[u8],
) -> Option<Vec<u8>> {
    let mut disclaims = None;
    if let Some(mut last) = kept.take() {
        let answer = last.ask(session, request, asked.correlation).await;
        let is_its = answer.as_ref().is_some_and(|answer| is_by_coordinator(asked, answer));
        // Without an answer the connection is of no use, and is let go.
        if answer.is_some() {
            disclaims = Some(last.node);
            *kept = Some(last);
        }
        if is_its {
            return answer;
        }
    }
    let (node, who) = find(session, kept.take(), group).await?;
    if disclaims == Some(node) {
        *kept = Some(who);
        return None;
    }
    let mut it = if who.node == node { who } else { Beside::to(session, node).await? };
    if !it.speaks(asked.api, asked.version) {
        return None;
    }
    let answer = it.ask(session, request, asked.correlation).await?;
    *kept = Some(it);
    is_by_coordinator(asked, &answer).then_some(answer)
}

fn is_by_coordinator(asked: &Asked, answer: &[u8]) -> bool {
    wire::api::coordinator_error(asked.api, asked.version, answer).is_none()
}

/// Who coordinates a group, and who has said so: the one that was asked last, or any other.
async fn find(session: &Session, last: Option<Box<Beside>>, group: &[u8]) -> Option<(NodeId, Box<Beside>)> {
    let id = CorrelationId(0);
    let question = ask::coordinator_request(id, CLIENT_ID, group);
    let mut last = last;
    let mut others = candidates(session).into_iter();
    loop {
        let who = match last.take() {
            Some(last) => Some(last),
            None => Beside::to(session, others.next()?).await,
        };
        let Some(mut who) = who.filter(|who| who.speaks(Api::FindCoordinator, ask::COORDINATOR_VERSION))
        else {
            continue;
        };
        let Some(answer) = who.ask(session, &question, id).await else { continue };
        return ask::read_coordinator(&answer).ok().flatten().map(|node| (node, who));
    }
}

/// Who may know, the best first. One that a connection's port stands for and that does not serve it is away.
fn candidates(session: &Session) -> Vec<NodeId> {
    let cluster = &session.place.cluster;
    let Some(topology) = cluster.topology() else { return Vec::new() };
    let mut nodes = cluster.any_broker(&topology);
    if session.served_by().is_none() {
        nodes.retain(|node| session.place.entry != Entry::Node(*node));
    }
    nodes
}
