//! Refusals of the APIs of transactions and producer ids.

use super::Refusal;
use crate::error::Malformed;

/// `InitProducerIdResponse`: one code; no producer.
pub(super) fn init_producer(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    refusal.answer.i64(-1);
    refusal.answer.i16(-1);
    Ok(())
}

/// `AddPartitionsToTxnResponse`, as clients have it (up to version 3): one code for each partition.
pub(super) fn add_partitions(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    transaction(refusal)?;
    for _ in 0..refusal.count("topics")? {
        refusal.echo_string("topic")?;
        for _ in 0..refusal.count("partitions")? {
            // A bare number in the question, a structure in the answer.
            refusal.echo_i32("partition")?;
            refusal.code();
            refusal.answer.no_tags();
        }
        refusal.end()?;
    }
    Ok(())
}

/// The id of a transaction, its producer and the producer's epoch.
fn transaction(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.request.string_bytes("transactional id")?;
    refusal.request.take(10, "producer id and epoch")?;
    Ok(())
}

/// `AddOffsetsToTxnResponse`: one code.
pub(super) fn add_offsets(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    Ok(())
}

/// `EndTxnResponse`: one code; from version 5 on also the producer of the next transaction, who is not known.
pub(super) fn end(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    if refusal.version >= 5 {
        refusal.answer.i64(-1);
        refusal.answer.i16(-1);
    }
    Ok(())
}

/// `TxnOffsetCommitResponse`: one code for each partition.
pub(super) fn commit_offsets(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let version = refusal.version;
    refusal.throttle();
    refusal.request.string_bytes("transactional id")?;
    refusal.request.string_bytes("group")?;
    refusal.request.take(10, "producer id and epoch")?;
    if version >= 3 {
        refusal.request.i32("generation")?;
        refusal.request.string_bytes("member")?;
        refusal.request.nullable_string_bytes("group instance")?;
    }
    refusal.each_partition(i16::MAX, |refusal| {
        refusal.echo_i32("partition")?;
        refusal.request.i64("offset")?;
        if version >= 2 {
            refusal.request.i32("leader epoch")?;
        }
        refusal.request.nullable_string_bytes("metadata")?;
        refusal.code();
        Ok(())
    })
}

/// `DescribeProducersResponse`: one code for each partition.
pub(super) fn describe_producers(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("topics")? {
        refusal.echo_string("topic")?;
        for _ in 0..refusal.count("partitions")? {
            refusal.echo_i32("partition")?;
            refusal.item();
            refusal.answer.array_len(0);
            refusal.answer.no_tags();
        }
        refusal.end()?;
    }
    Ok(())
}

/// `DescribeTransactionsResponse`: one code for each transaction.
pub(super) fn describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("transactional ids")? {
        refusal.code();
        refusal.echo_string("transactional id")?;
        // State, timeout, start, producer id and epoch, topics: the schema's defaults.
        refusal.answer.string("");
        refusal.answer.i32(0);
        refusal.answer.i64(0);
        refusal.answer.i64(0);
        refusal.answer.i16(0);
        refusal.answer.array_len(0);
        refusal.answer.no_tags();
    }
    Ok(())
}

/// `ListTransactionsResponse`: one code; no filter that is unknown, no transaction.
pub(super) fn list(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    refusal.answer.array_len(0);
    refusal.answer.array_len(0);
    Ok(())
}
