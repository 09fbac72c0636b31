//! What requests ask to be created, deleted or grown, for limits on changes (KIP-599). What brokers refuse whatever they
//! have, because the request contradicts itself, asks for nothing.

use crate::api::Api;
use crate::error::Malformed;
use crate::reader::{Encoding, Reader};

/// One change of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation<'a> {
    /// The topic.
    pub topic: Subject<'a>,
    /// What is to become of it.
    pub change: Change,
}

/// How a topic is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject<'a> {
    /// By name; not checked to be UTF-8.
    Name(&'a [u8]),
    /// By id: `DeleteTopics` 6+.
    Id([u8; 16]),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new topic of so many partitions; `None` for the broker's default. Zero is what no broker will do.
    Create {
        /// Partitions to create.
        partitions: Option<u32>,
    },
    /// The end of a topic, with all the partitions that it has.
    Delete,
    /// More partitions.
    Grow {
        /// How many it is to have in all.
        to: u32,
        /// For how many new ones brokers are named, if for any: it has to be as many as are added.
        assigned: Option<u32>,
    },
}

/// What a whole request of `CreateTopics`, `DeleteTopics` or `CreatePartitions` asks for, in its order. A request that is
/// only to be validated (`validate_only`) changes nothing, and so asks for nothing here.
pub fn mutations(api: Api, version: i16, body: &[u8]) -> Result<Vec<Mutation<'_>>, Malformed> {
    let mut found = Vec::new();
    if read(api, version, body, &mut |mutation| found.push(mutation))? {
        found.clear();
    }
    Ok(found)
}

/// As [`mutations`], one by one and without a list of them; `each` hears of none before all of the body was read.
pub fn each_mutation<'a>(
    api: Api,
    version: i16,
    body: &'a [u8],
    mut each: impl FnMut(Mutation<'a>),
) -> Result<(), Malformed> {
    if !read(api, version, body, &mut |_| {})? {
        read(api, version, body, &mut each)?;
    }
    Ok(())
}

/// The id of no topic.
const NO_ID: [u8; 16] = [0; 16];

type Each<'e, 'a> = &'e mut dyn FnMut(Mutation<'a>);

/// Reads a body; whether it is only to be validated.
fn read<'a>(api: Api, version: i16, body: &'a [u8], each: Each<'_, 'a>) -> Result<bool, Malformed> {
    let mut reader = Reader::new(body, Encoding::of(api.request_is_flexible(version)));
    let (creates, deletes) = (api == Api::CreateTopics, api == Api::DeleteTopics);
    let grows = api == Api::CreatePartitions;
    if !api.speaks(version) || !(creates || deletes || grows) {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    for _ in 0..reader.array_len("topics")? {
        if creates {
            each(creation(&mut reader)?);
        } else if grows {
            each(growth(&mut reader)?);
        } else if let Some(mutation) = deletion(version, &mut reader)? {
            each(mutation);
        }
    }
    reader.i32("timeout")?;
    let may_validate = grows || (creates && version >= 1);
    let only_validates = may_validate && reader.bool("validate only")?;
    reader.skip_tags()?;
    Ok(only_validates)
}

fn creation<'a>(reader: &mut Reader<'a>) -> Result<Mutation<'a>, Malformed> {
    let name = reader.string_bytes("topic")?;
    let asked = reader.i32("partitions")?;
    let replicas_asked = reader.i16("replication factor")?;
    let assigned = reader.array_len("assignments")?;
    for _ in 0..assigned {
        reader.i32("partition")?;
        replicas(reader)?;
    }
    for _ in 0..reader.array_len("configs")? {
        reader.string_bytes("config name")?;
        reader.nullable_string_bytes("config value")?;
        reader.skip_tags()?;
    }
    reader.skip_tags()?;
    let partitions = match (assigned, asked, replicas_asked) {
        (0, _, ..=-2 | 0) => Some(0),
        (0, -1, _) => None,
        (0, asked, _) => Some(u32::try_from(asked).unwrap_or(0)),
        (assigned, -1, -1) => Some(count(assigned)),
        // Numbers and brokers that are named exclude each other.
        (_, _, _) => Some(0),
    };
    Ok(Mutation { topic: Subject::Name(name), change: Change::Create { partitions } })
}

fn growth<'a>(reader: &mut Reader<'a>) -> Result<Mutation<'a>, Malformed> {
    let name = reader.string_bytes("topic")?;
    let to = u32::try_from(reader.i32("partitions")?).unwrap_or(0);
    let assigned = reader.nullable_array_len("assignments")?;
    for _ in 0..assigned.unwrap_or(0) {
        replicas(reader)?;
    }
    reader.skip_tags()?;
    let change = Change::Grow { to, assigned: assigned.map(count) };
    Ok(Mutation { topic: Subject::Name(name), change })
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The brokers of one partition, and the end of its structure.
fn replicas(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    for _ in 0..reader.array_len("replicas")? {
        reader.i32("replica")?;
    }
    reader.skip_tags()
}

/// `None` for a topic that is named twice over, or not at all.
fn deletion<'a>(version: i16, reader: &mut Reader<'a>) -> Result<Option<Mutation<'a>>, Malformed> {
    let topic = if version >= 6 {
        let name = reader.nullable_string_bytes("topic")?;
        let id = reader.uuid("topic id")?;
        reader.skip_tags()?;
        match (name, id == NO_ID) {
            (Some(name), true) => Subject::Name(name),
            (None, false) => Subject::Id(id),
            (Some(_), false) | (None, true) => return Ok(None),
        }
    } else {
        Subject::Name(reader.string_bytes("topic")?)
    };
    Ok(Some(Mutation { topic, change: Change::Delete }))
}
