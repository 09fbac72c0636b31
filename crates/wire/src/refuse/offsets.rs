//! Refusals of the APIs that ask for, keep or forget offsets of partitions.

use super::Refusal;
use crate::error::Malformed;

/// `ListOffsetsResponse`: one code for each partition.
pub(super) fn list(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let version = refusal.version;
    refusal.throttle_from(2);
    refusal.request.i32("replica id")?;
    if version >= 2 {
        refusal.request.i8("isolation level")?;
    }
    refusal.each_partition(NEVER, |refusal| {
        refusal.echo_i32("partition")?;
        if version >= 4 {
            refusal.request.i32("leader epoch")?;
        }
        refusal.request.i64("time")?;
        if version == 0 {
            refusal.request.i32("most offsets")?;
        }
        refusal.code();
        if version == 0 {
            refusal.answer.array_len(0);
        } else {
            // Time and offset.
            refusal.answer.i64(-1);
            refusal.answer.i64(-1);
        }
        if version >= 4 {
            refusal.answer.i32(-1);
        }
        Ok(())
    })
}

/// Of topics that have no id in any version.
const NEVER: i16 = i16::MAX;

/// `OffsetForLeaderEpochResponse`: one code for each partition, before its index.
pub(super) fn of_leader_epoch(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let version = refusal.version;
    refusal.throttle_from(2);
    if version >= 3 {
        refusal.request.i32("replica id")?;
    }
    refusal.each_partition(NEVER, |refusal| {
        refusal.code();
        refusal.echo_i32("partition")?;
        if version >= 2 {
            refusal.request.i32("current leader epoch")?;
        }
        refusal.request.i32("leader epoch")?;
        if version >= 1 {
            refusal.answer.i32(-1);
        }
        refusal.answer.i64(-1);
        Ok(())
    })
}

/// `OffsetCommitResponse`: one code for each partition.
pub(super) fn commit(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let version = refusal.version;
    refusal.throttle_from(3);
    refusal.request.string_bytes("group")?;
    if version >= 1 {
        refusal.request.i32("generation")?;
        refusal.request.string_bytes("member")?;
    }
    if version >= 7 {
        refusal.request.nullable_string_bytes("group instance")?;
    }
    if (2..=4).contains(&version) {
        refusal.request.i64("retention time")?;
    }
    refusal.each_partition(10, |refusal| {
        refusal.echo_i32("partition")?;
        refusal.request.i64("offset")?;
        if version == 1 {
            refusal.request.i64("time of the commit")?;
        }
        if version >= 6 {
            refusal.request.i32("leader epoch")?;
        }
        refusal.request.nullable_string_bytes("metadata")?;
        refusal.code();
        Ok(())
    })
}

/// `OffsetFetchResponse`: one code for each partition up to version 1, one for all up to version 7, one for each group after.
pub(super) fn fetch(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(3);
    match refusal.version {
        ..=1 => {
            refusal.request.string_bytes("group")?;
            return refusal.each_partition(NEVER, |refusal| {
                refusal.echo_i32("partition")?;
                refusal.answer.i64(-1);
                refusal.answer.string("");
                refusal.code();
                Ok(())
            });
        }
        2..=7 => {
            refusal.answer.array_len(0);
            refusal.code();
            return Ok(());
        }
        8.. => {}
    }
    for _ in 0..refusal.count("groups")? {
        refusal.echo_string("group")?;
        if refusal.version >= 9 {
            refusal.request.nullable_string_bytes("member")?;
            refusal.request.i32("member epoch")?;
        }
        for _ in 0..refusal.request.nullable_array_len("topics")?.unwrap_or(0) {
            if refusal.version >= 10 {
                refusal.request.uuid("topic id")?;
            } else {
                refusal.request.string_bytes("topic")?;
            }
            for _ in 0..refusal.request.array_len("partitions")? {
                refusal.request.i32("partition")?;
            }
            refusal.request.skip_tags()?;
        }
        refusal.answer.array_len(0);
        refusal.code();
        refusal.end()?;
    }
    Ok(())
}

/// `OffsetDeleteResponse`: one code, before the throttle time.
pub(super) fn delete(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.code();
    refusal.throttle();
    refusal.answer.array_len(0);
    Ok(())
}

/// `DeleteRecordsResponse`: one code for each partition.
pub(super) fn delete_records(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.each_partition(NEVER, |refusal| {
        refusal.echo_i32("partition")?;
        refusal.request.i64("offset")?;
        // The low watermark, unknown.
        refusal.answer.i64(-1);
        refusal.code();
        Ok(())
    })
}
