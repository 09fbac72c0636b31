//! Where `throttle_time_ms` is in an answer, and setting it in place to what the stricter of broker and gateway asks for.
//! A test compares the places with Kafka's schemas.

use crate::api::{Api, Stance};
use crate::error::{Malformed, code};
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};
use crate::walk::{Fed, Walker};

/// Where the field is in the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The answer has no such field.
    None,
    /// So many bytes of the body are before it.
    At(usize),
    /// Behind the error code and the array of versions: `ApiVersions`.
    BehindKeys,
    /// Behind the array of topics, as the last field before the tags: Produce. The tail that a [`Walker`] finds begins
    /// right behind it, so its place is known only of an answer that was walked.
    BehindWalk,
}

/// What became of an answer whose field was to be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// The field says so many milliseconds now.
    To(i32),
    /// This answer has no such field.
    NoField,
    /// The bytes up to the field are not here yet; nothing was changed.
    NeedMore,
}

/// A field at a known place must be within so many bytes of the frame: only tags of the header can be before it, and Kafka
/// has none there.
pub const BEGINNING_BYTES_MAX: usize = 32 * 1024;

/// Where the field is in an answer of this API and version; [`Place::None`] also of what is not spoken.
#[allow(clippy::wildcard_enum_match_arm, reason = "it is the first field of all others; a test asks Kafka")]
pub fn place(api: Api, version: i16) -> Place {
    if api.stance() == Stance::Hidden || !api.speaks(version) || version < since(api) {
        return Place::None;
    }
    match api {
        Api::Produce => Place::BehindWalk,
        Api::ApiVersions => Place::BehindKeys,
        // Behind its error code.
        Api::OffsetDelete => Place::At(2),
        _ => Place::At(0),
    }
}

/// The first version that has the field.
#[allow(clippy::wildcard_enum_match_arm, reason = "all others always had it; a test asks Kafka")]
fn since(api: Api) -> i16 {
    match api {
        Api::SaslHandshake | Api::SaslAuthenticate | Api::DescribeQuorum => i16::MAX,
        Api::Metadata | Api::OffsetCommit | Api::OffsetFetch => 3,
        Api::ListOffsets | Api::JoinGroup | Api::CreateTopics | Api::OffsetForLeaderEpoch => 2,
        Api::Produce
        | Api::Fetch
        | Api::FindCoordinator
        | Api::Heartbeat
        | Api::LeaveGroup
        | Api::SyncGroup
        | Api::DescribeGroups
        | Api::ListGroups
        | Api::ApiVersions
        | Api::DeleteTopics => 1,
        _ => 0,
    }
}

/// The field of an answer's frame (from the correlation id on). `None` where there is none, or its bytes are not here.
pub fn read(api: Api, version: i16, frame: &[u8]) -> Option<i32> {
    let at = find(api, version, frame).ok().flatten()?;
    frame.get(at..)?.first_chunk().copied().map(i32::from_be_bytes)
}

/// Raises the field of an answer to `throttle_ms` where it says less, in place. `frame` begins with the correlation id. For
/// [`Place::At`] its first bytes suffice (twelve of them, as a rule), for the others it is as a rule the whole frame.
pub fn raise(api: Api, version: i16, frame: &mut [u8], throttle_ms: i32) -> Result<Raised, Malformed> {
    match find(api, version, frame) {
        Ok(Some(at)) => Ok(raise_at(frame, at, throttle_ms)),
        Ok(None) => Ok(Raised::NoField),
        Err(Malformed::Truncated { what, at }) => {
            let is_near = matches!(place(api, version), Place::At(_));
            if is_near && frame.len() >= BEGINNING_BYTES_MAX {
                return Err(Malformed::Truncated { what, at });
            }
            Ok(Raised::NeedMore)
        }
        Err(malformed) => Err(malformed),
    }
}

/// Raises the field at a place that is known: of a Produce answer that was walked, four bytes before its tail.
pub fn raise_at(bytes: &mut [u8], at: usize, throttle_ms: i32) -> Raised {
    let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else {
        return Raised::NeedMore;
    };
    let raised = i32::from_be_bytes(*place).max(throttle_ms);
    *place = raised.to_be_bytes();
    Raised::To(raised)
}

