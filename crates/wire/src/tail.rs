//! The tails of streamed messages. By the time that the tail of an answer arrives, the frame's size has been sent, so the
//! broker addresses in it are replaced without changing its length: a filler tag takes up what is left over, and where
//! there is not enough room, the addresses are masked.

use crate::address::{Book, NodeId};
use crate::api::Api;
use crate::error::Malformed;
use crate::reader::{Encoding, Reader, TAGS_MAX};
use crate::writer::Writer;

/// What became of a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailOutcome {
    /// It had no addresses.
    Untouched,
    /// The gateway's addresses are in it.
    Rewritten,
    /// No addresses are left: the gateway's did not fit, or it has none for these nodes.
    Masked,
}

/// A longer tail is refused by the caller: it must be held, and holds but a few addresses.
pub const TAIL_BYTES_MAX: usize = 64 * 1024;

/// The number that a filler tag has unless the message uses it itself. The schemas number tags from 0 without gaps.
const FILLER: u32 = 127;

/// `NodeEndpoints` of Produce and Fetch.
const NODE_ENDPOINTS: u32 = 0;

/// `ClusterId` and `ReplicaState` of a Fetch request.
const CLUSTER_ID: u32 = 0;
const REPLICA_STATE: u32 = 1;

/// Where a tail has its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// In tag 0 of the tag section, which is all of the tail.
    Tagged,
    /// In an array of its own before the tag section.
    Plain,
}

fn shape(api: Api, version: i16) -> Result<Shape, Malformed> {
    if api == Api::ShareFetch || api == Api::ShareAcknowledge {
        Ok(Shape::Plain)
    } else if (api == Api::Fetch && version >= 16) || (api == Api::Produce && version >= 10) {
        Ok(Shape::Tagged)
    } else {
        Err(Malformed::Unspoken { api: api.name(), version })
    }
}

/// Whether a tail names nothing at all: no address and no tag, as nearly all do.
pub fn is_empty(api: Api, tail: &[u8]) -> bool {
    let array_first = api == Api::ShareFetch || api == Api::ShareAcknowledge;
    tail == if array_first { &[1, 0][..] } else { &[0] }
}

/// The addresses of a tail as the client is to see them.
struct Endpoints {
    /// The compact array, with its count.
    array: Vec<u8>,
    /// How many the broker named.
    named: usize,
    /// How many of them are in the array.
    kept: usize,
}

/// A tail taken apart.
pub(crate) struct Tail<'a> {
    shape: Shape,
    endpoints: Option<Endpoints>,
    /// All other tags, ascending.
    others: Vec<(u32, &'a [u8])>,
}

