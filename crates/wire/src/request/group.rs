//! The group that a request names, for limits that count by group.

use crate::api::Api;
use crate::error::Malformed;
use crate::reader::{Encoding, Reader};

/// Whether a request names a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// The group, the first one where there are several; not checked to be UTF-8.
    Group(&'a [u8]),
    /// None: requests of this API never do, or the list is empty, or the name is null.
    NoGroup,
}

/// Where a body has its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the first field; null in a few.
    First,
    /// It is the first of an array, with which the body begins.
    FirstOfMany,
    /// Behind the transactional id.
    BehindTransaction,
    /// Behind the transactional id and the producer's id and epoch.
    BehindProducer,
}

/// Reads the group from the beginning of a request's body. `None`: more bytes are needed; 80 KiB always suffice.
pub fn group(api: Api, version: i16, body: &[u8]) -> Result<Option<Named<'_>>, Malformed> {
    if !api.speaks(version) {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    let Some(place) = place(api, version) else { return Ok(Some(Named::NoGroup)) };
    let mut reader = Reader::new(body, Encoding::of(api.request_is_flexible(version)));
    match read(place, &mut reader) {
        Ok(group) => Ok(Some(group.map_or(Named::NoGroup, Named::Group))),
        Err(Malformed::Truncated { .. }) => Ok(None),
        Err(malformed) => Err(malformed),
    }
}

fn read<'a>(place: Place, reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    match place {
        Place::First => {}
        Place::FirstOfMany => {
            if reader.array_count("groups")? == 0 {
                return Ok(None);
            }
        }
        Place::BehindTransaction => {
            reader.string_bytes("transactional id")?;
        }
        Place::BehindProducer => {
            reader.string_bytes("transactional id")?;
            reader.i64("producer id")?;
            reader.i16("producer epoch")?;
        }
    }
    reader.nullable_string_bytes("group")
}

/// `None` where requests name no group.
#[allow(clippy::wildcard_enum_match_arm, reason = "all others have none; a test asks Kafka")]
fn place(api: Api, version: i16) -> Option<Place> {
    match api {
        Api::OffsetFetch if version >= 8 => Some(Place::FirstOfMany),
        Api::JoinGroup
        | Api::SyncGroup
        | Api::Heartbeat
        | Api::LeaveGroup
        | Api::OffsetCommit
        | Api::OffsetFetch
        | Api::OffsetDelete
        | Api::ConsumerGroupHeartbeat
        | Api::ShareGroupHeartbeat
        | Api::ShareFetch
        | Api::ShareAcknowledge
        | Api::StreamsGroupHeartbeat
        | Api::AlterShareGroupOffsets
        | Api::DeleteShareGroupOffsets => Some(Place::First),
        Api::DescribeGroups
        | Api::DeleteGroups
        | Api::ConsumerGroupDescribe
        | Api::ShareGroupDescribe
        | Api::StreamsGroupDescribe
        | Api::DescribeShareGroupOffsets => Some(Place::FirstOfMany),
        Api::TxnOffsetCommit => Some(Place::BehindTransaction),
        Api::AddOffsetsToTxn => Some(Place::BehindProducer),
        _ => None,
    }
}
