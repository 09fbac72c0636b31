//! Two hundred connections of one principal under each of several limits at once, and a neighbour who has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::witness::Passed;
use testkit::{Pace, wait, witness};
use wire::Api;

use super::caller::{self, Busy, Caller, Question};
use super::field::{Field, Player};
use super::log;
use super::program::Program;
use super::table::{Allows, Case, Key, Kind, Stalled, Unit, Windows};
use crate::ground::{Ground, create_all_on};

/// Connections of each principal.
const CONNECTIONS: usize = 200;
/// How long they are watched, once all of them have begun: so long that what one of them may be ahead is little of it.
const BUSY: Duration = Duration::from_secs(20);
/// How long the neighbour is watched without them.
const ALONE: Duration = Duration::from_secs(3);
/// What delays nobody notices.
const UNNOTICED: Duration = Duration::from_millis(50);

const CROWDS: [Case; 4] = [
    Case {
        name: "paced",
        kind: Kind::LeakyBucket,
        by: Key::Principal,
        matches: "principal = [\"paced.*\"], api = [\"Produce\"]",
        allows: Allows::Rate { rate: 100, burst: 20 },
    },
    Case {
        name: "sliding",
        kind: Kind::Windows(Windows::Sliding, Unit::Requests),
        by: Key::Principal,
        matches: "principal = [\"sliding.*\"], api = [\"Produce\"]",
        allows: Allows::Window { count: 300, seconds: 3 },
    },
    Case {
        name: "sent",
        kind: Kind::ProduceBytes,
        by: Key::Principal,
        matches: "principal = [\"sent.*\"]",
        allows: Allows::Rate { rate: 200 << 10, burst: 200 << 10 },
    },
    Case {
        name: "read",
        kind: Kind::FetchBytes,
        by: Key::Principal,
        matches: "principal = [\"read.*\"]",
        allows: Allows::Rate { rate: 200 << 10, burst: 200 << 10 },
    },
];

/// The two hundred of one principal.
struct Crowd {
    case: Case,
    player: Player,
    leaders: Vec<i32>,
}

/// How long somebody's requests took.
struct Took(Vec<Duration>);

