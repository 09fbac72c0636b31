//! Topics: made, and looked at from behind.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::KafkaCluster;
use super::ready::{ATTEMPT, METADATA, brokers, string, take_i8, take_i16, take_i32};
use crate::raw::{self, HeadStyle, RawClient};
use crate::wait;

const FIND_COORDINATOR: i16 = 10;
const CREATE_TOPICS: i16 = 19;
const TOPIC_ALREADY_EXISTS: i16 = 36;
/// Also that of the topics that brokers make for themselves.
const MADE_LIMIT: Duration = Duration::from_mins(1);

/// A topic that is to be made.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replicas: i16,
    /// How many of them have to have a record before it is acknowledged.
    pub in_sync_min: u16,
}

impl KafkaCluster {
    /// Makes topics, and returns when every node knows them and all of their replicas are in sync.
    pub fn create_topics(&self, topics: &[NewTopic]) -> Result<()> {
        let frame = raw::request(CREATE_TOPICS, 2, 1, "testkit", HeadStyle::Classic, &creation(topics)?);
        wait::until("new topics", MADE_LIMIT, || match self.ask_any(&frame) {
            Ok(answer) => created(&answer).map(Some),
            // While the controller changes nobody makes topics.
            Err(_) => Ok(None),
        })?;
        for topic in topics {
            for (internal, _) in self.running()?.into_values() {
                wait::until("every node knows a new topic", MADE_LIMIT, || {
                    Ok(known_at(internal).is_ok_and(|known| known.contains(&topic.name)).then_some(()))
                })?;
            }
        }
        self.wait_in_sync()
    }

    /// The node that coordinates this group. Asking makes the topic of groups, where there is none yet.
    pub fn coordinator_of(&self, group: &str) -> Result<i32> {
        let mut body = Vec::new();
        raw::string(&mut body, group);
        let frame = raw::request(FIND_COORDINATOR, 0, 1, "testkit", HeadStyle::Classic, &body);
        wait::until(&format!("the coordinator of group {group}"), MADE_LIMIT, || {
            let Ok(answer) = self.ask_any(&frame) else { return Ok(None) };
            let mut rest = answer.get(4..).context("no correlation id")?;
            let error = take_i16(&mut rest)?;
            let node = take_i32(&mut rest)?;
            Ok((error == 0).then_some(node))
        })
    }

    /// The answer of the first running node that gives one.
    fn ask_any(&self, frame: &[u8]) -> Result<Vec<u8>> {
        let running = self.running()?;
        running.into_values().find_map(|(internal, _)| ask(internal, frame).ok()).context("no node answers")
    }
}

fn ask(address: SocketAddr, frame: &[u8]) -> Result<Vec<u8>> {
    Ok(RawClient::connect_within(address, ATTEMPT)?.ask(frame)?)
}

/// The body of `CreateTopics`, version 2.
fn creation(topics: &[NewTopic]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    body.extend_from_slice(&i32::try_from(topics.len())?.to_be_bytes());
    for topic in topics {
        raw::string(&mut body, &topic.name);
        body.extend_from_slice(&topic.partitions.to_be_bytes());
        body.extend_from_slice(&topic.replicas.to_be_bytes());
        body.extend_from_slice(&0_i32.to_be_bytes()); // no assignments
        body.extend_from_slice(&1_i32.to_be_bytes());
        raw::string(&mut body, "min.insync.replicas");
        raw::string(&mut body, &topic.in_sync_min.to_string());
    }
    body.extend_from_slice(&20_000_i32.to_be_bytes()); // timeout
    body.push(0); // in earnest
    Ok(body)
}

/// What came of it; who asks twice, because an answer was lost, finds what the first made.
fn created(answer: &[u8]) -> Result<()> {
    let mut rest = answer.get(4..).context("no correlation id")?;
    take_i32(&mut rest)?; // throttle time
    for _ in 0..take_i32(&mut rest)? {
        let name = string(&mut rest)?;
        let error = take_i16(&mut rest)?;
        let said = string(&mut rest)?;
        if error != 0 && error != TOPIC_ALREADY_EXISTS {
            bail!("topic {name}: error {error} {said}");
        }
    }
    Ok(())
}

/// A partition as one node sees it.
struct Partition {
    topic: String,
    number: i32,
    leader: i32,
    replicas: i32,
    in_sync: i32,
}

/// The names of the topics that the node at this address knows.
fn known_at(address: SocketAddr) -> Result<Vec<String>> {
    Ok(partitions_at(address)?.into_iter().map(|partition| partition.topic).collect())
}

/// The partitions that miss a leader or a replica, as the node at this address sees it.
pub(super) fn lagging_at(address: SocketAddr) -> Result<Vec<String>> {
    let partitions = partitions_at(address)?;
    let lagging = partitions.iter().filter(|at| at.leader < 0 || at.in_sync < at.replicas);
    Ok(lagging.map(|at| format!("{}-{}", at.topic, at.number)).collect())
}

/// All partitions of all topics, by Metadata, version 1.
fn partitions_at(address: SocketAddr) -> Result<Vec<Partition>> {
    let all = (-1_i32).to_be_bytes();
    let answer = ask(address, &raw::request(METADATA, 1, 1, "testkit", HeadStyle::Classic, &all))?;
    let mut rest = answer.get(4..).context("no correlation id")?;
    brokers(&mut rest)?;
    take_i32(&mut rest)?; // controller
    let mut partitions = Vec::new();
    for _ in 0..take_i32(&mut rest)? {
        take_i16(&mut rest)?; // error
        let topic = string(&mut rest)?;
        take_i8(&mut rest)?; // internal
        for _ in 0..take_i32(&mut rest)? {
            take_i16(&mut rest)?; // error
            let number = take_i32(&mut rest)?;
            let leader = take_i32(&mut rest)?;
            let [replicas, in_sync] = [skip_nodes(&mut rest)?, skip_nodes(&mut rest)?];
            partitions.push(Partition { topic: topic.clone(), number, leader, replicas, in_sync });
        }
    }
    Ok(partitions)
}

/// Steps over a list of nodes; how many there are.
fn skip_nodes(rest: &mut &[u8]) -> Result<i32> {
    let count = take_i32(rest)?;
    for _ in 0..count {
        take_i32(rest)?;
    }
    Ok(count)
}
