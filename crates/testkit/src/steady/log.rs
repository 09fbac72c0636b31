//! What the brokers hold of a topic, read back by kcat: neither the gateway nor a program under test is on that way.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::kafka::{KafkaCluster, Tool};

const LIMIT: Duration = Duration::from_mins(1);

/// A record that brokers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub offset: i64,
    /// Whose, and which one: `name:number`.
    pub what: String,
}

/// The records of a topic that readers may see, by partition and in the brokers' order; without those of transactions that
/// were aborted or are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// By partition.
    pub partitions: BTreeMap<i32, Vec<Held>>,
}

impl Log {
    /// Reads a topic to its end, past any gateway.
    pub fn read(cluster: &KafkaCluster, topic: &str) -> Result<Log> {
        // The machine's kcat with the machine's librdkafka: cargo's library path may give it another one.
        let tool = Tool::program("kcat", "env")
            .args(&["-u", "LD_LIBRARY_PATH", "kcat", "-b", &cluster.internal(), "-C", "-t", topic])
            .args(&[
                "-o",
                "beginning",
                "-e",
                "-q",
                "-f",
                "%p\t%o\t%s\n",
                "-X",
                "isolation.level=read_committed",
            ])
            .args(&["-X", "check.crcs=true"]);
        Log::parse(&tool.limit(LIMIT).run()?.ok()?)
    }

    fn parse(text: &str) -> Result<Log> {
        let mut log = Log::default();
        for line in text.lines() {
            let (partition, offset, what) =
                fields(line).with_context(|| format!("not understood: {line}"))?;
            log.partitions.entry(partition).or_default().push(Held { offset, what });
        }
        Ok(log)
    }

    /// The last record's offset by partition.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        let last = |(partition, held): (&i32, &Vec<Held>)| Some((*partition, held.last()?.offset));
        self.partitions.iter().filter_map(last).collect()
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.partitions.values().map(Vec::len).sum()
    }
}

fn fields(line: &str) -> Option<(i32, i64, String)> {
    let mut fields = line.split('\t');
    let partition = fields.next()?.parse().ok()?;
    let offset = fields.next()?.parse().ok()?;
    let (name, number) = fields.next()?.split_once(':')?;
    // The number ends at a colon, and then comes what fills the record.
    let number = number.split(':').next()?;
    Some((partition, offset, format!("{name}:{number}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Held, Log};

    #[test]
    fn records_are_read_with_their_places() {
        let log = Log::parse("0\t0\tjava:0:....\n1\t0\tjava:1:....\n0\t2\tjava:3:....\n").unwrap();
        assert_eq!(log.ends(), [(0, 2), (1, 0)].into());
        assert_eq!(log.partitions[&1], [Held { offset: 0, what: "java:1".to_owned() }]);
        assert!(Log::parse("0\t0\tnot ours\n").is_err());
    }
}
