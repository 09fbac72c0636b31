//! The topics and partitions of a Produce request, told while it streams by and of nothing else: what
//! [`Walker::feed_to`](crate::walk::Walker::feed_to) tells of any message, at a tenth of the cost, for what is done to every
//! request.

use super::{NAME_BYTES_MAX, Topic, Visit};
use crate::api::Api;
use crate::error::Malformed;
use crate::reader::{STRING_BYTES_MAX, TAGS_MAX};

/// Of a longer name so many bytes are told: it is told from one of Kafka's by being longer.
const TOLD_BYTES: usize = NAME_BYTES_MAX.saturating_add(1);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Transactional id, acks, timeout, and how many topics there are.
    Front,
    /// A topic, and how many partitions it has.
    Topic,
    /// A partition, and how many bytes of records.
    Partition,
    /// The count of the tags that end a structure.
    Tags,
    /// A tag's number and size.
    Tag,
    /// What follows the topics.
    Tail,
}

/// Skims one request. Each step is a few bytes, which are looked at when all of them are here; those of a step that a piece
/// ends within are kept until then, which is a string of Kafka's at most.
#[derive(Debug, Clone)]
pub struct Skimmer {
    version: i16,
    flexible: bool,
    step: Step,
    /// Whether the tags are those of a topic, and not of a partition.
    of_topic: bool,
    topics_left: usize,
    partitions_left: usize,
    tags_left: u32,
    /// Bytes to pass before the next step.
    skip: usize,
    kept: Vec<u8>,
}

impl Skimmer {
    /// For a request of this version; fed from its body on, after the request's head.
    pub fn new(version: i16) -> Skimmer {
        Skimmer {
            version,
            flexible: Api::Produce.request_is_flexible(version),
            step: Step::Front,
            of_topic: false,
            topics_left: 0,
            partitions_left: 0,
            tags_left: 0,
            skip: 0,
            kept: Vec::new(),
        }
    }

    /// Whether all topics and partitions were told. When the frame ends before, it was cut short.
    pub fn in_tail(&self) -> bool {
        self.step == Step::Tail && self.skip == 0
    }

    /// Takes the next bytes of the body, and tells `visit` of the topics and partitions that are in them. After an error,
    /// nothing that was told of this request can be relied on.
    pub fn feed(&mut self, bytes: &[u8], visit: &mut impl Visit) -> Result<(), Malformed> {
        let fed = if self.flexible { self.go::<true>(bytes, visit) } else { self.go::<false>(bytes, visit) };
        fed.map_err(|Wrong| Malformed::Invalid { what: "Produce request", at: 0 })
    }

    fn go<const FLEXIBLE: bool>(&mut self, bytes: &[u8], visit: &mut impl Visit) -> Result<(), Wrong> {
        let mut rest = bytes;
        if self.step == Step::Front
            && self.kept.is_empty()
            && let Some(after) = self.at_once::<FLEXIBLE>(bytes, visit)
        {
            rest = after;
        }
        loop {
            if self.skip > 0 {
                let here = self.skip.min(rest.len());
                rest = rest.get(here..).unwrap_or_default();
                self.skip = self.skip.saturating_sub(here);
            }
            if rest.is_empty() || self.step == Step::Tail {
                return Ok(());
            }
            if !self.kept.is_empty() {
                rest = self.join::<FLEXIBLE>(rest, visit)?;
                continue;
            }
            let mut cursor = Cursor { rest };
            match self.run::<FLEXIBLE>(&mut cursor, visit) {
                Ok(()) => rest = cursor.rest,
                Err(Stop::More) => {
                    self.kept.extend_from_slice(cursor.rest);
                    return Ok(());
                }
                Err(Stop::Wrong) => return Err(Wrong),
            }
        }
    }

