//! The refusal of a Produce request, whose topics and partitions were heard while it passed.

use super::ITEMS_WITH_WORDS_MAX;
use crate::address::CorrelationId;
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_writer;
use crate::meter::{Echo, Topic};
use crate::reader::Encoding;

/// Composes a whole frame with its size, that has `code` for every partition of `echo`, and from version 8 on `message`
/// for the first [`ITEMS_WITH_WORDS_MAX`]. From version 1 on it says `throttle_ms`.
///
/// An echo that is not whole, or not of a request of this version, is refused: a client waits for all its partitions.
/// A request with acks=0 has no answer; the caller must not send one.
pub fn refuse(
    version: i16,
    correlation: CorrelationId,
    echo: &Echo,
    code: i16,
    message: &str,
    throttle_ms: i32,
) -> Result<Vec<u8>, Malformed> {
    let api = Api::Produce;
    if !api.speaks(version) {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    if !echo.is_whole() {
        return Err(Malformed::Invalid { what: "an answer to more partitions than are held", at: 0 });
    }
    let encoding = Encoding::of(api.request_is_flexible(version));
    let mut answer = answer_writer(correlation, api.answer_header_is_flexible(version), encoding);
    let mut items = 0_u32;
    let topics = echo.topics();
    answer.array_len(topics.len());
    for echoed in topics {
        match echoed.topic {
            Topic::Name(name) if version < 13 => answer.string_bytes(name),
            Topic::Id(id) if version >= 13 => answer.uuid(&id),
            Topic::Name(_) | Topic::Id(_) => return Err(Malformed::Invalid { what: "a topic", at: 0 }),
        }
        answer.array_len(echoed.partitions.len());
        for index in echoed.partitions {
            items = items.saturating_add(1);
            answer.i32(*index);
            answer.i16(code);
            // The base offset, unknown.
            answer.i64(-1);
            if version >= 2 {
                // The time of appending, there is none.
                answer.i64(-1);
            }
            if version >= 5 {
                // The log's start offset, unknown.
                answer.i64(-1);
            }
            if version >= 8 {
                // Errors of single records.
                answer.array_len(0);
                answer.nullable_string((items <= ITEMS_WITH_WORDS_MAX).then_some(message));
            }
            answer.no_tags();
        }
        answer.no_tags();
    }
    if version >= 1 {
        answer.i32(throttle_ms);
    }
    answer.no_tags();
    Ok(answer.into_frame())
}
