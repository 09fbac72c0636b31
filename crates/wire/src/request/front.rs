//! The front of a Produce request, up to the records of its first partition.

use crate::api::Api;
use crate::error::Malformed;
use crate::plain::Plain;
use crate::reader::{Encoding, Reader};

/// A front is no longer than this, but for what is in it: longer ones are followed instead.
pub const FRONT_BYTES_MAX: usize = 1024;

/// What the front of a Produce request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Front {
    /// How many replicas must have the records before there is an answer; with 0 there is none.
    pub acks: i16,
    /// Where the records of the only partition begin in the body, if there is only one.
    pub only_partition: Option<usize>,
}

/// Reads the front of the body of a Produce request of `size` bytes, of which the first bytes are here. `None`: more bytes
/// are needed; 32 KiB and [`FRONT_BYTES_MAX`] always suffice.
pub fn produce_front(body: &[u8], size: usize, version: i16) -> Result<Option<Front>, Malformed> {
    match plain_front(body, size, version) {
        None => read_front(body, size, version),
        plain => Ok(plain),
    }
}

/// The front of a request of one partition without a transactional id, read straight through; `None` says nothing.
fn plain_front(body: &[u8], size: usize, version: i16) -> Option<Front> {
    let is_flexible = Api::Produce.request_is_flexible(version);
    let mut plain = Plain { rest: body, is_flexible };
    if version >= 3 {
        plain.null()?;
    }
    let acks = i16::from_be_bytes(*plain.take()?);
    // The timeout.
    plain.skip(4)?;
    if plain.count()? != 1 {
        return None;
    }
    plain.topic(version >= 13)?;
    if plain.count()? != 1 {
        return None;
    }
    plain.skip(4)?;
    let records = if is_flexible {
        plain.uvarint()?.checked_sub(1)?
    } else {
        u32::try_from(i32::from_be_bytes(*plain.take()?)).ok()?
    };
    let at = body.len().checked_sub(plain.rest.len())?;
    let end = at.checked_add(usize::try_from(records).ok()?)?.checked_add(ends(is_flexible))?;
    (end == size).then_some(Front { acks, only_partition: Some(at) })
}

/// Bytes that follow the records of the only partition: the ends of partition, topic and request, without tags.
fn ends(is_flexible: bool) -> usize {
    if is_flexible { 3 } else { 0 }
}

fn read_front(body: &[u8], size: usize, version: i16) -> Result<Option<Front>, Malformed> {
    let flexible = Api::Produce.request_is_flexible(version);
    let mut reader = Reader::new(body, Encoding::of(flexible));
    let acks = match acks(&mut reader, version) {
        Ok(acks) => acks,
        Err(Malformed::Truncated { .. }) => return Ok(None),
        Err(malformed) => return Err(malformed),
    };
    let acks_end = reader.position();
    match only_partition(&mut reader, version, size) {
        Ok(only_partition) => Ok(Some(Front { acks, only_partition })),
        Err(Malformed::Truncated { .. })
            if body.len() < size && body.len().saturating_sub(acks_end) < FRONT_BYTES_MAX =>
        {
            Ok(None)
        }
        // Who follows the request says what is wrong with it.
        Err(_) => Ok(Some(Front { acks, only_partition: None })),
    }
}

/// Reads up to the acks, and them.
pub(super) fn acks(reader: &mut Reader<'_>, version: i16) -> Result<i16, Malformed> {
    if version >= 3 {
        reader.nullable_string_bytes("transactional id")?;
    }
    reader.i16("acks")
}

/// Where the records begin, if nothing follows them but the ends of structs without tags.
fn only_partition(reader: &mut Reader<'_>, version: i16, size: usize) -> Result<Option<usize>, Malformed> {
    reader.i32("timeout")?;
    if reader.array_count("topics")? != 1 {
        return Ok(None);
    }
    if version >= 13 {
        reader.uuid("topic id")?;
    } else {
        reader.string_bytes("topic")?;
    }
    if reader.array_count("partitions")? != 1 {
        return Ok(None);
    }
    reader.i32("partition")?;
    let records = reader.bytes_len("records")?;
    let at = reader.position();
    let ends = ends(reader.encoding() == Encoding::Flexible);
    let is_all = |records: usize| at.checked_add(records)?.checked_add(ends).filter(|end| *end == size);
    Ok(records.and_then(is_all).map(|_| at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::writer::Writer;

    /// A Produce request's body with these partitions of one topic, each with ten bytes of records.
    fn body(version: i16, partitions: &[i32]) -> Vec<u8> {
        let mut body = Writer::new(Encoding::of(Api::Produce.request_is_flexible(version)));
        if version >= 3 {
            body.nullable_string(None);
        }
        body.i16(-1);
        body.i32(30_000);
        body.array_len(1);
        if version >= 13 {
            body.uuid(&[7; 16]);
        } else {
            body.string("orders");
        }
        body.array_len(partitions.len());
        for partition in partitions {
            body.i32(*partition);
            body.bytes(&[1; 10]);
            body.no_tags();
        }
        body.no_tags();
        body.no_tags();
        body.into_bytes()
    }

    #[test]
    fn the_only_partition_of_a_request_is_found_as_soon_as_its_front_is_here() {
        for version in 0..=13 {
            let body = body(version, &[3]);
            let ends = if version >= 9 { 3 } else { 0 };
            let at = body.len() - 10 - ends;
            for here in 0..=body.len() {
                let front = produce_front(&body[..here], body.len(), version).unwrap();
                let whole = Front { acks: -1, only_partition: Some(at) };
                assert_eq!(front, (here >= at).then_some(whole), "v{version} {here}");
                assert_eq!(plain_front(&body[..here], body.len(), version), front, "v{version} {here}");
                assert_eq!(read_front(&body[..here], body.len(), version), Ok(front), "v{version} {here}");
            }
        }
    }

    #[test]
    fn whatever_is_changed_in_a_front_is_read_the_same_in_both_ways() {
        for version in 0..=13 {
            let body = body(version, &[3]);
            for at in 0..body.len() - 10 {
                for byte in 0..=255 {
                    let mut changed = body.clone();
                    changed[at] = byte;
                    for size in [body.len(), body.len() + 1] {
                        let plain = plain_front(&changed, size, version);
                        let read = read_front(&changed, size, version);
                        assert!(plain.is_none() || read == Ok(plain), "v{version} {at} {byte}");
                    }
                }
            }
        }
    }

    #[test]
    fn more_than_one_partition_and_lies_are_left_to_who_follows_the_request() {
        for version in [3, 9, 13] {
            let two = body(version, &[3, 4]);
            assert_eq!(produce_front(&two, two.len(), version).unwrap().unwrap().only_partition, None);
            let one = body(version, &[3]);
            for size in [one.len() - 1, one.len() + 1, usize::MAX] {
                assert_eq!(produce_front(&one, size, version).unwrap().unwrap().only_partition, None);
            }
        }
    }
}
