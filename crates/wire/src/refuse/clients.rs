//! Refusals of the APIs by which clients find topics, and of those by which they tell how they are.

use super::Refusal;
use super::groups::NO_OPERATIONS;
use crate::error::Malformed;
use crate::known;

/// `MetadataResponse`: one code for each topic that is named, from version 13 on one for all as well, and no broker. With brokers: [`known::metadata`].
pub(super) fn metadata(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(3);
    refusal.answer.array_len(0);
    let (version, error) = (refusal.version, refusal.code);
    known::after_brokers(version, None, None, error, &mut refusal.request, &mut refusal.answer)?;
    if version >= 13 {
        refusal.code();
    }
    Ok(())
}

/// `DescribeTopicPartitionsResponse`: one code for each topic.
pub(super) fn describe_topic_partitions(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("topics")? {
        refusal.code();
        refusal.echo_string("topic")?;
        refusal.answer.uuid(&[0; 16]);
        refusal.answer.bool(false);
        refusal.answer.array_len(0);
        refusal.answer.i32(NO_OPERATIONS);
        refusal.end()?;
    }
    // The byte of an absent cursor.
    refusal.answer.i8(-1);
    Ok(())
}

/// `GetTelemetrySubscriptionsResponse`: one code; nothing to send.
pub(super) fn get_telemetry(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    refusal.answer.uuid(&[0; 16]);
    refusal.answer.i32(0);
    refusal.answer.array_len(0);
    refusal.answer.i32(0);
    refusal.answer.i32(0);
    refusal.answer.bool(false);
    refusal.answer.array_len(0);
    Ok(())
}

/// `PushTelemetryResponse`: one code.
pub(super) fn push_telemetry(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.code();
    Ok(())
}
