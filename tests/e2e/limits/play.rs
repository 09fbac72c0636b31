//! Plays rows of the table: programs send and read under each limit, raw clients keep it busy meanwhile, and what came to the
//! brokers is held against it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use testkit::witness::Passed;
use testkit::{Pace, wait, witness};
use wire::Api;

use super::caller::{Busy, Question, StaysBusy};
use super::field::{Field, Player};
use super::program::PROGRAMS;
use super::table::{Allows, Case, Key, Kind, Stalled, TABLE, Unit, Work};
use super::{caller, log};
use crate::clients::has_coordinator;
use crate::ground::{Ground, create_all_on};

/// Of a topic only the records count: about so many bytes are around them in a request,
const AROUND_SENT: u64 = 65;
/// and in an answer.
const AROUND_ANSWERED: u64 = 85;

/// What members of a group and those who look at it send.
const OF_GROUPS: [Api; 6] =
    [Api::OffsetFetch, Api::OffsetCommit, Api::JoinGroup, Api::SyncGroup, Api::Heartbeat, Api::LeaveGroup];

/// For how long a bucket is kept busy, at the least,
const BUSY: Duration = Duration::from_secs(8);
/// by how many raw clients at each partition.
const CALLERS: usize = 2;
/// A stall that is longer costs some of a limit: by then all have gone that had a place in the queue before it.
pub(super) const STALL_SECONDS: f64 = 0.25;

/// What a small machine can do without becoming the limit itself.
const ROWS_AT_ONCE: usize = 8;

/// A row, and the clients of each of its buckets.
pub(super) type Row = (Case, Vec<Vec<Player>>);

/// Plays the whole table once, with other programs in each round; fails with all that was wrong.
pub(super) fn table(ground: &Ground, round: usize) {
    let limits: String = TABLE.iter().map(|case| case.to_toml()).collect();
    let names: Vec<&str> = TABLE.iter().map(|case| case.name).collect();
    let field = Field::new(ground, &limits, &names, round);
    let row = |(row, case): (usize, &Case)| {
        let program = |place: usize| PROGRAMS[(3 * round + row + place) % PROGRAMS.len()];
        (*case, field.buckets(*case, [program(0), program(1), program(2)]))
    };
    play(&field, &TABLE.iter().enumerate().map(row).collect::<Vec<_>>());
}

