//! A push walker: it is fed a message's bytes as they flow by, in any pieces, holds none of them, and says where the tail
//! begins. Fields of fixed width and record bytes are counted down, never looked at; the stack is fixed, there is no heap.
//! Only [`Walker::feed_to`] also tells which topics, partitions and records pass.
//!
//! Tags that Kafka knows are walked field by field, and must be as long as they claim: Kafka's reader parses them without
//! looking at the size, so a false one would let a client show the broker another message than the gateway saw.

mod codes;
mod listen;
mod numbers;

use self::codes::Codes;
use self::listen::{Kept, Listen};
use crate::api::Api;
use crate::error::Malformed;
use crate::layout::{self, Field, Heard, Kind, Message};

/// Structures within structures that a message may have, the message itself included.
pub const DEPTH_MAX: usize = 4;

/// What was found in the bytes that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// All of them are before the tail.
    All,
    /// So many of them are before the tail; the rest of the frame is the tail.
    Tail(usize),
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next field of the structure at hand.
    Field,
    /// A length of two bytes.
    ShortLength,
    /// A length of four bytes.
    LongLength,
    /// A length as a varint, plus one.
    CompactLength,
    /// The byte that tells a nullable structure from null.
    Presence,
    /// How many tags follow.
    TagCount,
    /// A tag's number.
    TagNumber,
    /// A tag's size.
    TagSize,
    /// The tail has begun.
    Tail,
}

/// One structure that is being walked, or an array of them.
#[derive(Debug, Clone, Copy)]
struct Level {
    fields: &'static [Field],
    /// How many more structures of this kind follow in the array.
    items_left: u32,
    tags_left: u16,
    /// The next field.
    next: u8,
    /// Whether the fields are done and the tags have begun.
    in_tags: bool,
}

impl Level {
    const fn new(fields: &'static [Field], items_left: u32) -> Level {
        Level { fields, items_left, tags_left: 0, next: 0, in_tags: false }
    }
}

/// Walks one message. When the frame ends and [`Walker::in_tail`] is still false, the message was cut short.
#[derive(Debug, Clone)]
pub struct Walker {
    body: &'static [Field],
    /// The structure at hand.
    top: Level,
    /// Those around it.
    around: [Level; DEPTH_MAX - 1],
    depth: u8,
    /// How many of the body's fields are before the tail.
    before_tail: u8,
    version: i16,
    flexible: bool,
    in_header: bool,
    step: Step,
    /// Bytes of the number that is being put together.
    have: u8,
    /// The number so far.
    number: u32,
    /// The tag whose size comes next.
    tag: u32,
    /// Bytes to count down before anything else is read.
    skip: u64,
    /// Bytes fed and walked so far.
    position: u64,
    /// Where the known tag that is being walked must end.
    tag_end: u64,
    codes: Codes,
    /// What the bytes to count down are, where somebody listens,
    heard: Option<Heard>,
    /// and what came of it in earlier pieces.
    kept: Option<Box<Kept>>,
}

impl Walker {
    /// For an answer of `Produce`, `Fetch`, `ShareFetch` or `ShareAcknowledge`, in any version that is spoken; fed from its
    /// correlation id on. `None` for others.
    ///
    /// [`Api::answer_path`] says whether there can be addresses in its tail; in other versions the tail passes as it is.
    /// Without tags (not flexible) the tail has no bytes: the frame's last bytes are answered by a [`Fed::Tail`] of all.
    pub fn answer(api: Api, version: i16) -> Option<Walker> {
        if !api.speaks(version) {
            return None;
        }
        let message =
            Message::ALL.into_iter().find(|message| message.api() == api && !message.is_request())?;
        let mut walker = Walker::body(message, version);
        walker.top = Level::new(&[], 0);
        walker.in_header = true;
        walker.skip = 4;
        Some(walker)
    }

    /// For a Fetch request, version 15 or later; fed from its body on, after the request's head.
    pub fn fetch_request(version: i16) -> Walker {
        Walker::body(Message::FetchRequest, version)
    }

    /// For a Produce request; fed from its body on, after the request's head.
    pub fn produce_request(version: i16) -> Walker {
        Walker::body(Message::ProduceRequest, version)
    }

