//! What the sink answers to Metadata, and the cluster that it pretends to be.

use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::ask::{LARGE_PARTITIONS, LARGE_TOPIC, TOPIC, TOPIC_ID};
use crate::bytes::{Put, Take};

/// Versions 0 to 12.
const VERSIONS: usize = 13;
/// As many as topics usually have.
const LARGE_REPLICAS: usize = 3;

/// The cluster that the sink pretends to be.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Loopback ports of the nodes 1, 2 and so on.
    pub ports: Vec<u16>,
    /// Partitions of the one topic.
    pub partitions: i32,
    /// Answers about the large topic without their beginning, by version: making one takes longer than to relay it.
    large: [OnceLock<Vec<u8>>; VERSIONS],
}

impl Cluster {
    /// Nodes at these ports, and one topic with so many partitions.
    pub fn new(ports: Vec<u16>, partitions: i32) -> Cluster {
        Cluster { ports, partitions, large: Default::default() }
    }
}

/// What a Metadata request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The nodes.
    NoTopic,
    /// The topic, whatever its name.
    Topic,
    /// The large topic.
    LargeTopic,
}

/// Reads a request: null means all topics, and so does the empty array of version 0.
pub(super) fn asked(mut take: Take<'_>, version: i16) -> Result<Asked> {
    let flexible = version >= 9;
    take.tags(flexible)?;
    match take.count(flexible)? {
        Some(0) if version > 0 => return Ok(Asked::NoTopic),
        None | Some(0) => return Ok(Asked::Topic),
        Some(_) => {}
    }
    if version >= 10 {
        take.bytes(TOPIC_ID.len())?;
    }
    let is_large = take.string(flexible)?.is_some_and(|name| name == LARGE_TOPIC.as_bytes());
    Ok(if is_large { Asked::LargeTopic } else { Asked::Topic })
}

/// Appends an answer from behind its correlation id.
pub(super) fn put(out: &mut Vec<u8>, cluster: &Cluster, version: i16, asked: Asked) -> Result<()> {
    if asked != Asked::LargeTopic {
        put_answer(out, cluster, version, asked);
        return Ok(());
    }
    let canned = cluster.large.get(usize::try_from(version)?).context("no such version")?;
    out.extend_from_slice(canned.get_or_init(|| {
        let mut answer = Vec::new();
        put_answer(&mut answer, cluster, version, asked);
        answer
    }));
    Ok(())
}

fn put_answer(out: &mut Vec<u8>, cluster: &Cluster, version: i16, asked: Asked) {
    let flexible = version >= 9;
    out.put_tags(flexible);
    if version >= 3 {
        out.put_i32(0);
    }
    out.put_count(cluster.ports.len(), flexible);
    for (node, port) in (1..).zip(&cluster.ports) {
        out.put_i32(node);
        out.put_string("127.0.0.1", flexible);
        out.put_i32(i32::from(*port));
        if version >= 1 {
            out.put_null_string(flexible);
        }
        out.put_tags(flexible);
    }
    if version >= 2 {
        out.put_string("AAAAAAAAAAAAAAAAAAbench", flexible);
    }
    if version >= 1 {
        out.put_i32(1);
    }
    out.put_count(usize::from(asked != Asked::NoTopic), flexible);
    match asked {
        Asked::NoTopic => {}
        Asked::Topic => put_topic(out, cluster, version, (TOPIC, cluster.partitions, 1)),
        Asked::LargeTopic => {
            put_topic(out, cluster, version, (LARGE_TOPIC, LARGE_PARTITIONS, LARGE_REPLICAS));
        }
    }
    if (8..=10).contains(&version) {
        out.put_i32(i32::MIN);
    }
    out.put_tags(flexible);
}

fn put_topic(
    out: &mut Vec<u8>,
    cluster: &Cluster,
    version: i16,
    (name, partitions, replicas): (&str, i32, usize),
) {
    let flexible = version >= 9;
    out.put_i16(0);
    out.put_string(name, flexible);
    if version >= 10 {
        out.extend_from_slice(&TOPIC_ID);
    }
    if version >= 1 {
        out.put_i8(0);
    }
    out.put_count(usize::try_from(partitions).unwrap_or(0), flexible);
    let nodes = (1_i32..).zip(&cluster.ports).map(|(node, _)| node).cycle();
    for (partition, leader) in (0..partitions).zip(nodes) {
        out.put_i16(0);
        out.put_i32(partition);
        out.put_i32(leader);
        if version >= 7 {
            out.put_i32(0);
        }
        for count in [replicas, replicas, 0].into_iter().take(if version >= 5 { 3 } else { 2 }) {
            out.put_count(count, flexible);
            (0..count).for_each(|_| out.put_i32(leader));
        }
        out.put_tags(flexible);
    }
    if version >= 8 {
        out.put_i32(i32::MIN);
    }
    out.put_tags(flexible);
}
