//! The topics and partitions of a Produce request, kept for an answer that names each of them.

use super::{NAME_BYTES_MAX, Topic, Visit};

/// An echo takes no more memory than about this.
pub const ECHO_BYTES_MAX: usize = 64 * 1024;

/// Collects the topics and partitions that it is told of, up to [`ECHO_BYTES_MAX`]. Beyond that, or when a name is
/// longer than Kafka's, it is not whole any more, and empty. It has the whole request once the walk is in its tail.
#[derive(Debug, Clone, Default)]
pub struct Echo {
    /// The topics' names or ids, one after the other.
    keys: Vec<u8>,
    topics: Vec<Held>,
    partitions: Vec<i32>,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    is_id: bool,
    key_bytes: u8,
    partitions: u32,
}

/// One topic of an [`Echo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echoed<'a> {
    /// What the request called it.
    pub topic: Topic<'a>,
    /// Its partitions, in the request's order.
    pub partitions: &'a [i32],
}

impl Echo {
    /// An empty one.
    pub fn new() -> Echo {
        Echo::default()
    }

    /// Whether everything that it was told of is in it.
    pub fn is_whole(&self) -> bool {
        !self.is_cut
    }

    /// The topics, in the request's order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = Echoed<'_>> {
        let (mut keys, mut partitions) = (self.keys.as_slice(), self.partitions.as_slice());
        self.topics.iter().map(move |held| {
            let (key, other_keys) = keys.split_at_checked(usize::from(held.key_bytes)).unwrap_or_default();
            let count = usize::try_from(held.partitions).unwrap_or(usize::MAX);
            let (own, others) = partitions.split_at_checked(count).unwrap_or_default();
            (keys, partitions) = (other_keys, others);
            let id = key.first_chunk().filter(|_| held.is_id);
            Echoed { topic: id.map_or(Topic::Name(key), |id| Topic::Id(*id)), partitions: own }
        })
    }

    /// Whether so many more bytes find room. A list may have twice the room that it needs.
    fn has_room(&mut self, bytes: usize) -> bool {
        let topics = size_of_val(self.topics.as_slice());
        let partitions = size_of_val(self.partitions.as_slice());
        let held = self.keys.len().saturating_add(topics).saturating_add(partitions);
        if held.saturating_add(bytes).saturating_mul(2) > ECHO_BYTES_MAX {
            *self = Echo { is_cut: true, ..Echo::default() };
        }
        !self.is_cut
    }
}

impl Visit for Echo {
    fn topic(&mut self, topic: Topic<'_>) {
        let (key, is_id) = match &topic {
            Topic::Name(name) => (*name, false),
            Topic::Id(id) => (id.as_slice(), true),
        };
        let fits = key.len() <= NAME_BYTES_MAX;
        let bytes = if fits { size_of::<Held>().saturating_add(key.len()) } else { ECHO_BYTES_MAX };
        if self.is_whole() && self.has_room(bytes) {
            self.keys.extend_from_slice(key);
            let key_bytes = u8::try_from(key.len()).unwrap_or(u8::MAX);
            self.topics.push(Held { is_id, key_bytes, partitions: 0 });
        }
    }

    fn partition(&mut self, index: i32) {
        if self.is_whole() && self.has_room(size_of::<i32>()) {
            self.partitions.push(index);
            if let Some(topic) = self.topics.last_mut() {
                topic.partitions = topic.partitions.saturating_add(1);
            }
        }
    }

    fn records(&mut self, _: u64, _: u64) {}
}
