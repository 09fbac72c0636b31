//! How many partitions a new topic gets where nobody says it: a broker's `num.partitions`.

use super::request_writer;
use crate::address::{CorrelationId, NodeId};
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};

/// The version of this question, and of its answer.
pub const DEFAULTS_VERSION: i16 = 4;

/// `ConfigResource.Type` of what a broker is configured with.
const BROKER: i8 = 4;

const NUM_PARTITIONS: &str = "num.partitions";

/// Asks a broker, which must be `node` itself, for its default.
pub fn default_partitions_request(correlation: CorrelationId, client_id: &str, node: NodeId) -> Vec<u8> {
    let mut request = request_writer(Api::DescribeConfigs, DEFAULTS_VERSION, correlation, client_id);
    request.array_len(1);
    request.i8(BROKER);
    request.string(&node.0.to_string());
    request.array_len(1);
    request.string(NUM_PARTITIONS);
    request.no_tags();
    // Neither synonyms nor documentation.
    request.bool(false);
    request.bool(false);
    request.no_tags();
    request.into_frame()
}

/// Reads the answer, to its last byte. `None` where the broker does not tell.
pub fn read_default_partitions(frame: &[u8]) -> Result<Option<u32>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::Flexible);
    answer_head(&mut reader, true)?;
    reader.i32("throttle time")?;
    let mut default = None;
    for _ in 0..reader.array_len("results")? {
        reader.i16("error code")?;
        reader.nullable_string_bytes("error message")?;
        reader.i8("resource type")?;
        reader.string_bytes("resource name")?;
        for _ in 0..reader.array_len("configs")? {
            default = read_entry(&mut reader)?.or(default);
        }
        reader.skip_tags()?;
    }
    reader.skip_tags()?;
    reader.finish()?;
    Ok(default)
}

/// The value of the entry, if it is the default and a number.
fn read_entry(reader: &mut Reader<'_>) -> Result<Option<u32>, Malformed> {
    let name = reader.string_bytes("config name")?;
    let value = reader.nullable_string_bytes("config value")?;
    reader.bool("read only")?;
    reader.i8("config source")?;
    reader.bool("is sensitive")?;
    for _ in 0..reader.array_len("synonyms")? {
        reader.string_bytes("synonym")?;
        reader.nullable_string_bytes("synonym's value")?;
        reader.i8("source")?;
        reader.skip_tags()?;
    }
    reader.i8("config type")?;
    reader.nullable_string_bytes("documentation")?;
    reader.skip_tags()?;
    let value = value.filter(|_| name == NUM_PARTITIONS.as_bytes());
    Ok(value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()))
}