impl<'a> Tail<'a> {
    /// Reads the tail of an answer, replacing addresses. Nodes without an entry are left out and noted.
    pub(crate) fn read(
        api: Api,
        version: i16,
        tail: &'a [u8],
        book: &Book,
        left_out: &mut Vec<NodeId>,
    ) -> Result<Tail<'a>, Malformed> {
        let shape = shape(api, version)?;
        let mut reader = Reader::new(tail, Encoding::Flexible);
        let mut endpoints = match shape {
            Shape::Plain => Some(read_endpoints(&mut reader, book, left_out)?),
            Shape::Tagged => None,
        };
        let mut others = Vec::new();
        let mut last = None;
        for _ in 0..reader.tag_count()? {
            let (tag, content) = reader.tag()?;
            if last.is_some_and(|last| last >= tag) {
                return Err(Malformed::TagOrder { tag, at: reader.position() });
            }
            last = Some(tag);
            if shape == Shape::Tagged && tag == NODE_ENDPOINTS {
                let mut inner = Reader::new(content, Encoding::Flexible);
                endpoints = Some(read_endpoints(&mut inner, book, left_out)?);
                inner.finish().map_err(|_| Malformed::TagSize { tag, at: reader.position() })?;
            } else {
                others.push((tag, content));
            }
        }
        reader.finish()?;
        Ok(Tail { shape, endpoints, others })
    }

    /// Whether the broker named a node at all.
    pub(crate) fn has_addresses(&self) -> bool {
        self.endpoints.as_ref().is_some_and(|endpoints| endpoints.named > 0)
    }

    /// The tail with the gateway's addresses, however long it becomes. A tag without any is left out, as Kafka does.
    pub(crate) fn compose(&self) -> Vec<u8> {
        let kept = |endpoints: &&Endpoints| self.shape == Shape::Plain || endpoints.kept > 0;
        self.write(self.endpoints.as_ref().filter(kept).map(|endpoints| endpoints.array.as_slice()), None, 0)
    }

    /// The tail with `array` for its addresses, made `length` bytes long; `None` where it does not fit.
    fn compose_exactly(&self, array: Option<&[u8]>, length: usize) -> Option<Vec<u8>> {
        let plain = self.write(array, None, 0);
        match length.checked_sub(plain.len())? {
            0 => Some(plain),
            // One byte is too little for a tag; the count of the tag section can have it, as a longer form of itself.
            1 => Some(self.write(array, None, 1)),
            missing => {
                // Number, size and content. Adding a tag may also widen the count: then it does not fit.
                let number =
                    (1..=FILLER).rev().find(|tag| self.others.iter().all(|(other, _)| other != tag))?;
                let (size_width, size) = (1..=5_usize).find_map(|width| {
                    let size = missing.checked_sub(1)?.checked_sub(width)?;
                    (uvarint_width(size) <= width).then_some((width, size))
                })?;
                let filled = self.write(array, Some((number, size_width, size)), 0);
                (filled.len() == length).then_some(filled)
            }
        }
    }

    /// Writes the tail: addresses, other tags, and a filler of (number, width of its size, size) between them.
    fn write(
        &self,
        array: Option<&[u8]>,
        filler: Option<(u32, usize, usize)>,
        count_wider_by: usize,
    ) -> Vec<u8> {
        let mut writer = Writer::new(Encoding::Flexible);
        let tagged = self.shape == Shape::Tagged && array.is_some();
        let mut tags = self.others.len();
        tags = tags.saturating_add(usize::from(tagged)).saturating_add(usize::from(filler.is_some()));
        if self.shape == Shape::Plain {
            writer.raw(array.unwrap_or_default());
        }
        put_uvarint(&mut writer, tags, uvarint_width(tags).saturating_add(count_wider_by));
        if tagged {
            writer.tag(NODE_ENDPOINTS, array.unwrap_or_default());
        }
        let mut filler = filler;
        for (tag, content) in &self.others {
            if let Some((number, width, size)) = filler.take_if(|(number, _, _)| *number < *tag) {
                put_filler(&mut writer, number, width, size);
            }
            writer.tag(*tag, content);
        }
        if let Some((number, width, size)) = filler {
            put_filler(&mut writer, number, width, size);
        }
        writer.into_bytes()
    }
}

fn put_filler(writer: &mut Writer, number: u32, width: usize, size: usize) {
    writer.uvarint(number);
    put_uvarint(writer, size, width);
    writer.raw(&vec![0; size]);
}

/// Bytes of the shortest varint of `value`.
fn uvarint_width(value: usize) -> usize {
    let bits = usize::BITS.saturating_sub(value.leading_zeros());
    usize::try_from(bits.div_ceil(7)).unwrap_or(usize::MAX).max(1)
}

/// A varint of exactly `width` bytes.
fn put_uvarint(writer: &mut Writer, value: usize, width: usize) {
    let mut rest = value;
    for left in (0..width).rev() {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        writer.raw(&[if left > 0 { low | 0x80 } else { low }]);
        rest = rest.wrapping_shr(7);
    }
}

