//! Refusals of the APIs that bring records: about the session as a whole, or about each partition.
//!
//! A client looks for the new leader of a partition when that partition's code says so, and opens a new session when the
//! code of the whole answer says so; it does neither the other way round.

use super::Refusal;
use crate::error::{Malformed, code};

/// Whether the code is about a partition. Others are about the request, where the version has a slot for that.
const fn is_of_partitions(error: i16) -> bool {
    matches!(
        error,
        code::UNKNOWN_TOPIC_OR_PARTITION
            | code::NOT_LEADER_OR_FOLLOWER
            | code::TOPIC_AUTHORIZATION_FAILED
            | code::UNKNOWN_TOPIC_ID
    )
}

/// `FetchResponse`: one code for all from version 7 on, or one for each partition that the request names. There is no
/// session in it (id 0), so that a client whose session could not be used opens a new one.
pub(super) fn fetch(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let by_partition = refusal.version < 7 || is_of_partitions(refusal.code);
    refusal.throttle_from(1);
    if refusal.version >= 7 {
        refusal.answer.i16(if by_partition { code::NONE } else { refusal.code });
        refusal.answer.i32(0);
    }
    if !by_partition {
        refusal.answer.array_len(0);
        return Ok(());
    }
    if refusal.version <= 14 {
        refusal.request.i32("replica id")?;
    }
    refusal.request.take(8, "longest wait and fewest bytes")?;
    if refusal.version >= 3 {
        refusal.request.i32("most bytes")?;
    }
    if refusal.version >= 4 {
        refusal.request.i8("isolation level")?;
    }
    if refusal.version >= 7 {
        refusal.request.take(8, "session id and epoch")?;
    }
    for _ in 0..refusal.count("topics")? {
        refusal.echo_topic(13)?;
        for _ in 0..refusal.count("partitions")? {
            fetched_partition(refusal)?;
        }
        refusal.end()?;
    }
    Ok(())
}

fn fetched_partition(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let version = refusal.version;
    refusal.echo_i32("partition")?;
    if version >= 9 {
        refusal.request.i32("leader epoch")?;
    }
    refusal.request.i64("offset")?;
    if version >= 12 {
        refusal.request.i32("last epoch")?;
    }
    if version >= 5 {
        refusal.request.i64("log start offset")?;
    }
    refusal.request.i32("most bytes")?;
    refusal.code();
    // The high watermark, the last stable offset, the log's start offset: unknown.
    refusal.answer.i64(-1);
    if version >= 4 {
        refusal.answer.i64(-1);
    }
    if version >= 5 {
        refusal.answer.i64(-1);
    }
    if version >= 4 {
        // Aborted transactions.
        refusal.answer.nullable_array_len(None);
    }
    if version >= 11 {
        // The preferred replica, there is none.
        refusal.answer.i32(-1);
    }
    // Records; none, which is not null.
    refusal.answer.bytes(&[]);
    refusal.end()
}

/// `ShareFetchResponse`: one code for all, or one for each partition that the request names.
pub(super) fn share_fetch(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    let by_partition = share_top(refusal);
    // For how long records are acquired.
    refusal.answer.i32(0);
    if by_partition {
        share_session(refusal)?;
        refusal.request.take(20, "longest wait, fewest and most bytes, most records, size of batches")?;
        if refusal.version >= 2 {
            refusal.request.take(2, "way to acquire, and whether to renew")?;
        }
        share_partitions(refusal, |refusal| {
            refusal.item();
            // The code and the words on what is acknowledged: as above, there is nothing to be said apart.
            refusal.answer.i16(code::NONE);
            refusal.answer.nullable_string(None);
            no_leader(refusal);
            refusal.answer.bytes(&[]);
            // Acquired records.
            refusal.answer.array_len(0);
        })?;
    } else {
        refusal.answer.array_len(0);
    }
    // Addresses of leaders.
    refusal.answer.array_len(0);
    Ok(())
}

/// `ShareAcknowledgeResponse`: one code for all, or one for each partition that the request names.
pub(super) fn share_acknowledge(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    let by_partition = share_top(refusal);
    if refusal.version >= 2 {
        refusal.answer.i32(0);
    }
    if by_partition {
        share_session(refusal)?;
        if refusal.version >= 2 {
            refusal.request.bool("whether to renew")?;
        }
        share_partitions(refusal, |refusal| {
            refusal.item();
            no_leader(refusal);
        })?;
    } else {
        refusal.answer.array_len(0);
    }
    refusal.answer.array_len(0);
    Ok(())
}

/// The code and the words about the whole request; whether its partitions are to have them instead.
fn share_top(refusal: &mut Refusal<'_>) -> bool {
    let by_partition = is_of_partitions(refusal.code);
    if by_partition {
        refusal.answer.i16(code::NONE);
        refusal.answer.nullable_string(None);
    } else {
        refusal.top();
    }
    by_partition
}

fn share_session(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.request.nullable_string_bytes("group")?;
    refusal.request.nullable_string_bytes("member")?;
    refusal.request.i32("session epoch")?;
    Ok(())
}

fn share_partitions(refusal: &mut Refusal<'_>, answer: impl Fn(&mut Refusal<'_>)) -> Result<(), Malformed> {
    for _ in 0..refusal.count("topics")? {
        refusal.echo_topic(0)?;
        for _ in 0..refusal.count("partitions")? {
            refusal.echo_i32("partition")?;
            for _ in 0..refusal.request.array_len("acknowledgements")? {
                refusal.request.take(16, "first and last offset")?;
                let types = refusal.request.array_len("acknowledgement types")?;
                refusal.request.take(types, "acknowledgement types")?;
                refusal.request.skip_tags()?;
            }
            answer(refusal);
            refusal.end()?;
        }
        refusal.end()?;
    }
    Ok(())
}

/// The leader and its epoch as the schema's defaults have them.
fn no_leader(refusal: &mut Refusal<'_>) {
    refusal.answer.i32(0);
    refusal.answer.i32(0);
    refusal.answer.no_tags();
}
