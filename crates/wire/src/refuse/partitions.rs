//! Refusals of the APIs that show or move partitions and their replicas.

use super::Refusal;
use crate::error::Malformed;
use crate::reader::Reader;

/// `AlterReplicaLogDirsResponse`: the question is by directory, the answer by topic.
pub(super) fn alter_log_dirs(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    let topics = topics_of_all_dirs(refusal.request.clone())?;
    refusal.answer.array_len(topics);
    for _ in 0..refusal.request.array_len("dirs")? {
        refusal.request.string_bytes("path")?;
        for _ in 0..refusal.request.array_len("topics")? {
            refusal.echo_string("topic")?;
            for _ in 0..refusal.count("partitions")? {
                refusal.echo_i32("partition")?;
                refusal.answer.i16(refusal.code);
                refusal.answer.no_tags();
            }
            refusal.end()?;
        }
        refusal.request.skip_tags()?;
    }
    Ok(())
}

fn topics_of_all_dirs(mut request: Reader<'_>) -> Result<usize, Malformed> {
    let mut topics = 0_usize;
    for _ in 0..request.array_len("dirs")? {
        request.string_bytes("path")?;
        let here = request.array_len("topics")?;
        topics = topics.saturating_add(here);
        for _ in 0..here {
            request.string_bytes("topic")?;
            for _ in 0..request.array_len("partitions")? {
                request.i32("partition")?;
            }
            request.skip_tags()?;
        }
        request.skip_tags()?;
    }
    Ok(topics)
}

/// `DescribeLogDirsResponse`: one code for all from version 3 on; before it, nothing is what brokers answer.
pub(super) fn describe_log_dirs(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    if refusal.version >= 3 {
        refusal.answer.i16(refusal.code);
    }
    refusal.answer.array_len(0);
    Ok(())
}

/// `ElectLeadersResponse`: a code for all from version 1 on, and one for each partition that was named.
pub(super) fn elect_leaders(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    if refusal.version >= 1 {
        refusal.answer.i16(refusal.code);
        refusal.request.i8("election type")?;
    }
    let topics = refusal.request.nullable_array_len("topics")?.unwrap_or(0);
    refusal.answer.array_len(topics);
    for _ in 0..topics {
        refusal.echo_string("topic")?;
        for _ in 0..refusal.count("partitions")? {
            refusal.echo_i32("partition")?;
            refusal.item();
            refusal.answer.no_tags();
        }
        refusal.end()?;
    }
    Ok(())
}

/// `AlterPartitionReassignmentsResponse`: a code for all, and one for each partition.
pub(super) fn reassign(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.request.i32("timeout")?;
    if refusal.version >= 1 {
        refusal.request.bool("replication factor change")?;
        // The schema's default; without a reassignment it says nothing.
        refusal.answer.bool(true);
    }
    refusal.top();
    for _ in 0..refusal.count("topics")? {
        refusal.echo_string("topic")?;
        for _ in 0..refusal.count("partitions")? {
            refusal.echo_i32("partition")?;
            for _ in 0..refusal.request.nullable_array_len("replicas")?.unwrap_or(0) {
                refusal.request.i32("replica")?;
            }
            refusal.item();
            refusal.end()?;
        }
        refusal.end()?;
    }
    Ok(())
}

/// `ListPartitionReassignmentsResponse`: one code for all. No topic is listed, since one that is listed is being moved.
pub(super) fn list_reassignments(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.array_len(0);
    Ok(())
}
