//! The little that must be known of requests: acks of a Produce, replica ids, groups, and what the judged ones ask for.

mod front;
mod group;
mod mutations;
mod plain;

pub use front::{FRONT_BYTES_MAX, Front, produce_front};
pub use group::{Named, group};
pub use mutations::{Change, Mutation, Subject, each_mutation, mutations};
pub use plain::{is_plain_consumers, plain_fetch_tail};

use crate::api::{Api, RequestPath};
use crate::error::Malformed;
use crate::reader::{Encoding, Reader};

/// The client id that Kafka trusts to write to internal topics, whoever sends it.
pub const ADMIN_CLIENT: &[u8] = b"__admin_client";

/// Whether Kafka would take this client for its own administration client.
pub fn is_admin_client(client_id: &[u8]) -> bool {
    client_id == ADMIN_CLIENT
}

/// A consumer's replica id.
const CONSUMER: i32 = -1;
/// The replica id of a consumer that debugs; it has no powers.
const DEBUGGING_CONSUMER: i32 = -2;

/// Reads acks from the beginning of a Produce request's body. `None`: more bytes are needed; 32 KiB always suffice.
pub fn produce_acks(body: &[u8], version: i16) -> Result<Option<i16>, Malformed> {
    let mut reader = Reader::new(body, Encoding::of(Api::Produce.request_is_flexible(version)));
    match front::acks(&mut reader, version) {
        Ok(acks) => Ok(Some(acks)),
        Err(Malformed::Truncated { .. }) => Ok(None),
        Err(malformed) => Err(malformed),
    }
}

/// Checks the count at the beginning of a Metadata request's body against the body's `size`, of which only the first
/// bytes need be here: a topic takes a byte at least. `None`: more bytes are needed; five suffice.
pub fn topics_are_possible(body: &[u8], size: usize, version: i16) -> Result<Option<()>, Malformed> {
    let mut reader = Reader::new(body, Encoding::of(Api::Metadata.request_is_flexible(version)));
    match reader.nullable_array_count("topics") {
        Ok(Some(count)) if count > size => {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            Err(Malformed::Count { what: "topics", count, at: reader.position() })
        }
        Ok(_) => Ok(Some(())),
        Err(Malformed::Truncated { .. }) => Ok(None),
        Err(malformed) => Err(malformed),
    }
}

/// Forces the replica id at the beginning of a body that travels as [`RequestPath::Replica`] to that of a consumer. True
/// where it was another. The first four bytes of the body must be here. A debugging consumer (-2) of `ListOffsets` and
/// `OffsetForLeaderEpoch` stays one.
pub fn force_replica(api: Api, version: i16, body: &mut [u8]) -> Result<bool, Malformed> {
    if api.request_path(version) != RequestPath::Replica {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    let place = body.first_chunk_mut::<4>().ok_or(Malformed::Truncated { what: "replica id", at: 0 })?;
    let replica = i32::from_be_bytes(*place);
    if replica == CONSUMER || (replica == DEBUGGING_CONSUMER && api != Api::Fetch) {
        return Ok(false);
    }
    *place = CONSUMER.to_be_bytes();
    Ok(true)
}

/// What became of a Fetch request whose size was to be capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capped {
    /// It asked for so many bytes, and asks for less now.
    LoweredFrom(i32),
    /// It asks for so many bytes, which is not too much.
    Kept(i32),
    /// This version (below 3) has no such field.
    NoField,
    /// The bytes up to the field are not here yet; sixteen suffice.
    NeedMore,
}

/// Lowers the `max_bytes` of a whole Fetch request (version 3+) to `max` in place, given the beginning of its body, and never
/// raises it. A broker still sends the first batch whole, and lowers `min_bytes` by itself. What is asked of each partition
/// stays as it is, since it would stay in the fetch session.
pub fn cap_fetch_bytes(version: i16, body: &mut [u8], max: i32) -> Capped {
    if version < 3 || !Api::Fetch.speaks(version) {
        return Capped::NoField;
    }
    // Behind the longest wait and the fewest bytes, and before version 15 behind the replica id.
    let at = if version < 15 { 12 } else { 8 };
    let Some(place) = body.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else {
        return Capped::NeedMore;
    };
    let asked = i32::from_be_bytes(*place);
    let max = max.max(0);
    if asked <= max {
        return Capped::Kept(asked);
    }
    *place = max.to_be_bytes();
    Capped::LoweredFrom(asked)
}

