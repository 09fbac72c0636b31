//! What topics are called and how many partitions they have. Asked in version 12 of Metadata, the first that takes ids.

use super::request_writer;
use crate::address::CorrelationId;
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};

/// The version of these questions, and of their answers.
pub const TOPICS_VERSION: i16 = 12;

/// One topic, as a broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// 0 for none; 3 and 100 where there is no topic of this name or id.
    pub error: i16,
    /// None where it was asked for by id and is not known, or may not be known.
    pub name: Option<String>,
    /// All zero where it is not known.
    pub id: [u8; 16],
    /// How many partitions it has.
    pub partitions: usize,
}

/// Asks for topics by their names, and creates none.
pub fn topics_by_name_request(correlation: CorrelationId, client_id: &str, names: &[&str]) -> Vec<u8> {
    topics_request(correlation, client_id, names.iter().map(|name| ([0; 16], Some(*name))))
}

/// Asks for topics by their ids. Names and ids cannot be mixed: brokers then look at the ids alone.
pub fn topics_by_id_request(correlation: CorrelationId, client_id: &str, ids: &[[u8; 16]]) -> Vec<u8> {
    topics_request(correlation, client_id, ids.iter().map(|id| (*id, None)))
}

fn topics_request<'a>(
    correlation: CorrelationId,
    client_id: &str,
    topics: impl ExactSizeIterator<Item = ([u8; 16], Option<&'a str>)>,
) -> Vec<u8> {
    let mut request = request_writer(Api::Metadata, TOPICS_VERSION, correlation, client_id);
    request.array_len(topics.len());
    for (id, name) in topics {
        request.uuid(&id);
        request.nullable_string(name);
        request.no_tags();
    }
    // Topics are not to be created by asking, and what may be done with them is of no interest.
    request.bool(false);
    request.bool(false);
    request.no_tags();
    request.into_frame()
}

/// Reads the topics out of the answer to one of these questions, to its last byte.
pub fn read_topics(frame: &[u8]) -> Result<Vec<Topic>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::Flexible);
    answer_head(&mut reader, true)?;
    reader.i32("throttle time")?;
    for _ in 0..reader.array_len("brokers")? {
        reader.i32("node id")?;
        reader.string_bytes("host")?;
        reader.i32("port")?;
        reader.nullable_string_bytes("rack")?;
        reader.skip_tags()?;
    }
    reader.nullable_string_bytes("cluster id")?;
    reader.i32("controller id")?;
    let mut topics = Vec::new();
    for _ in 0..reader.array_len("topics")? {
        topics.push(read_topic(&mut reader)?);
    }
    reader.skip_tags()?;
    reader.finish()?;
    Ok(topics)
}

fn read_topic(reader: &mut Reader<'_>) -> Result<Topic, Malformed> {
    let error = reader.i16("error code")?;
    let name = reader.nullable_string("topic")?.map(str::to_owned);
    let id = reader.uuid("topic id")?;
    reader.bool("is internal")?;
    let partitions = reader.array_len("partitions")?;
    for _ in 0..partitions {
        reader.i16("error code")?;
        reader.i32("partition")?;
        reader.i32("leader")?;
        reader.i32("leader epoch")?;
        for what in ["replicas", "replicas in sync", "offline replicas"] {
            for _ in 0..reader.array_len(what)? {
                reader.i32(what)?;
            }
        }
        reader.skip_tags()?;
    }
    reader.i32("authorized operations")?;
    reader.skip_tags()?;
    Ok(Topic { error, name, id, partitions })
}
