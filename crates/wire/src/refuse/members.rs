//! Refusals of the APIs of consumer, share and streams groups, whose members only send heartbeats (KIP-848, 932, 1071).

use super::Refusal;
use super::groups::NO_OPERATIONS;
use crate::error::Malformed;

/// `ConsumerGroupHeartbeatResponse` and `ShareGroupHeartbeatResponse`: one code; no member, no assignment.
pub(super) fn heartbeat(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.nullable_string(None);
    // The member's epoch, and when to send the next one.
    refusal.answer.i32(0);
    refusal.answer.i32(0);
    // The byte of an absent structure.
    refusal.answer.i8(-1);
    Ok(())
}

/// `StreamsGroupHeartbeatResponse`: one code; no member, no tasks.
pub(super) fn streams_heartbeat(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.string("");
    for _epoch_interval_lag_and_interval_of_offsets in 0..4 {
        refusal.answer.i32(0);
    }
    refusal.answer.array_len(0);
    for _active_standby_and_warmup_tasks in 0..3 {
        refusal.answer.nullable_array_len(None);
    }
    refusal.answer.i32(0);
    refusal.answer.nullable_array_len(None);
    Ok(())
}

/// `ConsumerGroupDescribeResponse` and `ShareGroupDescribeResponse`: one code for each group.
pub(super) fn describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    each_group(refusal, |refusal| refusal.answer.string(""))
}

/// `StreamsGroupDescribeResponse`: one code for each group.
pub(super) fn streams_describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    each_group(refusal, |refusal| refusal.answer.i8(-1))
}

/// Groups by their ids. `middle` is the assignor, or the topology.
fn each_group(refusal: &mut Refusal<'_>, middle: impl Fn(&mut Refusal<'_>)) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("groups")? {
        refusal.item();
        refusal.echo_string("group")?;
        // State, epoch, epoch of the assignment.
        refusal.answer.string("");
        refusal.answer.i32(0);
        refusal.answer.i32(0);
        middle(refusal);
        refusal.answer.array_len(0);
        refusal.answer.i32(NO_OPERATIONS);
        refusal.answer.no_tags();
    }
    Ok(())
}

/// `DescribeShareGroupOffsetsResponse`: one code for each group.
pub(super) fn describe_offsets(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("groups")? {
        refusal.echo_string("group")?;
        for _ in 0..refusal.request.nullable_array_len("topics")?.unwrap_or(0) {
            refusal.request.string_bytes("topic")?;
            for _ in 0..refusal.request.array_len("partitions")? {
                refusal.request.i32("partition")?;
            }
            refusal.request.skip_tags()?;
        }
        refusal.answer.array_len(0);
        refusal.item();
        refusal.end()?;
    }
    Ok(())
}

/// `AlterShareGroupOffsetsResponse` and `DeleteShareGroupOffsetsResponse`: one code.
pub(super) fn change_offsets(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.array_len(0);
    Ok(())
}
