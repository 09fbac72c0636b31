//! Refusals of the APIs that show or change who may do what.

use super::Refusal;
use crate::error::Malformed;

/// `DescribeAclsResponse`: one code for all.
pub(super) fn describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.array_len(0);
    Ok(())
}

/// `CreateAclsResponse`: one code for each creation, in their order.
pub(super) fn create(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("creations")? {
        refusal.request.i8("resource type")?;
        refusal.request.string_bytes("resource name")?;
        if refusal.version >= 1 {
            refusal.request.i8("pattern type")?;
        }
        refusal.request.string_bytes("principal")?;
        refusal.request.string_bytes("host")?;
        refusal.request.i8("operation")?;
        refusal.request.i8("permission type")?;
        refusal.item();
        refusal.end()?;
    }
    Ok(())
}

/// `DeleteAclsResponse`: one code for each filter, in their order, and nothing that matched.
pub(super) fn delete(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("filters")? {
        refusal.request.i8("resource type")?;
        refusal.request.nullable_string_bytes("resource name")?;
        if refusal.version >= 1 {
            refusal.request.i8("pattern type")?;
        }
        refusal.request.nullable_string_bytes("principal")?;
        refusal.request.nullable_string_bytes("host")?;
        refusal.request.i8("operation")?;
        refusal.request.i8("permission type")?;
        refusal.item();
        refusal.answer.array_len(0);
        refusal.end()?;
    }
    Ok(())
}

/// `DescribeUserScramCredentialsResponse`: a code for all, and one for each user that was named.
pub(super) fn describe_scram_users(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    let users = refusal.request.nullable_array_len("users")?.unwrap_or(0);
    refusal.answer.array_len(users);
    for _ in 0..users {
        refusal.echo_string("user")?;
        refusal.item();
        refusal.answer.array_len(0);
        refusal.end()?;
    }
    Ok(())
}
