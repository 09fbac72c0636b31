//! The topics and partitions of a Produce request, kept for an answer that names each of them.

use super::{NAME_BYTES_MAX, Topic, Visit};

/// An echo takes no more memory than about this.
pub const ECHO_BYTES_MAX: usize = 64 * 1024;

/// A key that is not longer is kept in place.
const FEW_KEY_BYTES: usize = 56;
/// So many partitions of one topic are kept in place.
const FEW_PARTITIONS: usize = 4;

/// Collects the topics and partitions that it is told of, up to [`ECHO_BYTES_MAX`]. Beyond that, or when a name is
/// longer than Kafka's, it is not whole any more, and empty. It has the whole request once the walk is in its tail.
///
/// What most requests have, one topic with a name of usual length and few partitions, is kept without an allocation.
#[derive(Debug, Clone, Default)]
pub struct Echo {
    held: Held,
}

#[derive(Debug, Clone, Default)]
enum Held {
    #[default]
    Nothing,
    Few(Few),
    Lists(Box<Lists>),
    /// There was too much.
    Cut,
}

/// One topic.
#[derive(Debug, Clone)]
struct Few {
    key: [u8; FEW_KEY_BYTES],
    key_bytes: u8,
    is_id: bool,
    count: u8,
    partitions: [i32; FEW_PARTITIONS],
}

/// Any number of them.
#[derive(Debug, Clone, Default)]
struct Lists {
    /// The topics' names or ids, one after the other.
    keys: Vec<u8>,
    topics: Vec<Entry>,
    partitions: Vec<i32>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
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

impl<'a> Echoed<'a> {
    fn new(key: &'a [u8], is_id: bool, partitions: &'a [i32]) -> Echoed<'a> {
        let id = key.first_chunk().filter(|_| is_id);
        Echoed { topic: id.map_or(Topic::Name(key), |id| Topic::Id(*id)), partitions }
    }
}

impl Echo {
    /// An empty one.
    pub fn new() -> Echo {
        Echo::default()
    }

    /// Whether everything that it was told of is in it.
    pub fn is_whole(&self) -> bool {
        !matches!(self.held, Held::Cut)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        let Held::Lists(lists) = &self.held else { return size_of::<Echo>() };
        let Lists { keys, topics, partitions } = &**lists;
        let entries = topics.capacity().saturating_mul(size_of::<Entry>());
        let numbers = partitions.capacity().saturating_mul(size_of::<i32>());
        let lists = keys.capacity().saturating_add(entries).saturating_add(numbers);
        lists.saturating_add(size_of::<Echo>()).saturating_add(size_of::<Lists>())
    }

    /// The topics, in the request's order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = Echoed<'_>> {
        let (few, lists) = match &self.held {
            Held::Few(few) => (Some(few.topic()), None),
            Held::Lists(lists) => (None, Some(lists)),
            Held::Nothing | Held::Cut => (None, None),
        };
        let entries = lists.map_or(&[][..], |lists| &lists.topics);
        let mut keys = lists.map_or(&[][..], |lists| &lists.keys);
        let mut partitions = lists.map_or(&[][..], |lists| &lists.partitions);
        let count = entries.len().saturating_add(usize::from(few.is_some()));
        (0..count).map(move |at| {
            let Some(entry) = entries.get(at) else {
                return few.unwrap_or(Echoed { topic: Topic::Name(&[]), partitions: &[] });
            };
            let (key, other_keys) = keys.split_at_checked(usize::from(entry.key_bytes)).unwrap_or_default();
            let count = usize::try_from(entry.partitions).unwrap_or(usize::MAX);
            let (own, others) = partitions.split_at_checked(count).unwrap_or_default();
            (keys, partitions) = (other_keys, others);
            Echoed::new(key, entry.is_id, own)
        })
    }

    /// The lists, with what was kept in place so far.
    fn lists(&mut self) -> &mut Held {
        match &self.held {
            Held::Nothing => self.held = Held::Lists(Box::default()),
            Held::Few(few) => {
                let mut lists = Box::<Lists>::default();
                let one = few.topic();
                lists.topic(one.topic);
                one.partitions.iter().for_each(|index| lists.partition(*index));
                self.held = Held::Lists(lists);
            }
            Held::Lists(_) | Held::Cut => {}
        }
        &mut self.held
    }

    /// Tells the lists, if so many more bytes find room in them.
    fn tell(&mut self, bytes: usize, tell: impl Fn(&mut Lists)) {
        if let Held::Lists(lists) = self.lists() {
            if lists.has_room(bytes) {
                tell(lists);
            } else {
                self.held = Held::Cut;
            }
        }
    }
}

impl Few {
    /// One without partitions, where its key finds room.
    fn of(topic: &Topic<'_>) -> Option<Few> {
        let (from, is_id) = key_of(topic);
        let mut key = [0; FEW_KEY_BYTES];
        key.get_mut(..from.len())?.copy_from_slice(from);
        let key_bytes = u8::try_from(from.len()).ok()?;
        Some(Few { key, key_bytes, is_id, count: 0, partitions: [0; FEW_PARTITIONS] })
    }

    fn topic(&self) -> Echoed<'_> {
        let key = self.key.get(..usize::from(self.key_bytes)).unwrap_or_default();
        Echoed::new(key, self.is_id, self.partitions.get(..usize::from(self.count)).unwrap_or_default())
    }
}

impl Lists {
    /// Whether so many more bytes find room. A list may have twice the room that it needs.
    fn has_room(&self, bytes: usize) -> bool {
        let topics = size_of_val(self.topics.as_slice());
        let partitions = size_of_val(self.partitions.as_slice());
        let held = self.keys.len().saturating_add(topics).saturating_add(partitions);
        held.saturating_add(bytes).saturating_mul(2) <= ECHO_BYTES_MAX
    }

    fn topic(&mut self, topic: Topic<'_>) {
        let (key, is_id) = key_of(&topic);
        self.keys.extend_from_slice(key);
        let key_bytes = u8::try_from(key.len()).unwrap_or(u8::MAX);
        self.topics.push(Entry { is_id, key_bytes, partitions: 0 });
    }

    fn partition(&mut self, index: i32) {
        self.partitions.push(index);
        if let Some(topic) = self.topics.last_mut() {
            topic.partitions = topic.partitions.saturating_add(1);
        }
    }
}

/// A topic's name or id, and whether it is the latter.
fn key_of<'a>(topic: &'a Topic<'_>) -> (&'a [u8], bool) {
    match topic {
        Topic::Name(name) => (name, false),
        Topic::Id(id) => (id, true),
    }
}

impl Visit for Echo {
    #[inline]
    fn topic(&mut self, topic: Topic<'_>) {
        if let Held::Nothing = self.held
            && let Some(few) = Few::of(&topic)
        {
            self.held = Held::Few(few);
            return;
        }
        let key_bytes = key_of(&topic).0.len();
        if key_bytes > NAME_BYTES_MAX {
            self.held = Held::Cut;
        }
        self.tell(size_of::<Entry>().saturating_add(key_bytes), |lists| lists.topic(topic));
    }

    #[inline]
    fn partition(&mut self, index: i32) {
        if let Held::Few(few) = &mut self.held
            && let Some(place) = few.partitions.get_mut(usize::from(few.count))
        {
            *place = index;
            few.count = few.count.saturating_add(1);
            return;
        }
        self.tell(size_of::<i32>(), |lists| lists.partition(index));
    }

    fn records(&mut self, _: u64, _: u64) {}
}