    /// For the body of any message that has a table.
    pub fn body(message: Message, version: i16) -> Walker {
        let body = layout::of(message);
        Walker {
            body,
            top: Level::new(body, 0),
            around: [Level::new(&[], 0); DEPTH_MAX - 1],
            depth: 0,
            before_tail: u8::try_from(layout::before_tail(message)).unwrap_or(u8::MAX),
            version,
            flexible: message.api().request_is_flexible(version),
            in_header: false,
            step: Step::Field,
            have: 0,
            number: 0,
            tag: 0,
            skip: 0,
            position: 0,
            tag_end: 0,
            codes: Codes::default(),
            heard: None,
            kept: None,
        }
    }

    /// Whether the tail has begun.
    pub fn in_tail(&self) -> bool {
        self.step == Step::Tail && self.skip == 0
    }

    /// How many of the next bytes are nothing but counted down, as records are: they may pass elsewhere.
    pub fn unseen(&self) -> u64 {
        if self.codes.are_expected() || self.heard.is_some() { 0 } else { self.skip }
    }

    /// So many of the next bytes have passed elsewhere, no more than are [`Walker::unseen`].
    pub fn pass_unseen(&mut self, bytes: u64) {
        let bytes = bytes.min(self.unseen());
        self.skip = self.skip.saturating_sub(bytes);
        self.position = self.position.saturating_add(bytes);
    }

    /// How many partitions had an error code that is not 0, in what was fed so far; all of them, once in the tail. One with
    /// two (`ShareFetch`: of fetching and of acknowledging) counts once.
    pub fn errors(&self) -> u32 {
        self.codes.errors
    }

    /// Whether any partition had the code which says that another broker leads it (6).
    pub fn is_misled(&self) -> bool {
        self.codes.is_misled
    }

