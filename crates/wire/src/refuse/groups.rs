//! Refusals of the APIs of classic groups, and of those about any group.

use super::Refusal;
use crate::error::Malformed;

/// What nobody asked for, or is not known: the set of operations.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// `JoinGroupResponse`: one code; no generation, no leader, no member.
pub(super) fn join(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(2);
    refusal.code();
    refusal.answer.i32(-1);
    if refusal.version >= 7 {
        // The protocol's type and name, which are not known.
        refusal.answer.nullable_string(None);
        refusal.answer.nullable_string(None);
    } else {
        refusal.answer.string("");
    }
    refusal.answer.string("");
    if refusal.version >= 9 {
        // Whether the leader is to assign nothing.
        refusal.answer.bool(false);
    }
    refusal.answer.string("");
    refusal.answer.array_len(0);
    Ok(())
}

/// `SyncGroupResponse`: one code, and no assignment.
pub(super) fn sync(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(1);
    refusal.code();
    if refusal.version >= 5 {
        refusal.answer.nullable_string(None);
        refusal.answer.nullable_string(None);
    }
    refusal.answer.bytes(&[]);
    Ok(())
}

/// `HeartbeatResponse`: one code.
pub(super) fn heartbeat(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(1);
    refusal.code();
    Ok(())
}

/// `LeaveGroupResponse`: one code; from version 3 on also members, which stay empty as a broker leaves them.
pub(super) fn leave(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(1);
    refusal.code();
    if refusal.version >= 3 {
        refusal.answer.array_len(0);
    }
    Ok(())
}

/// `DescribeGroupsResponse`: one code for each group.
pub(super) fn describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(1);
    for _ in 0..refusal.count("groups")? {
        refusal.item_with_words(refusal.version >= 6);
        refusal.echo_string("group")?;
        // State, type and data of the protocol.
        refusal.answer.string("");
        refusal.answer.string("");
        refusal.answer.string("");
        refusal.answer.array_len(0);
        if refusal.version >= 3 {
            refusal.answer.i32(NO_OPERATIONS);
        }
        refusal.answer.no_tags();
    }
    Ok(())
}

/// `ListGroupsResponse`: one code.
pub(super) fn list(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle_from(1);
    refusal.code();
    refusal.answer.array_len(0);
    Ok(())
}

/// `DeleteGroupsResponse`: one code for each group.
pub(super) fn delete(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("groups")? {
        refusal.echo_string("group")?;
        refusal.code();
        refusal.answer.no_tags();
    }
    Ok(())
}
