//! How many partitions a request creates and deletes, counted as Kafka's controller counts them (KIP-599).
//!
//! Kafka charges the topics of a request one by one, each when nothing stands in its way any more: a new topic as many
//! partitions as it gets, a deleted one as many as it has, one that grows as many as are added. What it refuses before, it
//! does not charge. The gateway charges before the brokers have decided, so it looks for what they will refuse by the
//! request itself and by what they know of its topics.

use wire::request::{Change, Mutation, Subject, each_mutation};
use wire::{Api, Malformed};

/// Topics of one request that are looked at; any further one counts by what the request says. Kafka itself does not take
/// more than 10,000 changes at once.
pub const TOPICS_MAX: usize = 10_000;

/// The longest name of a topic.
const NAME_BYTES_MAX: usize = 249;

/// What a topic that nobody knows anything about counts.
const UNKNOWN: u64 = 1;

/// What one request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Each of another topic, which there can be.
    changes: Vec<Mutation<'a>>,
    /// What further ones count.
    beyond: u64,
}

/// What brokers know of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// They were not asked, or do not tell.
    Nothing,
    /// There is none.
    Missing,
    /// There is one.
    Topic {
        /// Its id; all zero where topics have none.
        id: [u8; 16],
        /// How many partitions it has.
        partitions: u32,
    },
}

impl<'a> Changes<'a> {
    /// Reads a whole request of `CreateTopics`, `DeleteTopics` or `CreatePartitions`. A topic that it names more than once is
    /// refused by brokers each time, and so is a name that no topic can have.
    pub fn read(api: Api, version: i16, body: &'a [u8]) -> Result<Self, Malformed> {
        let (mut changes, mut beyond) = (Vec::new(), 0_u64);
        each_mutation(api, version, body, |mutation| {
            if changes.len() >= TOPICS_MAX {
                beyond = beyond.saturating_add(count(mutation.change, Known::Nothing, None));
            } else if can_be(mutation.topic) {
                changes.push(mutation);
            }
        })?;
        changes.sort_unstable_by_key(|mutation| mutation.topic);
        let mut once = Vec::with_capacity(changes.len());
        for same in changes.chunk_by(|one, other| one.topic == other.topic) {
            if let [one] = same
                && one.change != (Change::Create { partitions: Some(0) })
            {
                once.push(*one);
            }
        }
        Ok(Self { changes: once, beyond })
    }

    /// Whether nothing is to become of it.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.beyond == 0
    }

    /// The topics that there is something to be known of.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = Subject<'a>> + '_ {
        self.changes.iter().map(|mutation| mutation.topic)
    }

    /// Whether it is to be known how many partitions a topic gets that asks for no number.
    pub fn wants_default(&self) -> bool {
        self.changes.iter().any(|mutation| mutation.change == Change::Create { partitions: None })
    }

    /// How many partitions are created and deleted, where `known` tells of each of the topics, in their order. A topic
    /// counts as one where the number hangs on what is not known.
    pub fn count(&self, known: &[Known], default: Option<u32>) -> u64 {
        let known = known.iter().copied().chain(std::iter::repeat(Known::Nothing));
        let mut counted = self.beyond;
        let mut deleted = Vec::new();
        for (mutation, known) in self.changes.iter().zip(known) {
            match (mutation.change, known) {
                (Change::Delete, Known::Topic { id, partitions }) if id != [0; 16] => {
                    deleted.push((id, partitions));
                }
                (change, known) => counted = counted.saturating_add(count(change, known, default)),
            }
        }
        // A topic that is named by its name and by its id as well is deleted by neither.
        deleted.sort_unstable();
        for same in deleted.chunk_by(|one, other| one.0 == other.0) {
            if let [(_, partitions)] = same {
                counted = counted.saturating_add(u64::from(*partitions));
            }
        }
        counted
    }
}

/// What one change counts.
fn count(change: Change, known: Known, default: Option<u32>) -> u64 {
    match (change, known) {
        (Change::Create { .. }, Known::Topic { .. })
        | (Change::Delete | Change::Grow { .. }, Known::Missing) => 0,
        (Change::Create { partitions }, Known::Missing | Known::Nothing) => {
            partitions.or(default).map_or(UNKNOWN, u64::from)
        }
        (Change::Delete | Change::Grow { .. }, Known::Nothing) => UNKNOWN,
        (Change::Delete, Known::Topic { partitions, .. }) => u64::from(partitions),
        (Change::Grow { to, assigned }, Known::Topic { partitions, .. }) => {
            let added = to.saturating_sub(partitions);
            if assigned.is_none_or(|assigned| assigned == added) { u64::from(added) } else { 0 }
        }
    }
}

