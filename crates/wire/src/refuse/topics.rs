//! Refusals of the APIs that create, delete and grow topics.

use super::Refusal;
use crate::error::Malformed;

/// `CreateTopicsResponse`: one code for each topic; what it would have been like is left at the schema's defaults.
pub(super) fn create(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    if refusal.version >= 2 {
        refusal.throttle();
    }
    for _ in 0..refusal.count("topics")? {
        refusal.echo_string("topic")?;
        refusal.request.i32("partitions")?;
        refusal.request.i16("replication factor")?;
        for _ in 0..refusal.request.array_len("assignments")? {
            refusal.request.i32("partition")?;
            skip_replicas(refusal)?;
        }
        for _ in 0..refusal.request.array_len("configs")? {
            refusal.request.string_bytes("config name")?;
            refusal.request.nullable_string_bytes("config value")?;
            refusal.request.skip_tags()?;
        }
        if refusal.version >= 7 {
            refusal.answer.uuid(&[0; 16]);
        }
        refusal.item_with_words(refusal.version >= 1);
        if refusal.version >= 5 {
            // Partitions, replication factor, configurations.
            refusal.answer.i32(-1);
            refusal.answer.i16(-1);
            refusal.answer.array_len(0);
        }
        refusal.end()?;
    }
    Ok(())
}

/// `DeleteTopicsResponse`: one code for each topic, which is named as the question names it.
pub(super) fn delete(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    if refusal.version >= 1 {
        refusal.throttle();
    }
    for _ in 0..refusal.count("topics")? {
        if refusal.version >= 6 {
            let name = refusal.request.nullable_string_bytes("topic")?;
            refusal.answer.nullable_string_bytes(name);
            let id = refusal.request.uuid("topic id")?;
            refusal.answer.uuid(&id);
            refusal.request.skip_tags()?;
        } else {
            // A bare name, which has no tags.
            refusal.echo_string("topic")?;
        }
        refusal.item_with_words(refusal.version >= 5);
        refusal.answer.no_tags();
    }
    Ok(())
}

/// `CreatePartitionsResponse`: one code for each topic.
pub(super) fn grow(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("topics")? {
        refusal.echo_string("topic")?;
        refusal.request.i32("partitions")?;
        for _ in 0..refusal.request.nullable_array_len("assignments")?.unwrap_or(0) {
            skip_replicas(refusal)?;
        }
        refusal.item();
        refusal.end()?;
    }
    Ok(())
}

/// The brokers of one partition, and the end of its structure.
fn skip_replicas(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    for _ in 0..refusal.request.array_len("replicas")? {
        refusal.request.i32("replica")?;
    }
    refusal.request.skip_tags()
}