    /// Takes all steps up to the records where the request is as most are: no transaction, one topic, one partition, no tags.
    /// `None`, and nothing has changed, where it is another, or not so much of it is here.
    #[inline]
    fn at_once<'a, const FLEXIBLE: bool>(
        &mut self,
        bytes: &'a [u8],
        visit: &mut impl Visit,
    ) -> Option<&'a [u8]> {
        let mut cursor = Cursor { rest: bytes };
        if self.version >= 3 {
            cursor.pass(if FLEXIBLE { &[0] } else { &[0xff, 0xff] })?;
        }
        cursor.array::<6>().ok()?;
        let one: &[u8] = if FLEXIBLE { &[2] } else { &[0, 0, 0, 1] };
        cursor.pass(one)?;
        let topic = if self.version >= 13 {
            Topic::Id(cursor.array().ok()?)
        } else {
            let name = cursor.string::<FLEXIBLE>().ok()??;
            Topic::Name(name.get(..TOLD_BYTES).unwrap_or(name))
        };
        cursor.pass(one)?;
        let index = i32::from_be_bytes(cursor.array().ok()?);
        self.skip = usize::try_from(cursor.length::<FLEXIBLE>().ok()?).unwrap_or(0);
        visit.topic(topic);
        visit.partition(index);
        let tags = cursor.rest.get(self.skip..).unwrap_or_default();
        if FLEXIBLE && tags.starts_with(&[0, 0]) {
            // No tags of the partition, and none of the topic.
            (self.skip, self.step) = (0, Step::Tail);
        } else {
            self.end_structure();
        }
        Some(cursor.rest)
    }

    /// Ends a step that began in an earlier piece: how many bytes it needs is known when it has them.
    #[cold]
    fn join<'a, const FLEXIBLE: bool>(
        &mut self,
        bytes: &'a [u8],
        visit: &mut impl Visit,
    ) -> Result<&'a [u8], Wrong> {
        let mut kept = std::mem::take(&mut self.kept);
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            kept.push(*byte);
            rest = after;
            match self.run::<FLEXIBLE>(&mut Cursor { rest: &kept }, visit) {
                Ok(()) => return Ok(rest),
                Err(Stop::More) => {}
                Err(Stop::Wrong) => return Err(Wrong),
            }
        }
        self.kept = kept;
        Ok(rest)
    }

    /// Takes steps as far as bytes are here that matter. Those of a step that misses some are left.
    fn run<const FLEXIBLE: bool>(
        &mut self,
        cursor: &mut Cursor<'_>,
        visit: &mut impl Visit,
    ) -> Result<(), Stop> {
        while self.skip == 0 && self.step != Step::Tail && !cursor.rest.is_empty() {
            let before = cursor.rest;
            if let Err(stop) = self.advance::<FLEXIBLE>(cursor, visit) {
                cursor.rest = before;
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Takes a step. Nothing has changed when bytes are missing.
    #[inline]
    fn advance<const FLEXIBLE: bool>(
        &mut self,
        cursor: &mut Cursor<'_>,
        visit: &mut impl Visit,
    ) -> Result<(), Stop> {
        match self.step {
            Step::Front => {
                if self.version >= 3 {
                    cursor.string::<FLEXIBLE>()?;
                }
                // Acks and timeout.
                cursor.array::<6>()?;
                self.topics_left = cursor.count::<FLEXIBLE>()?;
                self.next_topic();
            }
            Step::Topic => {
                let topic = if self.version >= 13 {
                    Topic::Id(cursor.array()?)
                } else {
                    let name = cursor.string::<FLEXIBLE>()?.ok_or(Stop::Wrong)?;
                    Topic::Name(name.get(..TOLD_BYTES).unwrap_or(name))
                };
                self.partitions_left = cursor.count::<FLEXIBLE>()?;
                visit.topic(topic);
                self.next_partition();
            }
            Step::Partition => {
                let index = i32::from_be_bytes(cursor.array()?);
                self.skip = usize::try_from(cursor.length::<FLEXIBLE>()?).unwrap_or(0);
                visit.partition(index);
                self.of_topic = false;
                self.end_structure();
            }
            Step::Tags => {
                self.tags_left = cursor.uvarint()?;
                if self.tags_left > TAGS_MAX {
                    return Err(Stop::Wrong);
                }
                self.next_tag();
            }
            Step::Tag => {
                cursor.uvarint()?;
                self.skip = usize::try_from(cursor.uvarint()?).unwrap_or(usize::MAX);
                self.next_tag();
            }
            Step::Tail => {}
        }
        Ok(())
    }

    fn next_topic(&mut self) {
        match self.topics_left.checked_sub(1) {
            Some(left) => (self.topics_left, self.step) = (left, Step::Topic),
            None => self.step = Step::Tail,
        }
    }

    fn next_partition(&mut self) {
        if let Some(left) = self.partitions_left.checked_sub(1) {
            (self.partitions_left, self.step) = (left, Step::Partition);
        } else {
            self.of_topic = true;
            self.end_structure();
        }
    }

    /// The end of a topic or a partition.
    fn end_structure(&mut self) {
        if self.flexible {
            self.step = Step::Tags;
        } else {
            self.tags_done();
        }
    }

    fn next_tag(&mut self) {
        match self.tags_left.checked_sub(1) {
            Some(left) => (self.tags_left, self.step) = (left, Step::Tag),
            None => self.tags_done(),
        }
    }

    fn tags_done(&mut self) {
        if self.of_topic { self.next_topic() } else { self.next_partition() }
    }
}

/// These bytes are not a request.
struct Wrong;

/// Why a step was not taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// More bytes are needed.
    More,
    /// These bytes are not a request.
    Wrong,
}

/// Reads as [`Reader`](crate::reader::Reader) does, and has no words for what is wrong: words cost.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Stop::More)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Passes these bytes, and no others.
    #[inline]
    fn pass(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    #[inline]
    fn uvarint(&mut self) -> Result<u32, Stop> {
        let [byte] = self.array()?;
        if byte < 0x80 { Ok(u32::from(byte)) } else { self.longer_uvarint(byte) }
    }

    fn longer_uvarint(&mut self, first: u8) -> Result<u32, Stop> {
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                return Err(Stop::Wrong);
            }
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Stop::Wrong)
    }

    /// A length that is not that of a classic string; -1 is null.
    #[inline]
    fn length<const FLEXIBLE: bool>(&mut self) -> Result<i32, Stop> {
        let length = if FLEXIBLE {
            // One less: 2^31 is the largest that can be, and 0 is null.
            self.uvarint()?.cast_signed().wrapping_sub(1)
        } else {
            i32::from_be_bytes(self.array()?)
        };
        if length < -1 { Err(Stop::Wrong) } else { Ok(length) }
    }

    #[inline]
    fn count<const FLEXIBLE: bool>(&mut self) -> Result<usize, Stop> {
        usize::try_from(self.length::<FLEXIBLE>()?).map_err(|_| Stop::Wrong)
    }

    #[inline]
    fn string<const FLEXIBLE: bool>(&mut self) -> Result<Option<&'a [u8]>, Stop> {
        let length =
            if FLEXIBLE { self.length::<true>()? } else { i32::from(i16::from_be_bytes(self.array()?)) };
        let Ok(length) = usize::try_from(length) else {
            return if length == -1 { Ok(None) } else { Err(Stop::Wrong) };
        };
        if length > STRING_BYTES_MAX {
            return Err(Stop::Wrong);
        }
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Stop::More)?;
        self.rest = rest;
        Ok(Some(bytes))
    }
}
