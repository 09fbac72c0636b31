//! Refusals of the APIs about the cluster itself, and of those that would name a broker.

use super::Refusal;
use crate::error::Malformed;

/// `FindCoordinatorResponse`: no node, one code for all up to version 3, one for each key from 4 on.
pub(super) fn find_coordinator(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    if refusal.version >= 1 {
        refusal.throttle();
    }
    if refusal.version < 4 {
        refusal.answer.i16(refusal.code);
        if refusal.version >= 1 {
            refusal.answer.nullable_string(Some(refusal.message));
        }
        nowhere(refusal);
        return Ok(());
    }
    refusal.request.i8("key type")?;
    for _ in 0..refusal.count("coordinator keys")? {
        refusal.echo_string("coordinator key")?;
        nowhere(refusal);
        refusal.item();
        refusal.answer.no_tags();
    }
    Ok(())
}

/// Node, host and port as brokers write them when there is no coordinator.
fn nowhere(refusal: &mut Refusal<'_>) {
    refusal.answer.i32(-1);
    refusal.answer.string("");
    refusal.answer.i32(-1);
}

/// `DescribeClusterResponse`: one code for all, every other field as the schema's default has it.
pub(super) fn describe_cluster(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    if refusal.version >= 1 {
        // Brokers; what a broker answers to any other type as well.
        refusal.answer.i8(1);
    }
    refusal.answer.string("");
    refusal.answer.i32(-1);
    refusal.answer.array_len(0);
    refusal.answer.i32(i32::MIN);
    Ok(())
}

/// `DescribeQuorumResponse`: one code for all, no topics, and from version 2 on no nodes.
pub(super) fn describe_quorum(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.answer.i16(refusal.code);
    if refusal.version >= 2 {
        refusal.answer.nullable_string(Some(refusal.message));
    }
    refusal.answer.array_len(0);
    if refusal.version >= 2 {
        refusal.answer.array_len(0);
    }
    Ok(())
}

/// `UpdateFeaturesResponse`: one code for all; up to version 1 also results, which stay empty as a broker leaves them.
pub(super) fn update_features(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    if refusal.version <= 1 {
        refusal.answer.array_len(0);
    }
    Ok(())
}

/// `UnregisterBrokerResponse`: one code.
pub(super) fn unregister_broker(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    Ok(())
}

/// `ListConfigResourcesResponse` (`ListClientMetricsResources` in version 0): one code, without words.
pub(super) fn list_config_resources(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.answer.i16(refusal.code);
    refusal.answer.array_len(0);
    Ok(())
}
