//! The heads of requests and answers. A `frame` is always what follows the size: it begins with the API key of a
//! request or the correlation id of an answer.

use std::ops::Range;

use crate::address::CorrelationId;
use crate::error::Malformed;
use crate::reader::{Encoding, Reader};
use crate::writer::Writer;

/// The first eight bytes of every request's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPrefix {
    /// API key, as sent.
    pub key: i16,
    /// Version, as sent.
    pub version: i16,
    /// To be found in the answer.
    pub correlation: CorrelationId,
}

/// Bytes of a [`RequestPrefix`].
pub const REQUEST_PREFIX_BYTES: usize = 8;

/// Reads the prefix; `None` while fewer than eight bytes are here.
pub fn request_prefix(frame: &[u8]) -> Option<RequestPrefix> {
    let [k0, k1, v0, v1, c0, c1, c2, c3] = *frame.first_chunk::<REQUEST_PREFIX_BYTES>()?;
    Some(RequestPrefix {
        key: i16::from_be_bytes([k0, k1]),
        version: i16::from_be_bytes([v0, v1]),
        correlation: CorrelationId(i32::from_be_bytes([c0, c1, c2, c3])),
    })
}

/// The whole head of a request (header v1, or v2 where flexible).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// What the client calls itself; not checked to be UTF-8.
    pub client_id: Option<&'a [u8]>,
    /// The same with the length before it, as it stands behind the prefix.
    pub client_id_field: &'a [u8],
    /// Where in the frame the client id's bytes are; empty, after its length, for null.
    pub client_id_at: Range<usize>,
    /// Where in the frame the body begins.
    pub body_at: usize,
}

/// A head of more bytes than this is refused: prefix, the longest client id, and room for tags that Kafka does not have
/// yet (there is none today).
pub const REQUEST_HEAD_BYTES_MAX: usize = 40 * 1024;

/// Reads the head. `Ok(None)`: more bytes are needed; when the frame has no more, it is malformed.
/// The client id has a classic length in both header versions (`RequestHeader.json`).
pub fn request_head(frame: &[u8], flexible: bool) -> Result<Option<RequestHead<'_>>, Malformed> {
    match read_head(frame, flexible) {
        Ok(head) => Ok(Some(head)),
        Err(Malformed::Truncated { .. }) if frame.len() < REQUEST_HEAD_BYTES_MAX => Ok(None),
        Err(malformed) => Err(malformed),
    }
}

fn read_head(frame: &[u8], flexible: bool) -> Result<RequestHead<'_>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::Classic);
    reader.take(REQUEST_PREFIX_BYTES, "request head")?;
    let client_id = reader.nullable_string_bytes("client id")?;
    let end = reader.position();
    let start = end.saturating_sub(client_id.map_or(0, <[u8]>::len));
    reader.set_encoding(Encoding::of(flexible));
    reader.skip_tags()?;
    let client_id_field = frame.get(REQUEST_PREFIX_BYTES..end).unwrap_or_default();
    Ok(RequestHead { client_id, client_id_field, client_id_at: start..end, body_at: reader.position() })
}

/// Starts a frame of an answer: room for the size, correlation id, empty header tags (header v0, or v1 where flexible).
/// `body` says how what follows is encoded.
pub fn answer_writer(correlation: CorrelationId, flexible_header: bool, body: Encoding) -> Writer {
    let mut writer = Writer::framed(Encoding::of(flexible_header));
    writer.i32(correlation.0);
    writer.no_tags();
    writer.set_encoding(body);
    writer
}

/// Size, header and body, ready to send.
pub fn answer_frame(correlation: CorrelationId, flexible_header: bool, body: &[u8]) -> Vec<u8> {
    let mut writer = answer_writer(correlation, flexible_header, Encoding::of(flexible_header));
    writer.raw(body);
    writer.into_frame()
}

/// Reads the header of an answer: correlation id, then its tags where flexible. The reader stands at the body.
pub fn answer_head(reader: &mut Reader<'_>, flexible_header: bool) -> Result<CorrelationId, Malformed> {
    let correlation = CorrelationId(reader.i32("correlation id")?);
    let body = reader.encoding();
    reader.set_encoding(Encoding::of(flexible_header));
    reader.skip_tags()?;
    reader.set_encoding(body);
    Ok(correlation)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FLEXIBLE: &[u8] = b"\0\x03\0\x0c\0\0\0\x07\0\x02me\x01\x05\x01xBODY";

    #[test]
    fn a_head_needs_all_its_bytes_and_no_more() {
        assert_eq!(
            request_prefix(FLEXIBLE),
            Some(RequestPrefix { key: 3, version: 12, correlation: CorrelationId(7) })
        );
        assert_eq!(request_prefix(&FLEXIBLE[..7]), None);
        let whole = request_head(FLEXIBLE, true).unwrap().unwrap();
        assert_eq!(
            whole,
            RequestHead {
                client_id: Some(b"me"),
                client_id_field: b"\0\x02me",
                client_id_at: 10..12,
                body_at: 16
            }
        );
        for end in 0..16 {
            assert_eq!(request_head(&FLEXIBLE[..end], true), Ok(None), "{end}");
        }
        assert_eq!(request_head(&FLEXIBLE[..16], true).unwrap(), Some(whole));
        assert_eq!(request_head(FLEXIBLE, false).unwrap().unwrap().body_at, 12);
    }

    #[test]
    fn a_null_client_id_has_an_empty_place() {
        let head = request_head(b"\0\x03\0\x01\0\0\0\x07\xff\xff", false).unwrap().unwrap();
        assert_eq!(
            head,
            RequestHead { client_id: None, client_id_field: b"\xff\xff", client_id_at: 10..10, body_at: 10 }
        );
    }

    #[test]
    fn a_hostile_head_is_refused() {
        assert!(request_head(b"\0\x03\0\x01\0\0\0\x07\xff\xfe", false).is_err());
        assert!(request_head(b"\0\x03\0\x0c\0\0\0\x07\xff\xff\xff\xff\xff\xff\x0f", true).is_err());
        let mut endless = FLEXIBLE[..12].to_vec();
        endless.extend([1, 5, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(request_head(&endless, true), Ok(None));
        endless.resize(REQUEST_HEAD_BYTES_MAX, 0);
        assert!(request_head(&endless, true).is_err());
    }

    #[test]
    fn an_answer_is_framed() {
        assert_eq!(answer_frame(CorrelationId(7), false, b"x"), b"\0\0\0\x05\0\0\0\x07x");
        assert_eq!(answer_frame(CorrelationId(7), true, b"x"), b"\0\0\0\x06\0\0\0\x07\0x");
    }
}