/// Fails with all that is wrong about the limits of crowds, about whom of them they serve, and about their neighbour's time.
pub(super) fn crowds_and_their_neighbour(ground: &Ground) {
    let limits: String = CROWDS.iter().map(|case| case.to_toml()).collect();
    let names: Vec<&str> = CROWDS.iter().map(|case| case.name).chain(["neighbour"]).collect();
    let field = Field::new(ground, &limits, &names, 0);
    let players: Vec<Player> =
        names.iter().map(|name| field.player(name, Program::Kcat).of_subject("crowd")).collect();
    create_all_on(
        &ground.cluster,
        &players.iter().map(|player| log::topic(&player.topic)).collect::<Vec<_>>(),
    );
    let leaders = |player: &Player| log::leaders(&ground.cluster, &player.topic);
    for player in &players {
        fill(player, &leaders(player));
    }
    let (neighbour, crowds) = players.split_last().unwrap();
    let crowds: Vec<Crowd> = CROWDS
        .into_iter()
        .zip(crowds)
        .map(|(case, player)| Crowd { case, player: player.clone(), leaders: leaders(player) })
        .collect();
    let at_home = leaders(neighbour);
    let before = lives(neighbour, &at_home, ALONE);
    let (begun, busy) = (Arc::new(AtomicUsize::new(0)), Busy::default());
    let (since, beside) = thread::scope(|scope| {
        let busy = busy;
        for crowd in &crowds {
            let members = crowd.members(&begun, &busy);
            scope.spawn(move || caller::all(members));
        }
        let all = CONNECTIONS * crowds.len();
        let has_begun = || Ok((begun.load(Ordering::Relaxed) == all).then_some(()));
        wait::until("two hundred connections", Duration::from_mins(2), has_begun).unwrap();
        let since = witness::now();
        let beside = lives(neighbour, &at_home, BUSY);
        drop(busy);
        (since, beside)
    });
    let until = since + BUSY.as_secs_f64();
    let after = lives(neighbour, &at_home, ALONE);
    let mut faults: Vec<String> =
        crowds.iter().flat_map(|crowd| crowd.faults(&field, since, until)).collect();
    let stalled = field.stalls.longest(since, until);
    for (part, of_hundred) in [("half", 50), ("99 of 100", 99)] {
        let alone = before.quantile(of_hundred).max(after.quantile(of_hundred));
        let (now, most) =
            (beside.quantile(of_hundred), alone * 3 + UNNOTICED + Duration::from_secs_f64(stalled));
        if now > most {
            faults.push(format!("{part} of the neighbour's requests take {now:?}, and {alone:?} alone"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Something to read.
fn fill(player: &Player, leaders: &[i32]) {
    let places: Vec<(i32, i32)> = (0..).zip(leaders.iter().copied()).collect();
    // Two hundred of them are less than what may be read at once.
    let batch = caller::batch(1, 300);
    caller::all(places.into_iter().map(|(partition, node)| {
        let question = Question::produce("filler", &player.topic, partition, &batch);
        let player = player.clone();
        async move {
            let mut caller = player.caller(node).await;
            caller.ask(&question).await.unwrap();
        }
    }));
}

/// Sends and reads for a while, one request after the other.
fn lives(player: &Player, leaders: &[i32], time: Duration) -> Took {
    let (player, node) = (player.clone(), leaders[0]);
    let life = async move {
        let mut caller = player.caller(node).await;
        let questions = [
            Question::produce(&player.client_id, &player.topic, 0, &caller::batch(1, 900)),
            Question::fetch(&player.client_id, &player.topic, 0, 4 << 10),
        ];
        let (begun, mut took) = (Instant::now(), Vec::new());
        while begun.elapsed() < time {
            for question in &questions {
                let asked = Instant::now();
                caller.ask(question).await.unwrap();
                took.push(asked.elapsed());
            }
        }
        took.sort_unstable();
        Took(took)
    };
    caller::all([life]).remove(0)
}

impl Took {
    fn quantile(&self, of_hundred: usize) -> Duration {
        self.0[(self.0.len() * of_hundred / 100).min(self.0.len() - 1)]
    }
}

impl Crowd {
    fn members(&self, begun: &Arc<AtomicUsize>, busy: &Busy) -> Vec<impl Future<Output = ()> + use<>> {
        let member = |number: usize| {
            let partition = number % self.leaders.len();
            let (player, node) = (self.player.clone(), self.leaders[partition]);
            let (begun, busy) = (Arc::clone(begun), busy.sign());
            let question = self.question(i32::try_from(partition).unwrap());
            async move {
                let mut caller: Caller = player.caller(node).await;
                begun.fetch_add(1, Ordering::Relaxed);
                while busy.goes_on() {
                    caller.ask(&question).await.unwrap();
                }
            }
        };
        (0..CONNECTIONS).map(member).collect()
    }

    fn question(&self, partition: i32) -> Question {
        let Player { client_id, topic, .. } = &self.player;
        if self.case.kind == Kind::FetchBytes {
            Question::fetch(client_id, topic, partition, 1 << 10)
        } else {
            Question::produce(client_id, topic, partition, &caller::batch(1, 900))
        }
    }

    /// What is wrong with what came to the brokers, all of it and that of each connection.
    fn faults(&self, field: &Field<'_>, since: f64, until: f64) -> Vec<String> {
        let api = if self.case.kind == Kind::FetchBytes { Api::Fetch } else { Api::Produce };
        let is_of = |passed: &Passed| *passed.client_id == *self.player.client_id && passed.key == api.key();
        let pace: Pace = match self.case.kind {
            Kind::FetchBytes => field.witness.answered_bytes(is_of, 0),
            Kind::ProduceBytes => field.witness.requests(|passed| is_of(passed).then_some(passed.bytes)),
            Kind::Windows(..) | Kind::LeakyBucket | Kind::Concurrency => {
                field.witness.requests(|passed| is_of(passed).then_some(1))
            }
        };
        let pace = pace.within(0.0, until);
        let stalls = &field.stalls;
        let longest = stalls.longest(since, until).max(field.witness.longest_dial(is_of));
        let stalled = Stalled { longest, lost: stalls.sum(since, until, 1.0) };
        let mut faults = self.case.faults(&pace, since, &stalled);
        let mut shares = std::collections::BTreeMap::new();
        for passed in field.witness.passed().iter().filter(|passed| is_of(passed)) {
            if (since..until).contains(&passed.at) {
                *shares.entry(passed.connection).or_insert(0) += 1;
            }
        }
        let (least, most) = (shares.values().min().copied(), shares.values().max().copied());
        if shares.len() < CONNECTIONS || most > least.map(|least| least * 2) {
            let name = self.case.name;
            faults.push(format!("{name}: {} connections had {least:?} to {most:?} requests", shares.len()));
        }
        faults
    }
}
