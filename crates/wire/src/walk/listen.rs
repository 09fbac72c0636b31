//! Telling of fields while they pass: what a field's bytes come to, however they are split.

use super::{Fed, Walker};
use crate::error::Malformed;
use crate::layout::{Field, Heard};
use crate::meter::batches::Batches;
use crate::meter::{NAME_BYTES_MAX, Topic, Visit};

/// Of a longer name so many bytes are kept: it is told from one of Kafka's by being longer.
const KEPT_BYTES: usize = NAME_BYTES_MAX.saturating_add(1);

impl Walker {
    /// As [`Walker::feed`], and tells `visit` of the topics, partitions and records that pass: of a Produce request and of
    /// the answers of `Fetch` and `ShareFetch`; other messages have nothing to tell of. Each is told when its last byte
    /// has passed; what is held until then is allocated only where a piece ends within it.
    ///
    /// A message is fed by either function, not by both in turn.
    pub fn feed_to(&mut self, bytes: &[u8], visit: &mut (impl Visit + ?Sized)) -> Result<Fed, Malformed> {
        let mut kept = self.kept.take();
        let fed = self.walk(bytes, &mut Ear::new(&mut kept, visit));
        self.kept = kept;
        fed
    }

    /// Stops at a field of fixed width that is told of: what is before it passes first.
    pub(super) fn hear(&mut self, field: &Field, width: u8) {
        if self.skip > 0 {
            self.top.next = self.top.next.saturating_sub(1);
        } else {
            self.heard = field.heard;
            self.skip = u64::from(width);
        }
    }
}

/// Who a walk tells what passes: nobody, for whom nothing is compiled, or a visitor.
pub(super) trait Listen {
    /// Whether anybody does.
    const HEARS: bool;

    /// Some bytes of a field; `last` says that they are its last, or that it has none.
    fn passes(&mut self, heard: Heard, passing: &[u8], last: bool);
}

impl Listen for () {
    const HEARS: bool = false;

    fn passes(&mut self, _: Heard, _: &[u8], _: bool) {}
}

/// What is known of a field that ends in a later piece.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// How many of its bytes have passed.
    passed: u64,
    /// The first of them, where it is not records.
    bytes: [u8; KEPT_BYTES],
    batches: Batches,
}

impl Kept {
    fn new() -> Kept {
        Kept { passed: 0, bytes: [0; KEPT_BYTES], batches: Batches::new() }
    }

    fn add(&mut self, heard: Heard, passing: &[u8]) {
        match heard {
            Heard::Records => self.batches.pass(passing),
            Heard::Name | Heard::Id | Heard::Partition => {
                let have = usize::try_from(self.passed).unwrap_or(usize::MAX);
                let room = self.bytes.get_mut(have..).unwrap_or_default();
                for (place, byte) in room.iter_mut().zip(passing) {
                    *place = *byte;
                }
            }
        }
        self.passed = self.passed.saturating_add(size(passing));
    }
}

/// A visitor who listens.
pub(super) struct Ear<'a, V: ?Sized> {
    kept: &'a mut Option<Box<Kept>>,
    visit: &'a mut V,
}

impl<'a, V: Visit + ?Sized> Ear<'a, V> {
    pub(super) fn new(kept: &'a mut Option<Box<Kept>>, visit: &'a mut V) -> Ear<'a, V> {
        Ear { kept, visit }
    }
}

impl<V: Visit + ?Sized> Listen for Ear<'_, V> {
    const HEARS: bool = true;

    fn passes(&mut self, heard: Heard, passing: &[u8], last: bool) {
        match self.kept.as_mut().filter(|kept| kept.passed > 0) {
            None if last => {
                let mut batches = Batches::new();
                if heard == Heard::Records {
                    batches.pass(passing);
                }
                tell(self.visit, heard, passing, size(passing), &batches);
            }
            None if passing.is_empty() => {}
            None => self.kept.get_or_insert_with(|| Box::new(Kept::new())).add(heard, passing),
            Some(kept) => {
                kept.add(heard, passing);
                if last {
                    let end = usize::try_from(kept.passed).unwrap_or(usize::MAX).min(KEPT_BYTES);
                    let bytes = kept.bytes.get(..end).unwrap_or_default();
                    tell(self.visit, heard, bytes, kept.passed, &kept.batches);
                    kept.passed = 0;
                    kept.batches = Batches::new();
                }
            }
        }
    }
}

/// Tells of a field that has passed. `bytes` are all of it, or as many as were kept.
fn tell(visit: &mut (impl Visit + ?Sized), heard: Heard, bytes: &[u8], passed: u64, batches: &Batches) {
    match heard {
        Heard::Name => visit.topic(Topic::Name(bytes.get(..KEPT_BYTES).unwrap_or(bytes))),
        Heard::Id => {
            if let Some(id) = bytes.first_chunk() {
                visit.topic(Topic::Id(*id));
            }
        }
        Heard::Partition => {
            if let Some(index) = bytes.first_chunk() {
                visit.partition(i32::from_be_bytes(*index));
            }
        }
        Heard::Records => visit.records(passed, batches.records()),
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
