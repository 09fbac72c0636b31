#![allow(clippy::unwrap_used, clippy::panic)]
//! The rules as sentences, and that every code finds its place in the answer of every version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::CorrelationId;
use wire::api::{Api, Stance};
use wire::meter::{Echo, Topic, Visit};
use wire::reader::Encoding;
use wire::refuse;
use wire::writer::Writer;

use super::deadline::deadline;
use super::{Asked, Fate, Sent, Whom, allowed, fate};

/// Requests of all APIs and versions, as Java's clients write them: api, version, body, and what is not of use here.
const REQUESTS: [&str; 2] = [
    include_str!("../../../wire/tests/vectors/refusals.txt"),
    include_str!("../../../wire/tests/vectors/refusals-3.9.1.txt"),
];

const SENT: [Sent; 3] = [Sent::Not, Sent::NotBehindRecords, Sent::Wholly];

fn requests() -> impl Iterator<Item = (Api, i16, Vec<u8>)> {
    let lines = REQUESTS.iter().flat_map(|file| file.lines()).filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split(' ');
        let api = Api::from_key(words.next().unwrap().parse().unwrap()).unwrap();
        let version = words.next().unwrap().parse().unwrap();
        let body = words.next().unwrap().trim_start_matches('-');
        let byte = |at| u8::from_str_radix(&body[at..at + 2], 16).unwrap();
        (api, version, (0..body.len()).step_by(2).map(byte).collect())
    })
}

fn hold(or: i16) -> Fate {
    Fate::Hold { to: Whom::SameNode, or }
}

fn again(or: i16) -> Fate {
    Fate::SendAgain { to: Whom::SameNode, or }
}

#[track_caller]
fn assert_fates(apis: &[Api], asked: Asked, not: Fate, wholly: Fate) {
    for api in apis {
        let fates = [Sent::Not, Sent::Wholly].map(|sent| fate(*api, asked, sent).unwrap());
        assert_eq!(fates, [not, wholly], "{api}");
    }
}

#[test]
fn records_are_never_sent_twice_and_never_overtake_others() {
    let asked = Asked::Records { acks: -1 };
    assert_fates(&[Api::Produce], asked, hold(6), Fate::Answer(7));
    assert_eq!(fate(Api::Produce, asked, Sent::NotBehindRecords), Some(Fate::Answer(6)));
    for sent in SENT {
        assert_eq!(fate(Api::Produce, Asked::Records { acks: 0 }, sent), Some(Fate::Forget));
        for acks in [-1, 1, 2] {
            let fate = fate(Api::Produce, Asked::Records { acks }, sent).unwrap();
            assert!(!matches!(fate, Fate::SendAgain { .. } | Fate::Forget), "{acks}");
        }
    }
}

#[test]
fn what_only_reads_is_sent_again() {
    let any = |or| [Fate::Hold { to: Whom::AnyNode, or }, Fate::SendAgain { to: Whom::AnyNode, or }];
    for (api, or) in [(Api::Metadata, 5), (Api::FindCoordinator, 15), (Api::DescribeCluster, 7)] {
        let [not, wholly] = any(or);
        assert_fates(&[api], Asked::Plain, not, wholly);
    }
    let [not, wholly] = any(14);
    assert_fates(&[Api::InitProducerId], Asked::Plain, not, wholly);
    let of_partitions = [Api::ListOffsets, Api::OffsetForLeaderEpoch, Api::DescribeProducers, Api::Fetch];
    assert_fates(&of_partitions, Asked::Plain, hold(6), again(6));
    assert_fates(&[Api::Fetch], Asked::InSession, hold(70), again(70));
    assert_fates(&[Api::OffsetFetch, Api::DescribeGroups], Asked::Plain, hold(16), again(16));
    for api in Api::ALL.into_iter().filter(|api| fate(*api, Asked::Plain, Sent::Wholly).is_some()) {
        if api.name().starts_with("Describe") || api.name().starts_with("List") {
            let fate = fate(api, Asked::Plain, Sent::Wholly).unwrap();
            assert!(matches!(fate, Fate::SendAgain { .. }), "{api}");
        }
    }
}