/// Whether brokers have topics of such a name.
fn can_be(topic: Subject<'_>) -> bool {
    match topic {
        Subject::Name(b"" | b"." | b"..") => false,
        Subject::Name(name) => {
            let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
            name.len() <= NAME_BYTES_MAX && name.iter().all(is_legal)
        }
        Subject::Id(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wire::reader::Encoding;
    use wire::writer::Writer;

    use super::*;

    const A: [u8; 16] = [1; 16];
    const B: [u8; 16] = [2; 16];

    fn topic(id: [u8; 16], partitions: u32) -> Known {
        Known::Topic { id, partitions }
    }

    /// `CreateTopics` v5: name, partitions, replicas, and partitions with brokers.
    fn create(topics: &[(&str, i32, i16, usize)]) -> Vec<u8> {
        let mut body = Writer::new(Encoding::Flexible);
        body.array_len(topics.len());
        for (name, partitions, replicas, assigned) in topics {
            body.string(name);
            body.i32(*partitions);
            body.i16(*replicas);
            body.array_len(*assigned);
            for n in 0..*assigned {
                body.i32(i32::try_from(n).unwrap());
                body.array_len(1);
                body.i32(7);
                body.no_tags();
            }
            body.array_len(0);
            body.no_tags();
        }
        body.i32(1000);
        body.bool(false);
        body.no_tags();
        body.into_bytes()
    }

    /// `DeleteTopics` v6.
    fn delete(topics: &[(Option<&str>, [u8; 16])]) -> Vec<u8> {
        let mut body = Writer::new(Encoding::Flexible);
        body.array_len(topics.len());
        for (name, id) in topics {
            body.nullable_string(*name);
            body.uuid(id);
            body.no_tags();
        }
        body.i32(1000);
        body.no_tags();
        body.into_bytes()
    }

    /// `CreatePartitions` v3.
    fn grow(topics: &[(&str, i32, Option<usize>)], validate_only: bool) -> Vec<u8> {
        let mut body = Writer::new(Encoding::Flexible);
        body.array_len(topics.len());
        for (name, to, assigned) in topics {
            body.string(name);
            body.i32(*to);
            body.nullable_array_len(*assigned);
            for _ in 0..assigned.unwrap_or(0) {
                body.array_len(0);
                body.no_tags();
            }
            body.no_tags();
        }
        body.i32(1000);
        body.bool(validate_only);
        body.no_tags();
        body.into_bytes()
    }

    fn creates(topics: &[(&str, i32, i16, usize)], known: &[Known], default: Option<u32>) -> u64 {
        let body = create(topics);
        Changes::read(Api::CreateTopics, 5, &body).unwrap().count(known, default)
    }

    fn deletes(topics: &[(Option<&str>, [u8; 16])], known: &[Known]) -> u64 {
        let body = delete(topics);
        Changes::read(Api::DeleteTopics, 6, &body).unwrap().count(known, None)
    }

    fn grows(topics: &[(&str, i32, Option<usize>)], known: &[Known]) -> u64 {
        let body = grow(topics, false);
        Changes::read(Api::CreatePartitions, 3, &body).unwrap().count(known, None)
    }

    #[test]
    fn a_topic_that_is_made_counts_its_partitions() {
        let missing = [Known::Missing; 3];
        assert_eq!(creates(&[("a", 3, 1, 0), ("b", 4, -1, 0)], &missing, None), 7);
        assert_eq!(creates(&[("a", -1, -1, 5)], &missing, Some(9)), 5);
        // The default is the brokers', and one where it is not known.
        assert_eq!(creates(&[("a", -1, 1, 0), ("b", -1, 1, 0)], &missing, Some(6)), 12);
        assert_eq!(creates(&[("a", -1, 1, 0)], &missing, None), 1);
        // Of a topic nothing is known: it may well be new.
        assert_eq!(creates(&[("a", 3, 1, 0)], &[], None), 3);
        assert_eq!(creates(&[("a", 3, 1, 0), ("b", 2, 1, 0)], &[topic(A, 1), Known::Missing], None), 2);
    }

    #[test]
    fn a_topic_that_is_deleted_counts_its_partitions() {
        let no = [0; 16];
        let both = [(Some("a"), no), (None, B)];
        assert_eq!(deletes(&both, &[topic(A, 12), topic(B, 5)]), 17);
        assert_eq!(deletes(&both, &[Known::Missing, topic(B, 5)]), 5);
        assert_eq!(deletes(&both, &[Known::Nothing, Known::Missing]), 1);
        assert_eq!(deletes(&both, &[]), 2);
        // Where topics have no ids they are not taken for each other.
        assert_eq!(deletes(&[(Some("a"), no), (Some("b"), no)], &[topic(no, 4), topic(no, 3)]), 7);
    }

    #[test]
    fn growth_counts_what_is_added() {
        assert_eq!(grows(&[("a", 10, None), ("b", 3, Some(1))], &[topic(A, 4), topic(B, 2)]), 7);
        assert_eq!(grows(&[("a", 10, None), ("b", 3, None)], &[Known::Missing, Known::Nothing]), 1);
    }

    #[test]
    fn what_brokers_refuse_counts_nothing() {
        let (no, known) = ([0; 16], [topic(A, 12), topic(B, 5), topic(B, 5)]);
        // No increase, or brokers for another number of partitions.
        assert_eq!(grows(&[("a", 12, None), ("b", 2, None)], &known), 0);
        assert_eq!(grows(&[("a", 14, Some(3))], &known), 0);
        // Named twice: alike, by name and id, by both at once; and by neither.
        assert_eq!(grows(&[("a", 14, None), ("a", 15, None)], &known), 0);
        assert_eq!(creates(&[("a", 3, 1, 0), ("a", 0, 1, 0)], &[], None), 0);
        assert_eq!(deletes(&[(Some("a"), no), (Some("a"), no), (None, B), (None, B)], &known), 0);
        assert_eq!(deletes(&[(Some("b"), no), (None, A)], &[topic(A, 12), topic(A, 12)]), 0);
        assert_eq!(deletes(&[(Some("a"), A), (None, no)], &known), 0);
        // Names that there are not, and numbers that make no sense.
        let long = "x".repeat(250);
        let names = ["", ".", "..", "a/b", "ü", &long];
        assert_eq!(creates(&names.map(|name| (name, 3, 1, 0)), &[], None), 0);
        assert_eq!(
            creates(&[("a", 0, 1, 0), ("b", -2, 1, 0), ("c", 3, 0, 0), ("d", 3, -2, 0)], &[], None),
            0
        );
        assert_eq!(creates(&[("a", 3, -1, 3), ("b", -1, 1, 3)], &[], None), 0);
    }

    #[test]
    fn what_is_only_validated_changes_nothing() {
        let body = grow(&[("a", 14, None)], true);
        let changes = Changes::read(Api::CreatePartitions, 3, &body).unwrap();
        assert!(changes.is_empty());
        assert_eq!((changes.topics().len(), changes.count(&[], None)), (0, 0));
    }

    #[test]
    fn the_default_is_wanted_where_nobody_says_how_many() {
        let wants = |topics: &[_]| {
            let body = create(topics);
            Changes::read(Api::CreateTopics, 5, &body).unwrap().wants_default()
        };
        assert!(wants(&[("a", 1, 1, 0), ("b", -1, 1, 0)]));
        assert!(!wants(&[("a", 1, 1, 0), ("b", -1, -1, 2)]));
    }

    #[test]
    fn of_very_many_topics_the_last_count_by_what_the_request_says() {
        let names: Vec<String> = (0..TOPICS_MAX + 2).map(|n| format!("t{n}")).collect();
        let topics: Vec<_> = names.iter().map(|name| (name.as_str(), 3, 1, 0)).collect();
        let body = create(&topics);
        let changes = Changes::read(Api::CreateTopics, 5, &body).unwrap();
        assert_eq!(changes.topics().len(), TOPICS_MAX);
        assert_eq!(changes.count(&vec![topic(A, 1); TOPICS_MAX], None), 6);
    }
}
