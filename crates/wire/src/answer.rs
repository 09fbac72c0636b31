//! Answers that carry broker addresses, rewritten: each address that goes to a client is the gateway's. Spliced, not
//! encoded anew; fields and tags of which nothing is known here travel as they are.

mod configs;
mod plain;

use crate::address::{Advertised, Book, NodeId, Staying};
use crate::api::{AnswerPath, Api};
use crate::error::{Malformed, code};
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};
use crate::splice::Splicer;
use crate::tail::{Tail, note};
use crate::walk::{Fed, Walker};
use crate::writer::Writer;

pub use configs::mask_broker_configs;
pub use plain::{may_be_plain, plain_tail};

/// What became of an answer that was held whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Splice {
    /// It can be sent as it came.
    Unchanged,
    /// A whole new frame, without the size.
    Replaced(Vec<u8>),
}

/// What became of the beginning of a Metadata answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Front {
    /// The brokers are not all here yet.
    Need,
    /// The first `consumed` bytes of the frame are to be replaced by `replacement`; the rest streams on as it is.
    Done {
        /// Bytes of the frame that are replaced.
        consumed: usize,
        /// What takes their place, correlation id and header included.
        replacement: Vec<u8>,
    },
}

/// Rewrites an answer that is held whole: the ones of [`AnswerPath::Whole`] and [`AnswerPath::Tailed`]. `frame` begins with
/// the correlation id. Nodes that are not in the book are left out, and added to `left_out` once each.
pub fn rewrite(
    api: Api,
    version: i16,
    frame: &[u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Splice, Malformed> {
    let unspoken = Malformed::Unspoken { api: api.name(), version };
    match api.answer_path(version) {
        AnswerPath::Tailed => tailed(api, version, frame, book, left_out),
        AnswerPath::Whole if api == Api::FindCoordinator => coordinators(version, frame, book, left_out),
        AnswerPath::Whole if api == Api::DescribeCluster => cluster(version, frame, book, left_out),
        AnswerPath::Whole if api == Api::DescribeQuorum => quorum(version, frame),
        AnswerPath::Whole | AnswerPath::Metadata | AnswerPath::Pass => Err(unspoken),
    }
}

fn open(api: Api, version: i16, frame: &[u8]) -> Result<Reader<'_>, Malformed> {
    let mut reader = Reader::new(frame, Encoding::of(api.request_is_flexible(version)));
    answer_head(&mut reader, api.answer_header_is_flexible(version))?;
    Ok(reader)
}

/// Produce 10+, Fetch 16+, `ShareFetch`, `ShareAcknowledge`: everything up to the tail stays, the tail may change its length.
fn tailed(
    api: Api,
    version: i16,
    frame: &[u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Splice, Malformed> {
    let cut = Malformed::Truncated { what: "answer before its tail", at: frame.len() };
    let mut walker = Walker::answer(api, version).ok_or(Malformed::Unspoken { api: api.name(), version })?;
    let Fed::Tail(at) = walker.feed(frame)? else { return Err(cut) };
    let parsed = Tail::read(api, version, frame.get(at..).ok_or(cut)?, book, left_out)?;
    let mut splicer = Splicer::new(frame);
    if parsed.has_addresses() {
        splicer.replace(at..frame.len(), &parsed.compose());
    }
    Ok(splicer.finish())
}

/// `FindCoordinator` 0-3 has one coordinator after its error, 4+ has one for each key, before its error.
fn coordinators(
    version: i16,
    frame: &[u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Splice, Malformed> {
    let mut reader = open(Api::FindCoordinator, version, frame)?;
    let mut splicer = Splicer::new(frame);
    if version >= 1 {
        reader.i32("throttle time")?;
    }
    if version >= 4 {
        for _ in 0..reader.array_len("coordinators")? {
            reader.string_bytes("key")?;
            let (place, seen) = coordinator(&mut reader)?;
            let error_at = reader.position();
            let error = reader.i16("error code")?;
            reader.nullable_string_bytes("error message")?;
            reader.skip_tags()?;
            let Some(change) = seen.change(error, book, left_out) else { continue };
            splicer.replace(place, &change.node(reader.encoding()));
            splicer.replace(error_at..error_at.saturating_add(2), &change.error.to_be_bytes());
        }
    } else {
        let error_at = reader.position();
        let error = reader.i16("error code")?;
        if version >= 1 {
            reader.nullable_string_bytes("error message")?;
        }
        let (place, seen) = coordinator(&mut reader)?;
        if let Some(change) = seen.change(error, book, left_out) {
            splicer.replace(error_at..error_at.saturating_add(2), &change.error.to_be_bytes());
            splicer.replace(place, &change.node(reader.encoding()));
        }
    }
    reader.skip_tags()?;
    reader.finish()?;
    Ok(splicer.finish())
}

/// A coordinator as the broker named it.
struct Coordinator {
    node: NodeId,
    has_host: bool,
}

/// What the client is told instead.
struct Change<'a> {
    error: i16,
    to: Option<(NodeId, &'a Advertised)>,
}

fn coordinator(reader: &mut Reader<'_>) -> Result<(std::ops::Range<usize>, Coordinator), Malformed> {
    let start = reader.position();
    let node = NodeId(reader.i32("node id")?);
    let host = reader.string_bytes("host")?;
    reader.i32("port")?;
    Ok((start..reader.position(), Coordinator { node, has_host: !host.is_empty() }))
}

impl Coordinator {
    /// A broker that has no endpoint for a coordinator answers node -1 without an address and error 15; so does the
    /// gateway. Where the broker gave no address, there is nothing to change.
    fn change<'b>(&self, error: i16, book: &'b Book, left_out: &mut Vec<NodeId>) -> Option<Change<'b>> {
        if !self.has_host {
            return None;
        }
        if let Some(address) = book.get(self.node) {
            return Some(Change { error, to: Some((self.node, address)) });
        }
        note(left_out, self.node);
        let error = if error == code::NONE { code::COORDINATOR_NOT_AVAILABLE } else { error };
        Some(Change { error, to: None })
    }
}

impl Change<'_> {
    /// Node id, host, port.
    fn node(&self, encoding: Encoding) -> Vec<u8> {
        let mut writer = Writer::new(encoding);
        if let Some((node, address)) = self.to {
            put_node(&mut writer, node, address);
        } else {
            writer.i32(-1);
            writer.string("");
            writer.i32(-1);
        }
        writer.into_bytes()
    }
}

/// Node id, host, port, as all messages have them.
fn put_node(writer: &mut Writer, node: NodeId, address: &Advertised) {
    writer.i32(node.0);
    writer.string(&address.host);
    writer.i32(i32::from(address.port));
}

/// An array of brokers, read up to its end and written anew: id, host and port replaced, `rest` of each entry as it is. Those
/// of `more` that are not among them follow, each with a rest of its own.
fn brokers(
    reader: &mut Reader<'_>,
    book: &Book,
    left_out: &mut Vec<NodeId>,
    rest: impl Fn(&mut Reader<'_>) -> Result<(), Malformed>,
    more: &[Staying],
    rest_of: impl Fn(&mut Writer, &Staying),
) -> Result<Vec<u8>, Malformed> {
    let mut kept: usize = 0;
    let mut missing: Vec<&Staying> = more.iter().collect();
    let mut entries = Writer::new(reader.encoding());
    for _ in 0..reader.array_count("brokers")? {
        let node = NodeId(reader.i32("node id")?);
        reader.string_bytes("host")?;
        reader.i32("port")?;
        let before = reader.rest();
        rest(reader)?;
        let as_it_is = before.get(..before.len().saturating_sub(reader.remaining())).unwrap_or_default();
        let Some(address) = book.get(node) else {
            note(left_out, node);
            continue;
        };
        put_node(&mut entries, node, address);
        entries.raw(as_it_is);
        kept = kept.saturating_add(1);
        missing.retain(|staying| staying.node != node);
    }
    for staying in missing {
        let Some(address) = book.get(staying.node) else { continue };
        put_node(&mut entries, staying.node, address);
        rest_of(&mut entries, staying);
        kept = kept.saturating_add(1);
    }
    let mut array = Writer::new(reader.encoding());
    array.array_len(kept);
    array.raw(&entries.into_bytes());
    Ok(array.into_bytes())
}

fn cluster(version: i16, frame: &[u8], book: &Book, left_out: &mut Vec<NodeId>) -> Result<Splice, Malformed> {
    let mut reader = open(Api::DescribeCluster, version, frame)?;
    reader.i32("throttle time")?;
    reader.i16("error code")?;
    reader.nullable_string_bytes("error message")?;
    if version >= 1 {
        reader.i8("endpoint type")?;
    }
    reader.string_bytes("cluster id")?;
    reader.i32("controller id")?;
    let start = reader.position();
    let rest = |reader: &mut Reader<'_>| {
        reader.nullable_string_bytes("rack")?;
        if version >= 2 {
            reader.bool("is fenced")?;
        }
        reader.skip_tags()
    };
    // Who asks this wants to see who is there.
    let replaced = brokers(&mut reader, book, left_out, rest, &[], |_, _| {})?;
    let place = start..reader.position();
    reader.i32("authorized operations")?;
    reader.skip_tags()?;
    reader.finish()?;
    let mut splicer = Splicer::new(frame);
    splicer.replace(place, &replaced);
    Ok(splicer.finish())
}

/// `DescribeQuorum` 2: the controllers' listeners are nobody's business outside; the list of nodes becomes empty.
fn quorum(version: i16, frame: &[u8]) -> Result<Splice, Malformed> {
    let mut reader = open(Api::DescribeQuorum, version, frame)?;
    reader.i16("error code")?;
    reader.nullable_string_bytes("error message")?;
    for _ in 0..reader.array_len("topics")? {
        reader.string_bytes("topic name")?;
        for _ in 0..reader.array_len("partitions")? {
            reader.take(6, "partition index and error code")?;
            reader.nullable_string_bytes("error message")?;
            reader.take(16, "leader id, leader epoch and high watermark")?;
            for _voters_then_observers in 0..2 {
                for _ in 0..reader.array_len("replicas")? {
                    reader.take(44, "replica state")?;
                    reader.skip_tags()?;
                }
            }
            reader.skip_tags()?;
        }
        reader.skip_tags()?;
    }
    let start = reader.position();
    let nodes = reader.array_len("nodes")?;
    for _ in 0..nodes {
        reader.i32("node id")?;
        for _ in 0..reader.array_len("listeners")? {
            reader.string_bytes("listener name")?;
            reader.string_bytes("host")?;
            reader.u16("port")?;
            reader.skip_tags()?;
        }
        reader.skip_tags()?;
    }
    let place = start..reader.position();
    reader.skip_tags()?;
    reader.finish()?;
    let mut splicer = Splicer::new(frame);
    if nodes > 0 {
        let mut empty = Writer::new(reader.encoding());
        empty.array_len(0);
        splicer.replace(place, &empty.into_bytes());
    }
    Ok(splicer.finish())
}

/// Rewrites the beginning of a Metadata answer, from the correlation id to the end of its brokers. `bytes` is what has
/// come of the frame so far; when all of it has come and this still says `Need`, it was cut short. The caller bounds how
/// much it holds. The controller's id, like all node ids, stays. Nodes that stay though the brokers leave them out
/// ([`Book::staying`]) are added.
pub fn metadata_front(
    version: i16,
    bytes: &[u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Front, Malformed> {
    let mut seen = Vec::new();
    match read_front(version, bytes, book, &mut seen) {
        Ok(front) => {
            for node in seen {
                note(left_out, node);
            }
            Ok(front)
        }
        Err(Malformed::Truncated { .. }) => Ok(Front::Need),
        Err(malformed) => Err(malformed),
    }
}

fn read_front(
    version: i16,
    bytes: &[u8],
    book: &Book,
    left_out: &mut Vec<NodeId>,
) -> Result<Front, Malformed> {
    let mut reader = open(Api::Metadata, version, bytes)?;
    if version >= 3 {
        reader.i32("throttle time")?;
    }
    let mut replacement = bytes.get(..reader.position()).unwrap_or_default().to_vec();
    let rest = |reader: &mut Reader<'_>| {
        if version >= 1 {
            reader.nullable_string_bytes("rack")?;
        }
        reader.skip_tags()
    };
    let rest_of = |writer: &mut Writer, staying: &Staying| {
        if version >= 1 {
            writer.nullable_string(staying.rack.as_deref());
        }
        writer.no_tags();
    };
    let array = brokers(&mut reader, book, left_out, rest, book.staying(), rest_of)?;
    replacement.extend_from_slice(&array);
    Ok(Front::Done { consumed: reader.position(), replacement })
}