/// Plays rows, some at a time; fails with all that was wrong.
pub(super) fn play(field: &Field<'_>, rows: &[Row]) {
    prepare(field, rows);
    let (next, starting) = (Mutex::new(rows.iter()), Mutex::new(()));
    let play_on = || {
        let mut faults = Vec::new();
        while let Some((case, buckets)) = { next.lock().unwrap().next() } {
            faults.extend(play_row(field, *case, buckets, &starting));
        }
        faults
    };
    let faults: Vec<String> = thread::scope(|scope| {
        let players: Vec<_> = (0..ROWS_AT_ONCE).map(|_| scope.spawn(play_on)).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Makes topics, and groups' coordinators.
fn prepare(field: &Field<'_>, rows: &[Row]) {
    let players = || rows.iter().flat_map(|(_, buckets)| buckets.iter().flatten());
    let topics: BTreeSet<&str> = players().map(|player| player.topic.as_str()).collect();
    create_all_on(&field.ground.cluster, &topics.iter().map(|topic| log::topic(topic)).collect::<Vec<_>>());
    players().for_each(|player| has_coordinator(field.ground, &player.group));
}

/// Plays one row; what was wrong with it.
fn play_row(field: &Field<'_>, case: Case, buckets: &[Vec<Player>], starting: &Mutex<()>) -> Vec<String> {
    let busy: Vec<(f64, Vec<String>)> = thread::scope(|scope| {
        let alone = starting.lock().unwrap();
        let program = |player| scope.spawn(move || noticed(case, player));
        let programs = buckets.iter().map(|bucket| bucket.iter().map(program).collect::<Vec<_>>());
        let programs: Vec<_> = programs.collect();
        all_have_begun(field, buckets);
        drop(alone);
        let mut loads = Vec::new();
        for (bucket, programs) in buckets.iter().zip(programs) {
            loads.push(scope.spawn(move || keep_busy(field, case, bucket, programs)));
        }
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    let mut faults = Vec::new();
    for (bucket, (busy_since, noticed)) in buckets.iter().zip(busy) {
        faults.extend(noticed);
        faults.extend(held_against_the_limit(field, case, bucket, busy_since));
    }
    faults
}

/// Waits until every client of a row has asked a broker for something: what all of them need to start, at the same moment,
/// would be more than a small machine has.
fn all_have_begun(field: &Field<'_>, buckets: &[Vec<Player>]) {
    wait::until("the clients of a row", Duration::from_mins(1), || {
        let passed = field.witness.passed();
        let has = |player: &Player| passed.iter().any(|passed| *passed.client_id == player.client_id);
        Ok(buckets.iter().flatten().all(has).then_some(()))
    })
    .unwrap();
}

/// Keeps a bucket busy, while its programs send and read: since when, and what was noticed by them.
fn keep_busy<'s>(
    field: &Field<'_>,
    case: Case,
    bucket: &'s [Player],
    programs: Vec<ScopedJoinHandle<'s, Vec<String>>>,
) -> (f64, Vec<String>) {
    let (busy, since, begun) = (Busy::default(), witness::now(), Instant::now());
    // Under the names of one who may share nothing with the first but what the key looks at.
    let player = bucket.last().unwrap();
    let leaders = if case.by == Key::Group {
        vec![log::coordinator(&field.ground.cluster, &player.group); 3]
    } else {
        log::leaders(&field.ground.cluster, &player.topic)
    };
    let places = (0..).zip(leaders).flat_map(|place| [place; CALLERS]);
    let callers: Vec<_> =
        places.map(|(partition, node)| call(case, player.clone(), partition, node, busy.sign())).collect();
    thread::scope(move |scope| {
        scope.spawn(|| caller::all(callers));
        let faults = programs.into_iter().flat_map(|program| program.join().unwrap()).collect();
        thread::sleep(BUSY.saturating_sub(begun.elapsed()));
        drop(busy);
        (since, faults)
    })
}

/// Always has a few requests waiting.
async fn call(case: Case, player: Player, partition: i32, node: i32, busy: StaysBusy) {
    let Work { size, batch, .. } = case.work();
    let (client_id, topic) = (&player.client_id, &player.topic);
    let question = match case.kind {
        _ if case.by == Key::Group => Question::offsets(client_id, &player.group),
        Kind::FetchBytes => Question::fetch(client_id, topic, partition, 4 << 10),
        Kind::Windows(..) | Kind::LeakyBucket | Kind::Concurrency | Kind::ProduceBytes => {
            Question::produce(client_id, topic, partition, &caller::batch(batch, size))
        }
    };
    // Those behind the first are there whether a broker is slow to answer or not. Readers ask for one thing at a time.
    let deep = if case.kind == Kind::FetchBytes { 1 } else { 16 };
    let mut caller = player.caller(node).await;
    for _ in 0..deep {
        caller.send(&question).await.unwrap();
    }
    while busy.goes_on() {
        caller.receive(&question).await.unwrap();
        caller.send(&question).await.unwrap();
    }
}

/// A program sends and reads; what its user would have noticed.
fn noticed(case: Case, player: &Player) -> Vec<String> {
    let faults: Vec<String> = thread::scope(|scope| {
        let reads = player.reads.then(|| scope.spawn(|| player.reads(case)));
        let sent = player.sends(case);
        [sent, reads.map_or_else(Vec::new, |reads| reads.join().unwrap())].concat()
    });
    faults.into_iter().map(|fault| format!("{}: {fault}", case.name)).collect()
}

/// What is wrong with what came to the brokers.
fn held_against_the_limit(field: &Field<'_>, case: Case, bucket: &[Player], busy_since: f64) -> Vec<String> {
    let is_of = |passed: &Passed| bucket.iter().any(|player| player.client_id == *passed.client_id);
    let sends = |passed: &Passed| passed.key == Api::Produce.key() && is_of(passed);
    if let Allows::AtOnce(most) = case.allows {
        let had = field.witness.most_in_flight(sends);
        let is_kept = had == usize::try_from(most).unwrap();
        return (!is_kept)
            .then(|| format!("{}: {had} at once instead of {most}", case.name))
            .into_iter()
            .collect();
    }
    let pace = pace(field, case, bucket);
    let (from, until) = pace.span().unwrap_or_default();
    let mut longest = field.stalls.longest(from, until).max(field.witness.longest_dial(is_of));
    if matches!(case.kind, Kind::Windows(_, Unit::Records)) {
        // The time is the broker's, which has to come to it.
        longest = longest.max(field.witness.longest_answer(sends));
    }
    let stalled = Stalled { longest, lost: field.stalls.sum(busy_since, until, STALL_SECONDS) };
    let programs: Vec<_> = bucket.iter().map(|player| player.program).collect();
    let faults = case.faults(&pace, busy_since, &stalled).into_iter();
    faults.map(|fault| format!("{fault}, {programs:?}")).collect()
}

/// How fast that went which a bucket limits.
fn pace(field: &Field<'_>, case: Case, bucket: &[Player]) -> Pace {
    let is_of = |passed: &Passed| bucket.iter().any(|player| player.client_id == *passed.client_id);
    let sends = |passed: &Passed| passed.key == Api::Produce.key() && is_of(passed);
    let is_by_topic = case.by == Key::Topic;
    match case.kind {
        Kind::Windows(_, Unit::Records) => {
            let topics: BTreeSet<&str> = bucket.iter().map(|player| player.topic.as_str()).collect();
            log::records(&field.ground.cluster, &topics)
        }
        Kind::Windows(_, Unit::Bytes) | Kind::ProduceBytes => {
            let around = if is_by_topic { AROUND_SENT } else { 0 };
            field.witness.requests(|passed| sends(passed).then(|| passed.bytes.saturating_sub(around)))
        }
        Kind::FetchBytes => {
            let around = if is_by_topic { AROUND_ANSWERED } else { 0 };
            field.witness.answered_bytes(|passed| passed.key == Api::Fetch.key() && is_of(passed), around)
        }
        Kind::Windows(_, Unit::Requests) | Kind::LeakyBucket | Kind::Concurrency => {
            let counts = |passed: &Passed| {
                is_of(passed)
                    && (case.by != Key::Group || OF_GROUPS.iter().any(|api| api.key() == passed.key))
                    && (!case.is_of_produce() || sends(passed))
            };
            field.witness.requests(|passed| counts(passed).then_some(1))
        }
    }
}
