//! Refusals of the APIs that show or change configurations and quotas.

use super::Refusal;
use crate::error::Malformed;

/// `DescribeConfigsResponse`: one code for each resource, without any entry.
pub(super) fn describe(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("resources")? {
        refusal.item();
        resource(refusal)?;
        for _ in 0..refusal.request.nullable_array_len("configuration keys")?.unwrap_or(0) {
            refusal.request.string_bytes("configuration key")?;
        }
        refusal.answer.array_len(0);
        refusal.end()?;
    }
    Ok(())
}

/// `AlterConfigsResponse`: one code for each resource.
pub(super) fn alter(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    alter_each(refusal, false)
}

/// `IncrementalAlterConfigsResponse`: one code for each resource.
pub(super) fn alter_incrementally(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    alter_each(refusal, true)
}

fn alter_each(refusal: &mut Refusal<'_>, with_operation: bool) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("resources")? {
        refusal.item();
        resource(refusal)?;
        for _ in 0..refusal.request.array_len("configs")? {
            refusal.request.string_bytes("config name")?;
            if with_operation {
                refusal.request.i8("config operation")?;
            }
            refusal.request.nullable_string_bytes("config value")?;
            refusal.request.skip_tags()?;
        }
        refusal.end()?;
    }
    Ok(())
}

/// Type and name, which question and answer have in the same order.
fn resource(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    let kind = refusal.request.i8("resource type")?;
    refusal.answer.i8(kind);
    refusal.echo_string("resource name")
}

/// `DescribeClientQuotasResponse`: one code for all; the entries are null, which is not the same as none.
pub(super) fn describe_quotas(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    refusal.top();
    refusal.answer.nullable_array_len(None);
    Ok(())
}

/// `AlterClientQuotasResponse`: one code for each entry, which is named by its entity.
pub(super) fn alter_quotas(refusal: &mut Refusal<'_>) -> Result<(), Malformed> {
    refusal.throttle();
    for _ in 0..refusal.count("entries")? {
        refusal.item();
        for _ in 0..refusal.count("entity")? {
            refusal.echo_string("entity type")?;
            let name = refusal.request.nullable_string_bytes("entity name")?;
            refusal.answer.nullable_string_bytes(name);
            refusal.end()?;
        }
        for _ in 0..refusal.request.array_len("ops")? {
            refusal.request.string_bytes("quota key")?;
            refusal.request.f64("quota value")?;
            refusal.request.bool("quota removal")?;
            refusal.request.skip_tags()?;
        }
        refusal.end()?;
    }
    Ok(())
}