/// The offset of the field in the frame, all of whose bytes are here; `None` where there is none.
fn find(api: Api, version: i16, frame: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::of(api.request_is_flexible(version)));
    match place(api, version) {
        Place::None => return Ok(None),
        Place::At(before) => {
            answer_head(&mut reader, api.answer_header_is_flexible(version))?;
            reader.take(before, "before the throttle time")?;
        }
        Place::BehindKeys => {
            answer_head(&mut reader, api.answer_header_is_flexible(version))?;
            if reader.i16("error code")? == code::UNSUPPORTED_VERSION {
                // Then it is written as version 0, whatever was asked in.
                return Ok(None);
            }
            for _ in 0..reader.array_count("versions")? {
                reader.take(6, "versions of an API")?;
                reader.skip_tags()?;
            }
        }
        Place::BehindWalk => {
            let unspoken = Malformed::Unspoken { api: api.name(), version };
            let cut = Malformed::Truncated { what: "topics", at: frame.len() };
            let Fed::Tail(tail) = Walker::answer(api, version).ok_or(unspoken)?.feed(frame)? else {
                return Err(cut);
            };
            return tail.checked_sub(4).map(Some).ok_or(cut);
        }
    }
    let at = reader.position();
    reader.i32("throttle time")?;
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_stricter_of_two_counts() {
        let raised = |there: i32, ours| {
            let mut frame = [&[0, 0, 0, 1], &there.to_be_bytes()[..], b"more"].concat();
            let raised = raise(Api::Fetch, 11, &mut frame, ours).unwrap();
            assert_eq!(raised, Raised::To(read(Api::Fetch, 11, &frame).unwrap()));
            assert_eq!(frame[8..], *b"more");
            read(Api::Fetch, 11, &frame).unwrap()
        };
        assert_eq!((raised(0, 100), raised(100, 0), raised(7, 7)), (100, 100, 7));
        assert_eq!((raised(i32::MAX, 1), raised(-1, 0)), (i32::MAX, 0));
    }

    #[test]
    fn only_the_bytes_up_to_the_field_are_needed() {
        let tagged = b"\0\0\0\x01\x01\x05\x02xy\0\0\0\x09";
        for end in 0..tagged.len() {
            let mut frame = tagged[..end].to_vec();
            assert_eq!(raise(Api::Fetch, 12, &mut frame, 70), Ok(Raised::NeedMore), "{end}");
            assert_eq!(frame, tagged[..end]);
            assert_eq!(read(Api::Fetch, 12, &frame), None);
        }
        let mut frame = tagged.to_vec();
        assert_eq!(raise(Api::Fetch, 12, &mut frame, 70), Ok(Raised::To(70)));
        assert_eq!(frame[9..], [0, 0, 0, 70]);
        // Behind an error code, and behind a header without tags.
        let mut deleted = *b"\0\0\0\x01\0\x10\0\0\0\x09";
        assert_eq!(raise(Api::OffsetDelete, 0, &mut deleted, 70), Ok(Raised::To(70)));
        assert_eq!(deleted, *b"\0\0\0\x01\0\x10\0\0\0\x46");
    }

    #[test]
    fn where_there_is_no_field_nothing_is_changed() {
        for (api, version) in [
            (Api::Fetch, 0),
            (Api::Produce, 0),
            (Api::SaslAuthenticate, 2),
            (Api::DescribeQuorum, 2),
            (Api::Metadata, 2),
            (Api::Fetch, 19),
            (Api::CreateDelegationToken, 3),
        ] {
            let mut frame = [0; 40];
            assert_eq!(raise(api, version, &mut frame, 70), Ok(Raised::NoField), "{api} {version}");
            assert_eq!(frame, [0; 40]);
        }
        // A broker that does not know the version answers in version 0.
        let mut old = *b"\0\0\0\x01\0\x23\0\0\0\x01\0\x12\0\0\0\x03";
        assert_eq!(raise(Api::ApiVersions, 3, &mut old, 70), Ok(Raised::NoField));
    }

    #[test]
    fn endless_tags_are_not_waited_for() {
        let mut frame = b"\0\0\0\x01\x01\x05\xff\xff\xff\x7f".to_vec();
        assert_eq!(raise(Api::Fetch, 12, &mut frame, 70), Ok(Raised::NeedMore));
        frame.resize(BEGINNING_BYTES_MAX, 0);
        assert!(raise(Api::Fetch, 12, &mut frame, 70).is_err());
        assert!(raise(Api::Fetch, 12, &mut [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f], 70).is_err());
    }
}
