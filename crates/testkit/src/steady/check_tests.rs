//! The judge is judged: by journals and logs that are made up, each with one thing wrong.
#![allow(clippy::unwrap_used)]

use super::{Consumed, Produced, consumed, produced};
use crate::steady::{Held, Journal, Log};

/// Two partitions: even numbers in the first, odd ones in the second; offset 2 of the first is a transaction's mark.
const HELD: [(i32, i64, u64); 6] = [(0, 0, 0), (0, 1, 2), (0, 3, 4), (1, 0, 1), (1, 1, 3), (1, 2, 5)];

fn log(held: &[(i32, i64, u64)]) -> Log {
    let mut log = Log::default();
    for (partition, offset, number) in held {
        let held = Held { offset: *offset, what: format!("p:{number}") };
        log.partitions.entry(*partition).or_default().push(held);
    }
    log
}

fn journal(lines: &[String]) -> Journal {
    Journal::parse(&lines.iter().flat_map(|line| [line, "\n"]).collect::<String>()).unwrap()
}

fn ack(partition: i32, offset: i64, number: u64) -> String {
    format!("ack\t1.000\t{number}\tt\t{partition}\t{offset}\t1.000")
}

/// The producer was told of everything that [`HELD`] holds.
fn acks() -> Vec<String> {
    HELD.iter().map(|(partition, offset, number)| ack(*partition, *offset, *number)).collect()
}

fn verdict(lines: &[String], held: &[(i32, i64, u64)]) -> Produced {
    produced("p", &journal(lines), &log(held))
}

fn fine() -> Produced {
    Produced { acknowledged: HELD.len(), ..Produced::default() }
}

#[test]
fn what_is_held_as_it_was_acknowledged_is_fine() {
    assert_eq!(verdict(&acks(), &HELD), fine());
}

#[test]
fn an_acknowledged_record_that_is_not_held_is_lost() {
    let without = [HELD[0], HELD[1], HELD[3], HELD[4], HELD[5]];
    let lost = vec!["p:4 is not at offset 3 of partition 0, but nothing".to_owned()];
    assert_eq!(verdict(&acks(), &without), Produced { lost, ..fine() });
    // Nor may a whole partition be gone.
    assert_eq!(verdict(&acks(), &HELD[..3]).lost.len(), 3);
}

#[test]
fn an_acknowledged_record_that_is_held_elsewhere_is_lost() {
    let moved = [HELD[0], HELD[1], (0, 4, 4), HELD[3], HELD[4], HELD[5]];
    let lost = vec!["p:4 is not at offset 3 of partition 0, but nothing; it is at 4".to_owned()];
    assert_eq!(verdict(&acks(), &moved), Produced { lost, ..fine() });
}

#[test]
fn a_record_that_is_held_twice_is_duplicated() {
    let twice = [&HELD[..3], &[(0, 4, 2)], &HELD[3..]].concat();
    let duplicated = vec!["p:2 is at offset 1 of partition 0 and at offset 4 of partition 0".to_owned()];
    assert_eq!(verdict(&acks(), &twice), Produced { duplicated, ..fine() });
    // In another partition as well.
    let twice = [&HELD[..], &[(1, 3, 4)]].concat();
    assert_eq!(verdict(&acks(), &twice).duplicated.len(), 1);
}

#[test]
fn a_record_behind_one_that_was_sent_later_is_reordered() {
    let swapped = [(0, 0, 2), (0, 1, 0), HELD[2], HELD[3], HELD[4], HELD[5]];
    let told = swapped.map(|(partition, offset, number)| ack(partition, offset, number));
    let reordered = vec!["p:0 is behind p:2, at offset 1 of partition 0".to_owned()];
    assert_eq!(verdict(&told, &swapped), Produced { reordered, ..fine() });
}

#[test]
fn a_record_that_nobody_sent_is_uncalled_for() {
    let more = [&HELD[..], &[(1, 3, 6)]].concat();
    let uncalled = vec!["p:6 was never sent, and is at offset 3 of partition 1".to_owned()];
    assert_eq!(verdict(&acks(), &more), Produced { uncalled, ..fine() });
    // It may have been sent without being acknowledged: nobody knows, and both is right.
    let failed = [acks(), vec!["failed\t1.000\t6\tno answer came".to_owned()]].concat();
    assert_eq!(verdict(&failed, &more), fine());
    assert_eq!(verdict(&failed, &HELD), fine());
}

#[test]
fn a_record_of_an_aborted_transaction_is_uncalled_for() {
    let aborted = [acks(), vec!["aborted\t1.000\t7".to_owned()]].concat();
    assert_eq!(verdict(&aborted, &HELD), fine());
    let more = [&HELD[..], &[(1, 3, 7)]].concat();
    let uncalled = vec!["p:7 was aborted, and is at offset 3 of partition 1".to_owned()];
    assert_eq!(verdict(&aborted, &more), Produced { uncalled, ..fine() });
}

#[test]
fn a_record_that_was_acknowledged_without_an_offset_is_looked_for() {
    let mut told = acks();
    told[1] = ack(0, -1, 2);
    assert_eq!(verdict(&told, &HELD), Produced { placeless: 1, ..fine() });
    let without = [HELD[0], HELD[2], HELD[3], HELD[4], HELD[5]];
    let lost = vec!["p:2 is nowhere in partition 0".to_owned()];
    assert_eq!(verdict(&told, &without), Produced { placeless: 1, lost, ..fine() });
}

fn reads(held: &[(i32, i64, u64)]) -> Vec<String> {
    held.iter()
        .map(|(partition, offset, number)| format!("read\t1.000\tt\t{partition}\t{offset}\tp:{number}"))
        .collect()
}

#[test]
fn a_consumer_may_read_again_but_not_miss_nor_alter() {
    let verdict = |read: &[(i32, i64, u64)]| consumed(&journal(&reads(read)), &log(&HELD));
    assert_eq!(verdict(&HELD), Consumed::default());
    let again = [&HELD[..], &HELD[2..3]].concat();
    assert_eq!(verdict(&again), Consumed { read_again: 1, ..Consumed::default() });
    let missed = vec!["p:5 at offset 2 of partition 1".to_owned()];
    assert_eq!(verdict(&HELD[..5]), Consumed { missed, ..Consumed::default() });
    let altered = [&HELD[..5], &[(1, 2, 4)]].concat();
    assert_eq!(verdict(&altered).altered, ["p:4 was read, p:5 is held at offset 2 of partition 1"]);
    let more = [&HELD[..], &[(1, 3, 7)]].concat();
    assert_eq!(verdict(&more).altered.len(), 1);
}
