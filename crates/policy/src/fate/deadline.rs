//! How long a request allows its broker to take, where it says so.

use std::time::Duration;

use wire::Malformed;
use wire::api::{Api, Class};
use wire::reader::{Encoding, Reader};

/// How long the request itself says that its broker may take: a Fetch may wait for records, a Produce for replicas, a
/// `JoinGroup` for the other members, and administration for the controller. `None` where a version has no such field, where
/// the field is below zero or behind the bytes that are given, and for all other APIs.
pub(super) fn deadline(api: Api, version: i16, body: &[u8]) -> Option<Duration> {
    let (_, _, before) =
        TIMEOUTS.iter().find(|(has, from, _)| *has == api && version >= *from && api.speaks(version))?;
    let mut reader = Reader::new(body, Encoding::of(api.request_is_flexible(version)));
    before(&mut reader, version).ok()?;
    let millis = reader.i32("timeout").ok()?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// How long a request allows its broker to take before silence says anything: what it says itself; or, where that is not known,
/// what clients ask for if nobody tells them otherwise. A `SyncGroup` waits for the group's leader and does not say for how
/// long.
pub fn allowed(api: Api, version: i16, body: &[u8]) -> Duration {
    let unsaid = if matches!(api, Api::JoinGroup | Api::SyncGroup) {
        MAX_POLL_INTERVAL
    } else if matches!(api.class(), Class::Produce | Class::Fetch) {
        REQUEST_TIMEOUT
    } else {
        Duration::ZERO
    };
    deadline(api, version, body).unwrap_or(unsaid)
}

/// `max.poll.interval.ms`, as clients have it,
const MAX_POLL_INTERVAL: Duration = Duration::from_mins(5);
/// and `request.timeout.ms`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

type Before = fn(&mut Reader<'_>, i16) -> Result<(), Malformed>;

/// Which requests have a timeout, from which version on, and what is before it.
static TIMEOUTS: [(Api, i16, Before); 13] = [
    (Api::Produce, 0, before_produce),
    (Api::Fetch, 0, before_fetch),
    (Api::ListOffsets, 10, listed),
    (Api::JoinGroup, 0, before_join),
    (Api::CreateTopics, 0, created),
    (Api::DeleteTopics, 0, deleted),
    (Api::DeleteRecords, 0, shortened),
    (Api::CreatePartitions, 0, grown),
    (Api::ElectLeaders, 0, elected),
    (Api::AlterPartitionReassignments, 0, nothing),
    (Api::ListPartitionReassignments, 0, nothing),
    (Api::UpdateFeatures, 0, nothing),
    (Api::ShareFetch, 0, before_share),
];

#[allow(clippy::unnecessary_wraps, reason = "all stand in one table")]
fn nothing(_: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    Ok(())
}

fn before_produce(reader: &mut Reader<'_>, version: i16) -> Result<(), Malformed> {
    if version >= 3 {
        reader.nullable_string_bytes("transactional id")?;
    }
    reader.i16("acks").map(drop)
}

fn before_fetch(reader: &mut Reader<'_>, version: i16) -> Result<(), Malformed> {
    if version < 15 {
        reader.i32("replica id")?;
    }
    Ok(())
}

/// The timeout of a session stands before that of a rebalance. Version 0 has one for both.
fn before_join(reader: &mut Reader<'_>, version: i16) -> Result<(), Malformed> {
    reader.string_bytes("group")?;
    if version >= 1 {
        reader.i32("session timeout")?;
    }
    Ok(())
}

fn before_share(reader: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    reader.nullable_string_bytes("group")?;
    reader.nullable_string_bytes("member")?;
    reader.i32("session epoch").map(drop)
}

fn listed(reader: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    reader.take(5, "replica id and isolation level")?;
    each(reader, |reader| {
        reader.string_bytes("topic")?;
        each(reader, |reader| reader.take(16, "partition").map(drop))
    })
}

fn shortened(reader: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    each(reader, |reader| {
        reader.string_bytes("topic")?;
        each(reader, |reader| reader.take(12, "partition").map(drop))
    })
}

/// Every structure of an array, to the end of its tags.
fn each(
    reader: &mut Reader<'_>,
    item: impl Fn(&mut Reader<'_>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for _ in 0..reader.nullable_array_len("items")?.unwrap_or(0) {
        item(reader)?;
        reader.skip_tags()?;
    }
    Ok(())
}

fn numbers(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    for _ in 0..reader.nullable_array_len("numbers")?.unwrap_or(0) {
        reader.i32("number")?;
    }
    Ok(())
}

fn created(reader: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    each(reader, |reader| {
        reader.string_bytes("topic")?;
        reader.take(6, "partitions and replication factor")?;
        each(reader, |reader| {
            reader.i32("partition")?;
            numbers(reader)
        })?;
        each(reader, |reader| {
            reader.string_bytes("config name")?;
            reader.nullable_string_bytes("config value").map(drop)
        })
    })
}

fn deleted(reader: &mut Reader<'_>, version: i16) -> Result<(), Malformed> {
    if version >= 6 {
        return each(reader, |reader| {
            reader.nullable_string_bytes("topic")?;
            reader.uuid("topic id").map(drop)
        });
    }
    // Bare names, which have no tags.
    for _ in 0..reader.array_len("topics")? {
        reader.string_bytes("topic")?;
    }
    Ok(())
}

fn grown(reader: &mut Reader<'_>, _: i16) -> Result<(), Malformed> {
    each(reader, |reader| {
        reader.string_bytes("topic")?;
        reader.i32("partitions")?;
        each(reader, numbers)
    })
}

fn elected(reader: &mut Reader<'_>, version: i16) -> Result<(), Malformed> {
    if version >= 1 {
        reader.i8("election type")?;
    }
    each(reader, |reader| {
        reader.string_bytes("topic")?;
        numbers(reader)
    })
}
