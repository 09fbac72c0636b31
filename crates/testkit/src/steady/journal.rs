//! What a client wrote down, line by line; tests/clients/python/steady.py describes the lines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Where a program was told of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whence {
    /// By what ended it before its time.
    Fatal,
    /// By a commit of offsets.
    Commit,
    /// By a poll.
    Poll,
    /// By a callback or a channel of errors.
    Callback,
    /// While it ended.
    End,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The program began.
    Begin {
        /// The library's version.
        version: String,
    },
    /// A record was acknowledged.
    Ack {
        /// Which one the producer's is.
        number: u64,
        /// The partition.
        partition: i32,
        /// Its offset; none where the library was not told, which happens to records that were sent twice.
        offset: Option<i64>,
        /// Since it was sent.
        latency_us: u64,
    },
    /// A send failed.
    Failed {
        /// Which one the producer's is.
        number: u64,
        /// What the program was told.
        why: String,
    },
    /// The record's transaction was aborted.
    Aborted {
        /// Which one the producer's is.
        number: u64,
    },
    /// A record was read.
    Read {
        /// The partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Whose, and which one: `name:number`.
        what: String,
    },
    /// Offsets were committed.
    Committed,
    /// Partitions were assigned.
    Assigned {
        /// How many.
        partitions: u32,
    },
    /// Partitions were taken away.
    Revoked,
    /// The program was told of an error.
    Error {
        /// Where.
        whence: Whence,
        /// What it was told.
        why: String,
    },
    /// The library logged an error.
    Logged {
        /// What it logged.
        text: String,
    },
    /// The program was told to end.
    Ending,
    /// The program ended.
    End {
        /// Numbers below were sent.
        sent: u64,
    },
}

/// A line: when, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds since 1970.
    pub at_us: u64,
    /// What happened.
    pub entry: Entry,
}

/// What a client wrote down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// In the order in which it was written, which is nearly that of time.
    pub lines: Vec<Line>,
}

impl Journal {
    /// Reads what there is of a journal.
    pub fn load(path: &Path) -> Result<Journal> {
        let text = fs::read(path).with_context(|| format!("no journal {}", path.display()))?;
        Journal::parse(&String::from_utf8_lossy(&text))
            .with_context(|| format!("in the journal {}", path.display()))
    }

    /// Reads the lines; the last one may be under way, and is left out until it is whole.
    pub fn parse(text: &str) -> Result<Journal> {
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let lines = whole.lines().map(|line| parse(line).with_context(|| format!("not understood: {line}")));
        Ok(Journal { lines: lines.collect::<Result<_>>()? })
    }

    /// Whether something was acknowledged or read.
    pub fn has_begun(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.entry, Entry::Ack { .. } | Entry::Read { .. }))
    }

    /// Whether the program came to its end.
    pub fn has_ended(&self) -> bool {
        matches!(self.lines.last(), Some(Line { entry: Entry::End { .. }, .. }))
    }

    /// Whether this place of a partition was read, or one after it.
    pub fn has_read(&self, partition: i32, offset: i64) -> bool {
        self.lines.iter().rev().any(|line| {
            matches!(line.entry, Entry::Read { partition: of, offset: at, .. } if of == partition && at >= offset)
        })
    }

    /// Notes an error that the program could not note itself.
    pub fn add_error(&mut self, whence: Whence, why: String) {
        let at_us = self.lines.last().map_or(0, |line| line.at_us);
        self.lines.push(Line { at_us, entry: Entry::Error { whence, why } });
    }
}

fn parse(line: &str) -> Result<Line> {
    let mut fields = line.split('\t');
    let mut next = |what: &str| fields.next().with_context(|| format!("no {what}"));
    let kind = next("kind")?;
    let at_us = microseconds(next("time")?)?;
    let entry = match kind {
        "begin" => {
            next("library")?;
            Entry::Begin { version: next("version")?.to_owned() }
        }
        "ack" => {
            let number = next("number")?.parse()?;
            next("topic")?;
            let partition = next("partition")?.parse()?;
            let offset = Some(next("offset")?.parse()?).filter(|offset| *offset >= 0);
            Entry::Ack { number, partition, offset, latency_us: microseconds(next("latency")?)? }
        }
        "failed" => Entry::Failed { number: next("number")?.parse()?, why: next("text")?.to_owned() },
        "aborted" => Entry::Aborted { number: next("number")?.parse()? },
        "read" => {
            next("topic")?;
            let partition = next("partition")?.parse()?;
            let offset = next("offset")?.parse()?;
            Entry::Read { partition, offset, what: next("what")?.to_owned() }
        }
        "committed" => Entry::Committed,
        "assigned" => Entry::Assigned { partitions: next("partitions")?.parse()? },
        "revoked" => Entry::Revoked,
        "error" => Entry::Error { whence: whence(next("where")?)?, why: next("text")?.to_owned() },
        "logged" => Entry::Logged { text: next("text")?.to_owned() },
        "ending" => Entry::Ending,
        "end" => Entry::End { sent: next("sent")?.parse()? },
        other => anyhow::bail!("no kind of line: {other}"),
    };
    Ok(Line { at_us, entry })
}

fn whence(name: &str) -> Result<Whence> {
    Ok(match name {
        "fatal" => Whence::Fatal,
        "commit" => Whence::Commit,
        "poll" => Whence::Poll,
        "callback" => Whence::Callback,
        "end" => Whence::End,
        other => anyhow::bail!("no place of errors: {other}"),
    })
}

/// `12.345` milliseconds, always with three decimals.
fn microseconds(text: &str) -> Result<u64> {
    let (whole, rest) = text.split_once('.').context("no decimals")?;
    anyhow::ensure!(rest.len() == 3, "not three decimals: {text}");
    Ok(whole.parse::<u64>()? * 1000 + rest.parse::<u64>()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Entry, Journal, Line, Whence};

    #[test]
    fn a_journal_is_read_up_to_its_last_whole_line() {
        let text = "begin\t1700000000000.001\tlibrdkafka\t2.1\nack\t1700000000001.000\t7\tt\t1\t-1\t0.250\n\
                    error\t1700000000002.000\tcommit\tbroker is gone\nread\t17000000";
        let journal = Journal::parse(text).unwrap();
        let base = 1_700_000_000_000_000;
        let ack = Entry::Ack { number: 7, partition: 1, offset: None, latency_us: 250 };
        let error = Entry::Error { whence: Whence::Commit, why: "broker is gone".to_owned() };
        let begin = Entry::Begin { version: "2.1".to_owned() };
        let expected = [(base + 1, begin), (base + 1000, ack), (base + 2000, error)];
        assert_eq!(journal.lines, expected.map(|(at_us, entry)| Line { at_us, entry }));
        assert!(Journal::parse("ack\t1.000\tx\n").is_err());
    }
}
