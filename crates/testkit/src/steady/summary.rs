//! How a client fared, by its own journal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::{Entry, Journal, Whence};

/// What a user of the client would have noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The library's version.
    pub version: String,
    /// Records that were acknowledged or read.
    pub records: u64,
    /// Sends that failed.
    pub failed_sends: u64,
    /// Errors by where the program was told of them.
    pub errors: BTreeMap<Whence, u64>,
    /// What sends and errors said, each once, with how often.
    pub said: BTreeMap<String, u64>,
    /// Errors that the library logged, which no program sees.
    pub logged: u64,
    /// The first of them.
    pub first_logged: Option<String>,
    /// The longest time without an acknowledgement, or without a record that was read; none where there was nothing at all.
    pub pause: Option<Duration>,
    /// When it began, in microseconds since 1970.
    pub pause_begun_us: u64,
    /// The same within one partition, while others may have gone on.
    pub partition_pause: Option<Duration>,
    /// How often partitions were assigned or taken away after the first assignment.
    pub rejoins: u64,
}

impl Summary {
    /// Of a journal; pauses are looked for between these moments, in microseconds since 1970.
    pub fn of(journal: &Journal, from_us: u64, until_us: u64) -> Summary {
        let mut summary = Summary::default();
        let (mut assigned, mut revoked) = (0, 0);
        let mut moments: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        for line in &journal.lines {
            match &line.entry {
                Entry::Begin { version } => summary.version.clone_from(version),
                Entry::Ack { partition, .. } | Entry::Read { partition, .. } => {
                    summary.records += 1;
                    moments.entry(*partition).or_default().push(line.at_us);
                }
                Entry::Failed { why, .. } => {
                    summary.failed_sends += 1;
                    *summary.said.entry(format!("send: {why}")).or_default() += 1;
                }
                Entry::Error { whence, why } => {
                    *summary.errors.entry(*whence).or_default() += 1;
                    *summary.said.entry(format!("{}: {why}", name(*whence))).or_default() += 1;
                }
                // Some libraries join before they know the topic's partitions: the first assignment is the first of any.
                Entry::Assigned { partitions } => assigned += u64::from(assigned > 0 || *partitions > 0),
                Entry::Revoked => revoked += u64::from(assigned > 0),
                Entry::Logged { text } => {
                    summary.logged += 1;
                    summary.first_logged.get_or_insert_with(|| text.clone());
                }
                Entry::Aborted { .. } | Entry::Committed | Entry::Ending | Entry::End { .. } => {}
            }
        }
        summary.rejoins = revoked.max(assigned.saturating_sub(1));
        let longest = |moments: Vec<u64>| longest_pause(moments, from_us, until_us);
        summary.partition_pause =
            moments.values().filter_map(|at| longest(at.clone())).map(|(pause, _)| pause).max();
        if let Some((pause, begun_us)) = longest(moments.into_values().flatten().collect()) {
            (summary.pause, summary.pause_begun_us) = (Some(pause), begun_us);
        }
        summary
    }

    /// Failed sends, commits, polls, and whatever else the program was told.
    pub fn faults(&self) -> u64 {
        self.failed_sends + self.errors.values().sum::<u64>()
    }
}

/// The longest pause and when it began. The first moment may be later than where the search begins: then the client was.
fn longest_pause(mut moments: Vec<u64>, from_us: u64, until_us: u64) -> Option<(Duration, u64)> {
    moments.sort_unstable();
    moments.retain(|at| *at < until_us);
    moments.push(until_us);
    let pauses = moments.iter().zip(moments.iter().skip(1)).filter(|(_, end)| **end > from_us);
    pauses.map(|(begin, end)| (Duration::from_micros(end - begin), *begin)).max()
}

fn name(whence: Whence) -> &'static str {
    match whence {
        Whence::Fatal => "fatal",
        Whence::Commit => "commit",
        Whence::Poll => "poll",
        Whence::Callback => "callback",
        Whence::End => "end",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::{Journal, Summary};

    #[test]
    fn the_longest_pause_may_be_the_one_that_lasts_to_the_end() {
        let text =
            "read\t1000.000\tt\t0\t0\ta:0\nread\t1300.000\tt\t0\t1\ta:1\nread\t1400.000\tt\t0\t2\ta:2\n";
        let journal = Journal::parse(text).unwrap();
        let pause = |from_us, until_us| Summary::of(&journal, from_us, until_us).pause;
        assert_eq!(pause(0, 1_500_000), Some(Duration::from_millis(300)));
        assert_eq!(pause(0, 2_400_000), Some(Duration::from_secs(1)));
        assert_eq!(pause(1_350_000, 1_500_000), Some(Duration::from_millis(100)));
        assert_eq!(Summary::of(&Journal::default(), 0, 1).pause, None);
    }

    #[test]
    fn a_partition_may_pause_while_others_go_on() {
        let text =
            "read\t1000.000\tt\t0\t0\ta:0\nread\t1100.000\tt\t1\t0\ta:1\nread\t1200.000\tt\t0\t1\ta:2\n";
        let summary = Summary::of(&Journal::parse(text).unwrap(), 0, 1_200_001);
        assert_eq!(summary.pause, Some(Duration::from_millis(100)));
        assert_eq!(summary.partition_pause, Some(Duration::from_millis(200)));
    }

    #[test]
    fn only_what_comes_after_the_first_assignment_is_a_rejoin() {
        let lines = [
            "revoked\t1.000\t0",
            "assigned\t1.000\t0",
            "assigned\t1.000\t3",
            "revoked\t1.000\t3",
            "assigned\t1.000\t3",
        ];
        let rejoins =
            |count| Summary::of(&Journal::parse(&(lines[..count].join("\n") + "\n")).unwrap(), 0, 1).rejoins;
        assert_eq!((rejoins(3), rejoins(4), rejoins(5)), (0, 1, 1));
    }
}
