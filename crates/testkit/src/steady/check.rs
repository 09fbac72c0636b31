//! The judge: what clients were told, beside what the brokers hold.
//!
//! A record that was acknowledged is held exactly where it was acknowledged, and by idempotent producers once and in the
//! order of sending. A consumer reads every record at least once, and each as it is held.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{Entry, Journal};
use super::log::Log;

/// What is wrong with what a producer sent. Each is told in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// Of these, how many were acknowledged without an offset: they are looked for in their partition.
    pub placeless: usize,
    /// Acknowledged, but not held where they were acknowledged.
    pub lost: Vec<String>,
    /// Held more than once.
    pub duplicated: Vec<String>,
    /// Held behind a record of the same partition that was sent later.
    pub reordered: Vec<String>,
    /// Held, but never sent, or sent in a transaction that was aborted.
    pub uncalled: Vec<String>,
}

/// Judges what the producer of this name wrote down by what the log of its topic holds. Nobody else writes to that topic.
pub fn produced(name: &str, journal: &Journal, log: &Log) -> Produced {
    let mut verdict = Produced::default();
    let mut sent = 0;
    let mut aborted = BTreeSet::new();
    for line in &journal.lines {
        match &line.entry {
            Entry::Ack { number, partition, offset, .. } => {
                sent = sent.max(number + 1);
                verdict.acknowledged += 1;
                verdict.placeless += usize::from(offset.is_none());
                verdict.look_up(&format!("{name}:{number}"), *partition, *offset, log);
            }
            Entry::Aborted { number } => {
                sent = sent.max(number + 1);
                aborted.insert(*number);
            }
            Entry::Failed { number, .. } => sent = sent.max(number + 1),
            Entry::End { sent: count } => sent = sent.max(*count),
            Entry::Begin { .. }
            | Entry::Read { .. }
            | Entry::Committed
            | Entry::Assigned { .. }
            | Entry::Revoked
            | Entry::Error { .. }
            | Entry::Logged { .. }
            | Entry::Ending => {}
        }
    }
    verdict.look_through(name, sent, &aborted, log);
    verdict
}

impl Produced {
    /// Is the acknowledged record where it was acknowledged?
    fn look_up(&mut self, what: &str, partition: i32, offset: Option<i64>, log: &Log) {
        let held = log.partitions.get(&partition).map_or(&[][..], Vec::as_slice);
        let Some(offset) = offset else {
            if !held.iter().any(|record| record.what == what) {
                self.lost.push(format!("{what} is nowhere in partition {partition}"));
            }
            return;
        };
        let found =
            held.binary_search_by_key(&offset, |record| record.offset).ok().and_then(|at| held.get(at));
        if found.is_some_and(|record| record.what == what) {
            return;
        }
        let there = found.map_or("nothing", |other| other.what.as_str());
        let mut how = vec![format!("{what} is not at offset {offset} of partition {partition}, but {there}")];
        let elsewhere = held.iter().filter(|record| record.what == what);
        how.extend(elsewhere.map(|record| format!("it is at {}", record.offset)));
        self.lost.push(how.join("; "));
    }

    /// Is everything that is held there once, in order, and with good reason?
    fn look_through(&mut self, name: &str, sent: u64, aborted: &BTreeSet<u64>, log: &Log) {
        let mut places: BTreeMap<u64, String> = BTreeMap::new();
        for (partition, held) in &log.partitions {
            let mut highest: Option<u64> = None;
            for record in held {
                let place = format!("offset {} of partition {partition}", record.offset);
                let number =
                    record.what.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')?.parse().ok());
                let Some(number) = number.filter(|number| *number < sent) else {
                    self.uncalled.push(format!("{} was never sent, and is at {place}", record.what));
                    continue;
                };
                if aborted.contains(&number) {
                    self.uncalled.push(format!("{} was aborted, and is at {place}", record.what));
                }
                if let Some(first) = places.get(&number) {
                    // A second copy out of order is one fault, not two.
                    self.duplicated.push(format!("{} is at {first} and at {place}", record.what));
                    continue;
                }
                if let Some(before) = highest.filter(|before| *before > number) {
                    self.reordered.push(format!("{} is behind {name}:{before}, at {place}", record.what));
                }
                highest = highest.max(Some(number));
                places.insert(number, place);
            }
        }
    }
}

/// What is wrong with what a consumer read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Held, and never read.
    pub missed: Vec<String>,
    /// Read, and not what is held there.
    pub altered: Vec<String>,
    /// How often something was read again: after a rejoin that is as it should be.
    pub read_again: usize,
}

/// Judges what a consumer wrote down by what the log of its topic holds; a consumer that may read uncommitted records
/// is judged by a topic without transactions.
pub fn consumed(journal: &Journal, log: &Log) -> Consumed {
    let mut verdict = Consumed::default();
    let mut read: BTreeMap<(i32, i64), &str> = BTreeMap::new();
    for line in &journal.lines {
        let Entry::Read { partition, offset, what } = &line.entry else { continue };
        match read.insert((*partition, *offset), what) {
            None => {}
            Some(before) if before == what => verdict.read_again += 1,
            Some(before) => {
                verdict
                    .altered
                    .push(format!("{before}, then {what} at offset {offset} of partition {partition}"));
            }
        }
    }
    for (partition, held) in &log.partitions {
        for record in held {
            let place = format!("offset {} of partition {partition}", record.offset);
            match read.remove(&(*partition, record.offset)) {
                None => verdict.missed.push(format!("{} at {place}", record.what)),
                Some(what) if what == record.what => {}
                Some(what) => {
                    verdict.altered.push(format!("{what} was read, {} is held at {place}", record.what));
                }
            }
        }
    }
    let nowhere = |((partition, offset), what): ((i32, i64), &str)| {
        format!("{what} was read, and nothing is held at offset {offset} of partition {partition}")
    };
    verdict.altered.extend(read.into_iter().map(nowhere));
    verdict
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
