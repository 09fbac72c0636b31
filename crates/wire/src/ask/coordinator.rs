//! Which broker coordinates a group, as any broker tells.

use super::request_writer;
use crate::address::{CorrelationId, NodeId};
use crate::api::Api;
use crate::error::{Malformed, code};
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};

/// The version of `FindCoordinator` that the gateway asks: one key, and all releases since 0.11 speak it.
pub const COORDINATOR_VERSION: i16 = 1;

/// What `FindCoordinator` has groups as.
const GROUP: i8 = 0;

/// Asks who coordinates a group, whose name is given as a request had it.
pub fn coordinator_request(correlation: CorrelationId, client_id: &str, group: &[u8]) -> Vec<u8> {
    let mut request = request_writer(Api::FindCoordinator, COORDINATOR_VERSION, correlation, client_id);
    request.string_bytes(group);
    request.i8(GROUP);
    request.into_frame()
}

/// Reads the answer to its node; `None` where there is no coordinator now.
pub fn read_coordinator(frame: &[u8]) -> Result<Option<NodeId>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::Classic);
    answer_head(&mut reader, Api::FindCoordinator.answer_header_is_flexible(COORDINATOR_VERSION))?;
    reader.i32("throttle time")?;
    let error = reader.i16("error code")?;
    reader.nullable_string_bytes("error message")?;
    let node = reader.i32("node id")?;
    Ok((error == code::NONE && node >= 0).then_some(NodeId(node)))
}