/// Reads the array of `NodeEndpoint` and writes it anew with the gateway's addresses; racks and unknown tags stay.
fn read_endpoints(
    reader: &mut Reader<'_>,
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Endpoints, Malformed> {
    let named = reader.array_len("node endpoints")?;
    let mut kept: usize = 0;
    let mut entries = Writer::new(Encoding::Flexible);
    for _ in 0..named {
        let node = NodeId(reader.i32("node id")?);
        reader.string_bytes("host")?;
        reader.i32("port")?;
        let before = reader.rest();
        reader.nullable_string_bytes("rack")?;
        reader.skip_tags()?;
        let kept_bytes = before.get(..before.len().saturating_sub(reader.remaining())).unwrap_or_default();
        let Some(address) = book.get(node) else {
            note(left_out, node);
            continue;
        };
        entries.i32(node.0);
        entries.string(&address.host);
        entries.i32(i32::from(address.port));
        entries.raw(kept_bytes);
        kept = kept.saturating_add(1);
    }
    let mut array = Writer::new(Encoding::Flexible);
    array.array_len(kept);
    array.raw(&entries.into_bytes());
    Ok(Endpoints { array: array.into_bytes(), named, kept })
}

/// Notes a node once.
pub(crate) fn note(left_out: &mut Vec<NodeId>, node: NodeId) {
    if !left_out.contains(&node) {
        left_out.push(node);
    }
}

/// Replaces the addresses in the tail of a streamed answer, keeping its length. Nodes that are not in the book are left
/// out, and added to `left_out` once each. After an error the tail is as it was, and must not be sent.
pub fn rewrite_in_place(
    api: Api,
    version: i16,
    tail: &mut [u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<TailOutcome, Malformed> {
    let parsed = Tail::read(api, version, tail, book, left_out)?;
    let Some(endpoints) = parsed.endpoints.as_ref().filter(|endpoints| endpoints.named > 0) else {
        return Ok(TailOutcome::Untouched);
    };
    let rewritten = (endpoints.kept > 0).then_some(endpoints.array.as_slice());
    let empty = (parsed.shape == Shape::Plain).then_some([1_u8].as_slice());
    let (composed, outcome) =
        match rewritten.and_then(|array| parsed.compose_exactly(Some(array), tail.len())) {
            Some(composed) => (Some(composed), TailOutcome::Rewritten),
            None => (parsed.compose_exactly(empty, tail.len()), TailOutcome::Masked),
        };
    match composed {
        Some(composed) if composed.len() == tail.len() => {
            tail.copy_from_slice(&composed);
            Ok(outcome)
        }
        Some(_) | None => Err(Malformed::Count { what: "tag section", count: TAGS_MAX, at: 0 }),
    }
}

/// Forces the replica id in the tail of a Fetch request (15 or later) to that of a consumer, -1. True where it was
/// another. What follows the tag section is left alone, as Kafka does.
pub fn force_consumer(tail: &mut [u8]) -> Result<bool, Malformed> {
    let places = replica_ids(tail)?;
    let mut forced = false;
    for at in places {
        let end = at.saturating_add(4);
        if let Some(place) = tail.get_mut(at..end).filter(|place| *place != [0xff; 4]) {
            place.copy_from_slice(&[0xff; 4]);
            forced = true;
        }
    }
    Ok(forced)
}

/// Where replica ids are. Kafka's reader takes the last of several `ReplicaState` tags, and parses both known tags without
/// looking at their sizes, so every one counts and every size must be true.
fn replica_ids(tail: &[u8]) -> Result<Vec<usize>, Malformed> {
    let mut reader = Reader::new(tail, Encoding::Flexible);
    let mut places = Vec::new();
    for _ in 0..reader.tag_count()? {
        let (tag, content) = reader.tag()?;
        let at = reader.position().saturating_sub(content.len());
        let mut inner = Reader::new(content, Encoding::Flexible);
        let read = if tag == REPLICA_STATE {
            places.push(at);
            replica_state(&mut inner)
        } else if tag == CLUSTER_ID {
            inner.nullable_string_bytes("cluster id").map(|_| ())
        } else {
            continue;
        };
        read.and_then(|()| inner.finish()).map_err(|_| Malformed::TagSize { tag, at })?;
    }
    Ok(places)
}

fn replica_state(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    reader.i32("replica id")?;
    reader.i64("replica epoch")?;
    reader.skip_tags()
}