#[test]
fn members_and_transactions_look_for_their_coordinator_again() {
    let to = Whom::Coordinator;
    let (not, wholly) = (Fate::Hold { to, or: 16 }, Fate::SendAgain { to, or: 16 });
    assert_fates(&[Api::Heartbeat, Api::OffsetCommit], Asked::Plain, not, wholly);
    assert_fates(&[Api::LeaveGroup], Asked::Plain, not, Fate::Answer(16));
    // Longer than a controller takes to miss a broker, and not as long as any client waits for an answer.
    let patience = to.patience(Duration::from_secs(5));
    assert!(patience > Duration::from_secs(9) && patience < Duration::from_secs(30));
    let repeated = [
        Api::JoinGroup,
        Api::SyncGroup,
        Api::ConsumerGroupHeartbeat,
        Api::ShareGroupHeartbeat,
        Api::StreamsGroupHeartbeat,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::EndTxn,
        Api::TxnOffsetCommit,
    ];
    assert_fates(&repeated, Asked::Plain, hold(16), Fate::Answer(16));
    assert_fates(&[Api::InitProducerId], Asked::Transactional, hold(16), Fate::Answer(16));
    let share = [Api::ShareFetch, Api::ShareAcknowledge];
    assert_fates(&share, Asked::InSession, hold(122), Fate::Answer(122));
    assert_fates(&share, Asked::Plain, hold(6), again(6));
}

#[test]
fn a_change_is_never_made_twice_behind_the_back_of_who_asked_for_it() {
    let changes =
        ["Create", "Delete", "Alter", "Incremental", "Elect", "Update", "Unregister", "OffsetDelete"];
    let mut seen = 0;
    for api in Api::ALL.into_iter().filter(|api| changes.iter().any(|begin| api.name().starts_with(begin))) {
        let Some(wholly) = fate(api, Asked::Plain, Sent::Wholly) else { continue };
        assert_eq!(wholly, Fate::Answer(7), "{api}");
        assert!(matches!(fate(api, Asked::Plain, Sent::Not), Some(Fate::Hold { .. })), "{api}");
        seen += 1;
    }
    assert_eq!(seen, 18);
}

#[test]
fn what_brokers_answer_has_a_fate_and_nothing_else_has() {
    for api in Api::ALL {
        let by_brokers = matches!(api.stance(), Stance::Proxied | Stance::Admin);
        for sent in SENT {
            assert_eq!(fate(api, Asked::Plain, sent).is_some(), by_brokers, "{api}");
        }
    }
}

#[test]
fn every_code_finds_its_place_in_the_answer_of_every_version() {
    let mut told = BTreeMap::<(Api, i16), BTreeSet<Sent>>::new();
    for (api, version, body) in requests() {
        let asked = Asked::of(api, version, &body);
        for sent in SENT {
            let code = fate(api, asked, sent).unwrap().code().unwrap();
            let frame = refuse::refuse(api, version, CorrelationId(0), &body, code, "").unwrap();
            if frame[8..].windows(2).any(|two| two == code.to_be_bytes()) {
                told.entry((api, version)).or_default().insert(sent);
            }
        }
    }
    for api in Api::ALL.into_iter().filter(|api| fate(*api, Asked::Plain, Sent::Not).is_some()) {
        for version in api.row().min..=api.row().max {
            // Brokers cannot say what is wrong there either.
            let has_slot = api != Api::DescribeLogDirs || version >= 3;
            let all = told.get(&(api, version)).is_some_and(|sent| sent.len() == SENT.len());
            assert_eq!(all, has_slot && api != Api::Produce, "{api} {version}");
        }
    }
}

#[test]
fn a_produce_of_every_version_is_answered_from_its_echo() {
    for version in 0..=13 {
        let mut echo = Echo::new();
        echo.topic(if version >= 13 { Topic::Id([3; 16]) } else { Topic::Name(b"orders") });
        echo.partition(9);
        for sent in SENT {
            let code = fate(Api::Produce, Asked::Records { acks: 1 }, sent).unwrap().code().unwrap();
            let frame = refuse::produce::refuse(version, CorrelationId(0), &echo, code, "", 0).unwrap();
            let partition = [&9_i32.to_be_bytes()[..], &code.to_be_bytes()].concat();
            assert!(frame.windows(6).any(|bytes| bytes == partition), "{version}");
        }
    }
}