/// Lowers the `max_wait_ms` of a Fetch request by what it has waited already, given the beginning of its body. False where
/// the field is not here yet; eight bytes suffice.
pub fn shorten_fetch_wait(version: i16, body: &mut [u8], waited_ms: i32) -> bool {
    // Before version 15 behind the replica id.
    let at = if version < 15 { 4 } else { 0 };
    let Some(place) = body.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else { return false };
    let asked = i32::from_be_bytes(*place);
    let left = asked.saturating_sub(waited_ms.max(0)).max(0);
    if left < asked {
        *place = left.to_be_bytes();
    }
    true
}

/// What a configuration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigResource<'a> {
    /// `ConfigResource.Type`: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    pub kind: i8,
    /// Name of the topic, number of the broker, and so on; not checked to be UTF-8.
    pub name: &'a [u8],
}

/// The resources that a request of `DescribeConfigs`, `AlterConfigs` or `IncrementalAlterConfigs` names, in its order.
pub fn config_resources(api: Api, version: i16, body: &[u8]) -> Result<Vec<ConfigResource<'_>>, Malformed> {
    let describes = api == Api::DescribeConfigs;
    let increments = api == Api::IncrementalAlterConfigs;
    if !describes && !increments && api != Api::AlterConfigs {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    let mut reader = Reader::new(body, Encoding::of(api.request_is_flexible(version)));
    let mut resources = Vec::new();
    for _ in 0..reader.array_len("resources")? {
        let kind = reader.i8("resource type")?;
        let name = reader.string_bytes("resource name")?;
        resources.push(ConfigResource { kind, name });
        if describes {
            for _ in 0..reader.nullable_array_len("configuration keys")?.unwrap_or(0) {
                reader.string_bytes("configuration key")?;
            }
        } else {
            for _ in 0..reader.array_len("configs")? {
                reader.string_bytes("config name")?;
                if increments {
                    reader.i8("config operation")?;
                }
                reader.nullable_string_bytes("config value")?;
                reader.skip_tags()?;
            }
        }
        reader.skip_tags()?;
    }
    Ok(resources)
}

/// The key type that a `FindCoordinator` request asks for: 0 group, 1 transaction, 2 share group (between brokers only).
pub fn coordinator_key_type(version: i16, body: &[u8]) -> Result<i8, Malformed> {
    let mut reader = Reader::new(body, Encoding::of(Api::FindCoordinator.request_is_flexible(version)));
    if version < 1 {
        return Ok(0);
    }
    if version <= 3 {
        reader.string_bytes("key")?;
    }
    reader.i8("key type")
}

/// The endpoint type that a `DescribeCluster` request asks for: 1 brokers, 2 controllers.
pub fn cluster_endpoint_type(version: i16, body: &[u8]) -> Result<i8, Malformed> {
    let mut reader = Reader::new(body, Encoding::Flexible);
    reader.bool("include authorized operations")?;
    if version < 1 { Ok(1) } else { reader.i8("endpoint type") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_follower_becomes_a_consumer() {
        let force = |api, version, replica: i32| {
            let mut body = replica.to_be_bytes().to_vec();
            body.push(9);
            let forced = force_replica(api, version, &mut body).unwrap();
            (forced, i32::from_be_bytes(*body.first_chunk().unwrap()), body[4])
        };
        for replica in [0, 1, i32::MAX, -3, i32::MIN] {
            assert_eq!(force(Api::Fetch, 11, replica), (true, -1, 9));
            assert_eq!(force(Api::ListOffsets, 9, replica), (true, -1, 9));
            assert_eq!(force(Api::OffsetForLeaderEpoch, 4, replica), (true, -1, 9));
        }
        assert_eq!(force(Api::Fetch, 11, -1), (false, -1, 9));
        assert_eq!(force(Api::Fetch, 11, -2), (true, -1, 9));
        assert_eq!(force(Api::ListOffsets, 1, -2), (false, -2, 9));
        assert!(force_replica(Api::Fetch, 15, &mut [0; 8]).is_err());
        assert!(force_replica(Api::Fetch, 11, &mut [0; 3]).is_err());
    }

    #[test]
    fn the_admin_client_is_known_by_its_exact_name() {
        assert!(is_admin_client(b"__admin_client"));
        assert!(!is_admin_client(b"__admin_client2"));
    }
}
