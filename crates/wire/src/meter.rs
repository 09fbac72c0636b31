//! What is in a message that streams by: topics, partitions, and how many bytes and records each has.
//!
//! [`Walker::feed_to`](crate::walk::Walker::feed_to) tells a [`Visit`] of them. Nothing of the message is held.

pub(crate) mod batches;
mod echo;
mod skim;

pub use echo::{ECHO_BYTES_MAX, Echo, Echoed};
pub use skim::Skimmer;

/// The longest name of a topic that Kafka allows.
pub const NAME_BYTES_MAX: usize = 249;

/// What a message calls a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'a> {
    /// By its name: Produce and Fetch below version 13. Not checked to be UTF-8. Of a name that is longer than
    /// [`NAME_BYTES_MAX`] the first 250 bytes: one more than any topic has, so that it is nobody's.
    Name(&'a [u8]),
    /// By its id.
    Id([u8; 16]),
}

/// Whom a walk tells what passes, in the order of the message.
pub trait Visit {
    /// A topic begins.
    fn topic(&mut self, topic: Topic<'_>);

    /// A partition of it begins.
    fn partition(&mut self, index: i32);

    /// The partition's records have passed; also where there are none, or null.
    ///
    /// `records` is what the headers of the batches announce, compressed or not, and includes the markers that end
    /// transactions. A message of magic 0 or 1 counts as one record, also when it is a compressed wrapper around others.
    /// A batch that is cut off, as the last one of a Fetch answer may be, counts when its header is whole. Behind a
    /// header that cannot be read nothing is counted.
    fn records(&mut self, bytes: u64, records: u64);
}

/// Nobody.
impl Visit for () {
    fn topic(&mut self, _: Topic<'_>) {}

    fn partition(&mut self, _: i32) {}

    fn records(&mut self, _: u64, _: u64) {}
}