#[test]
fn what_a_fate_hangs_on_is_read_from_the_body() {
    let produce = |version: i16, acks: i16| {
        let mut body = Writer::new(Encoding::of(version >= 9));
        if version >= 3 {
            body.nullable_string(Some("t"));
        }
        body.i16(acks);
        body.i32(30_000);
        Asked::of(Api::Produce, version, &body.into_bytes())
    };
    let fetch = |version: i16, epoch: i32| {
        let mut body = Writer::new(Encoding::of(version >= 12));
        if version < 15 {
            body.i32(-1);
        }
        for number in [500, 1, 1 << 20] {
            body.i32(number);
        }
        body.i8(0);
        body.i32(77);
        body.i32(epoch);
        Asked::of(Api::Fetch, version, &body.into_bytes())
    };
    for version in 0..=13 {
        assert_eq!(
            [0, 1, -1].map(|acks| produce(version, acks)),
            [0, 1, -1].map(|acks| Asked::Records { acks })
        );
    }
    for version in 7..=18 {
        let asked = [-1, 0, 1, i32::MAX].map(|epoch| fetch(version, epoch));
        assert_eq!(asked, [Asked::Plain, Asked::Plain, Asked::InSession, Asked::InSession], "{version}");
    }
    assert_eq!(fetch(6, 1), Asked::Plain);
    let share = |epoch: i32| {
        let body = [&[2, b'g', 2, b'm'][..], &epoch.to_be_bytes()].concat();
        [Api::ShareFetch, Api::ShareAcknowledge].map(|api| Asked::of(api, 1, &body))
    };
    assert_eq!(share(0), [Asked::Plain; 2]);
    assert_eq!([share(-1), share(1)], [[Asked::InSession; 2]; 2]);
    assert_eq!(Asked::of(Api::InitProducerId, 1, &[0xff, 0xff]), Asked::Plain);
    assert_eq!(Asked::of(Api::InitProducerId, 2, &[0]), Asked::Plain);
    assert_eq!(Asked::of(Api::InitProducerId, 2, &[2, b't']), Asked::Transactional);
}

#[test]
fn where_the_body_does_not_tell_the_fate_is_on_the_safe_side() {
    assert_eq!(Asked::of(Api::Produce, 9, &[0x7f]), Asked::Records { acks: -1 });
    assert_eq!(Asked::of(Api::Fetch, 12, &[]), Asked::Plain);
    assert_eq!(Asked::of(Api::ShareFetch, 1, &[]), Asked::InSession);
    assert_eq!(Asked::of(Api::InitProducerId, 4, &[]), Asked::Transactional);
}

#[test]
fn a_deadline_is_what_the_request_itself_says() {
    let mut last = BTreeMap::new();
    for (api, version, body) in requests() {
        last.insert((api, version), deadline(api, version, &body).map(|time| time.as_millis()));
    }
    let of =
        |api: Api| (api.row().min..=api.row().max).map(|version| last[&(api, version)]).collect::<Vec<_>>();
    assert_eq!(of(Api::Fetch), vec![Some(500); 19]);
    assert_eq!(of(Api::ShareFetch), vec![Some(500); 2]);
    assert_eq!(of(Api::CreateTopics), vec![Some(60_000); 8]);
    assert_eq!(of(Api::UpdateFeatures), vec![Some(60_000); 3]);
    assert_eq!(of(Api::ElectLeaders), vec![Some(5); 3]);
    assert_eq!(of(Api::DeleteRecords), vec![Some(5); 3]);
    assert_eq!(of(Api::AlterPartitionReassignments), vec![Some(5); 2]);
    assert_eq!(of(Api::ListPartitionReassignments), [Some(60_000)]);
    // Java leaves these fields at 0, in version 0 of JoinGroup at 9.
    assert_eq!(of(Api::DeleteTopics), vec![Some(0); 7]);
    assert_eq!(of(Api::CreatePartitions), vec![Some(0); 4]);
    assert_eq!(of(Api::ListOffsets), [vec![None; 10], vec![Some(0); 2]].concat());
    assert_eq!(of(Api::JoinGroup), [vec![Some(9)], vec![None; 9]].concat());
    assert_eq!(of(Api::Heartbeat), vec![None; 5]);
    let produce = [&[0, 0xff, 0xff][..], &30_000_i32.to_be_bytes()].concat();
    assert_eq!(deadline(Api::Produce, 9, &produce), Some(Duration::from_secs(30)));
    assert_eq!(deadline(Api::Produce, 9, &produce[..6]), None);
    assert_eq!(deadline(Api::Fetch, 4, &[0xff; 8]), None, "below zero");
    assert_eq!(deadline(Api::Fetch, 19, &produce), None);
    let of = |api, body| allowed(api, 9, body).as_secs();
    assert_eq!((of(Api::Produce, &produce[..]), of(Api::Produce, &[]), of(Api::Fetch, &[])), (30, 30, 30));
    assert_eq!((of(Api::SyncGroup, &[]), of(Api::JoinGroup, &[]), of(Api::Heartbeat, &[])), (300, 300, 0));
}