    /// Walks the next bytes of the message. After the tail has begun, `Tail(0)`. After an error, nothing that is said of
    /// this message can be relied on.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, Malformed> {
        self.walk(bytes, &mut ())
    }

    fn walk<L: Listen>(&mut self, bytes: &[u8], ear: &mut L) -> Result<Fed, Malformed> {
        let mut rest = bytes;
        loop {
            if self.skip > 0 || (L::HEARS && self.heard.is_some()) {
                let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(self.skip);
                let end = usize::try_from(here).unwrap_or(usize::MAX);
                let passing = rest.get(..end).unwrap_or_default();
                if self.codes.are_expected() {
                    self.codes.look(passing);
                }
                rest = rest.get(end..).unwrap_or_default();
                self.skip = self.skip.saturating_sub(here);
                self.position = self.position.saturating_add(here);
                if let Some(heard) = self.heard.filter(|_| L::HEARS) {
                    ear.passes(heard, passing, self.skip == 0);
                }
                if self.skip > 0 {
                    return Ok(Fed::All);
                }
                if L::HEARS {
                    self.heard = None;
                }
            }
            match self.step {
                Step::Tail => return Ok(Fed::Tail(bytes.len().saturating_sub(rest.len()))),
                Step::Field => self.fields::<L>()?,
                Step::ShortLength
                | Step::LongLength
                | Step::CompactLength
                | Step::Presence
                | Step::TagCount
                | Step::TagNumber
                | Step::TagSize => {
                    let Some((byte, after)) = rest.split_first() else { return Ok(Fed::All) };
                    rest = after;
                    self.position = self.position.saturating_add(1);
                    if let Some(number) = self.put_together(*byte)? {
                        self.number::<L>(number)?;
                    }
                }
            }
        }
    }

    /// Goes on with the fields of the structure at hand, up to the first whose length must be read, or to its end.
    fn fields<L: Listen>(&mut self) -> Result<(), Malformed> {
        loop {
            if self.depth == 0 && !self.in_header && self.top.next >= self.before_tail {
                self.step = Step::Tail;
                return Ok(());
            }
            let Some(field) = self.top.fields.get(usize::from(self.top.next)) else {
                if self.flexible {
                    self.step = Step::TagCount;
                    return Ok(());
                }
                return self.item_done();
            };
            self.top.next = self.top.next.saturating_add(1);
            if !field.in_place(self.version) {
                continue;
            }
            if let Some(width) = field.kind.width() {
                if L::HEARS && field.heard.is_some() {
                    self.hear(field, width);
                    return Ok(());
                }
                if let Kind::ErrorCode { first } = field.kind {
                    self.codes.expect(self.skip, first);
                }
                self.skip = self.skip.saturating_add(u64::from(width));
                continue;
            }
            match field.kind {
                Kind::Int8
                | Kind::Int16
                | Kind::ErrorCode { .. }
                | Kind::Int32
                | Kind::Int64
                | Kind::Uuid => {}
                Kind::String => {
                    self.step = if self.flexible { Step::CompactLength } else { Step::ShortLength };
                    return Ok(());
                }
                Kind::Records | Kind::Array(_) => {
                    self.step = if self.flexible { Step::CompactLength } else { Step::LongLength };
                    return Ok(());
                }
                Kind::Struct(_) if field.nullable.contains(self.version) => {
                    self.step = Step::Presence;
                    return Ok(());
                }
                Kind::Struct(fields) => self.enter(fields, 1)?,
            }
        }
    }

    /// Begins with the first of `count` structures.
    pub(super) fn enter(&mut self, fields: &'static [Field], count: u32) -> Result<(), Malformed> {
        self.step = Step::Field;
        let Some(items_left) = count.checked_sub(1) else { return Ok(()) };
        let deep = Malformed::Invalid { what: "structure within structures", at: self.at() };
        *self.around.get_mut(usize::from(self.depth)).ok_or(deep)? = self.top;
        self.depth = self.depth.saturating_add(1);
        self.top = Level::new(fields, items_left);
        Ok(())
    }

    /// Ends a structure: the next of its array, or what is around it.
    fn item_done(&mut self) -> Result<(), Malformed> {
        self.step = Step::Field;
        if let Some(items_left) = self.top.items_left.checked_sub(1) {
            self.top = Level::new(self.top.fields, items_left);
            return Ok(());
        }
        let Some(depth) = self.depth.checked_sub(1) else {
            // Only the header comes to its end here: the body ends with the tail.
            self.in_header = false;
            self.top = Level::new(self.body, 0);
            return Ok(());
        };
        self.depth = depth;
        if let Some(around) = self.around.get(usize::from(depth)) {
            self.top = *around;
        }
        if !self.top.in_tags {
            return Ok(());
        }
        if self.position.saturating_add(self.skip) != self.tag_end {
            return Err(Malformed::TagSize { tag: self.tag, at: self.at() });
        }
        self.next_tag()
    }

    /// The next tag of the structure at hand, or its end.
    // Two kinds of walk use it, and it is worth inlining in each.
    #[inline]
    pub(super) fn next_tag(&mut self) -> Result<(), Malformed> {
        match self.top.tags_left.checked_sub(1) {
            Some(left) => {
                self.top.tags_left = left;
                self.step = Step::TagNumber;
                Ok(())
            }
            None => self.item_done(),
        }
    }

    fn tag_content(&mut self, size: u32) -> Result<(), Malformed> {
        let (tag, version) = (self.tag, self.version);
        let known = self.top.fields.iter().find(|field| field.has_tag(tag, version));
        if let Some(Kind::Struct(fields)) = known.map(|field| field.kind) {
            self.tag_end = self.position.saturating_add(u64::from(size));
            return self.enter(fields, 1);
        }
        if known.and_then(|field| field.kind.width()).is_some_and(|width| u32::from(width) != size) {
            return Err(Malformed::TagSize { tag, at: self.at() });
        }
        self.skip = u64::from(size);
        self.next_tag()
    }

    /// The field whose length is being read.
    fn field(&self) -> Option<&'static Field> {
        self.top.fields.get(usize::from(self.top.next).checked_sub(1)?)
    }

    fn what(&self) -> &'static str {
        match self.step {
            Step::TagCount | Step::TagNumber | Step::TagSize => "tag section",
            Step::Field
            | Step::ShortLength
            | Step::LongLength
            | Step::CompactLength
            | Step::Presence
            | Step::Tail => self.field().map_or("header", |field| field.name),
        }
    }

    /// The position in the message, for errors.
    fn at(&self) -> usize {
        usize::try_from(self.position).unwrap_or(usize::MAX)
    }
}
