//! Limits of connections: libraries that find no place, and those that have to wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use testkit::{Library, wait, witness};

use super::caller::{self, Busy};
use super::field::{Field, Player};
use super::log;
use super::play::STALL_SECONDS;
use super::program::Program;
use super::table::{Allows, Case, Key, Kind, Stalled};
use crate::clients::has_coordinator;
use crate::ground::{Ground, create_all_on};

const RECORDS: u64 = 50;
const SIZE: usize = 1000;
/// Connections that others have open.
const TAKEN: usize = 12;
/// A library that has been turned away so often has seen it.
const TURNED_AWAY: f64 = 3.0;
/// Raw clients that connect, ask, and leave, again and again;
const COMERS: usize = 30;
/// so long.
const BUSY: Duration = Duration::from_secs(8);

/// A user of each library's own, and a field with these limits.
fn field<'g>(ground: &'g Ground, subject: &str, limits: &str) -> (Field<'g>, Vec<(Library, Player)>) {
    let field = Field::new(ground, limits, &Library::ALL.map(Library::name), 0);
    let player = |library: Library| field.player(library.name(), Program::Library(library));
    let players = Library::ALL.map(|library| (library, player(library).of_subject(subject))).to_vec();
    (field, players)
}

fn prepare(ground: &Ground, players: &[(Library, Player)]) {
    let topics: Vec<_> = players.iter().map(|(_, player)| log::topic(&player.topic)).collect();
    create_all_on(&ground.cluster, &topics);
    for (_, player) in players {
        has_coordinator(ground, &player.group);
    }
}

/// All places of each library's principal are taken: its connections are held, then closed. When there is room again, it
/// goes on by itself, and everything is delivered.
pub(super) fn libraries_come_in_when_there_is_room(ground: &Ground) {
    let limit = |library: Library| {
        // aiokafka gives up where not even its first connection comes to anything.
        let count = if library == Library::Aiokafka { TAKEN + 1 } else { TAKEN };
        let name = library.name();
        format!(
            "[[limit]]\nname = {name:?}\nkind = \"connections\"\nby = [\"principal\"]\ncount = {count}\n\
             match = {{ principal = [\"{name}.*\"] }}\nmax_throttle = \"500ms\"\n\n"
        )
    };
    let (field, players) = field(ground, "places", &Library::ALL.map(limit).concat());
    prepare(ground, &players);
    // Who has prepared has left.
    let patience = Duration::from_mins(1);
    field.gateway.wait_metric("portcullis_connections_open", &[], patience, |open| open < 0.5).unwrap();
    let faults: Vec<String> = thread::scope(|scope| {
        let comes_in = |(library, player)| comes_in(&field, library, player);
        let runs: Vec<_> = players
            .iter()
            .map(|(library, player)| scope.spawn(move || comes_in((*library, player))))
            .collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What went wrong.
fn comes_in(field: &Field<'_>, library: Library, player: &Player) -> Vec<String> {
    let nodes = log::leaders(&field.ground.cluster, &player.topic);
    let (begun, busy) = (Arc::new(AtomicUsize::new(0)), Busy::default());
    let other = |number: usize| {
        let (player, node) = (player.clone(), nodes[number % nodes.len()]);
        let (begun, busy) = (Arc::clone(&begun), busy.sign());
        async move {
            let _place = player.caller(node).await;
            begun.fetch_add(1, Ordering::Relaxed);
            while busy.goes_on() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let others: Vec<_> = (0..TAKEN).map(other).collect();
    let sent = thread::scope(|scope| {
        let busy = busy;
        scope.spawn(|| caller::all(others));
        let are_in = || Ok((begun.load(Ordering::Relaxed) == TAKEN).then_some(()));
        wait::until("others", Duration::from_mins(1), are_in).unwrap();
        let sends = player.client(library).produce(&player.topic, RECORDS, SIZE).begin().unwrap();
        let (labels, patience) = ([("limit", library.name())], Duration::from_mins(1));
        let is_enough = |rejected: f64| rejected >= TURNED_AWAY;
        field.gateway.wait_metric("portcullis_limit_rejected_total", &labels, patience, is_enough).unwrap();
        drop(busy);
        sends.end().unwrap()
    });
    let read = player.client(library).consume(&player.topic, &player.group, RECORDS).run().unwrap();
    let mut faults = read.faults();
    // That connections were closed it may tell.
    if !sent.done || sent.records != RECORDS {
        faults.push(format!("{sent:?}"));
    }
    faults
}

/// Connections come at their rate, and libraries wait for their turn among them without noticing.
pub(super) fn connections_come_at_their_rate(ground: &Ground) {
    let case = Case {
        name: "comers",
        kind: Kind::LeakyBucket,
        by: Key::Address,
        matches: "",
        allows: Allows::Rate { rate: 40, burst: 20 },
    };
    let limit = "[[limit]]\nname = \"comers\"\nkind = \"connection-rate\"\nby = [\"address\"]\nrate = 40\nburst = 20\n\
                 match = { cluster = [\"second\"] }\n";
    let (field, players) = field(ground, "comers", limit);
    prepare(ground, &players);
    let nodes = log::leaders(&ground.cluster, &players[0].1.topic);
    // Passwords that have been seen once cost no time.
    let first = nodes[0];
    let knock = |(_, player): (Library, Player)| async move { drop(player.caller(first).await) };
    caller::all(players.iter().cloned().map(knock));
    let players: Vec<(Library, Player)> =
        players.into_iter().map(|(library, player)| (library, player.of_second())).collect();
    let busy = Busy::default();
    let comer = |number: usize| {
        let (player, node) = (players[number % players.len()].1.clone(), nodes[number % nodes.len()]);
        let busy = busy.sign();
        async move {
            while busy.goes_on() {
                drop(player.caller(node).await);
            }
        }
    };
    let (comers, since): (Vec<_>, f64) = ((0..COMERS).map(comer).collect(), witness::now());
    let faults: Vec<String> = thread::scope(|scope| {
        let busy = busy;
        scope.spawn(|| caller::all(comers));
        let run = |library: Library, player: &Player| {
            let client = player.client(library);
            let sent = client.produce(&player.topic, RECORDS, SIZE).run().unwrap();
            let read = client.consume(&player.topic, &player.group, RECORDS).run().unwrap();
            [sent.faults(), read.faults()].concat()
        };
        let runs: Vec<_> =
            players.iter().map(|(library, player)| scope.spawn(move || run(*library, player))).collect();
        let faults = runs.into_iter().flat_map(|run| run.join().unwrap()).collect();
        thread::sleep(BUSY.saturating_sub(Duration::from_secs_f64(witness::now() - since)));
        drop(busy);
        faults
    });
    let until = witness::now();
    let (longest, lost) = (field.stalls.longest(since, until), field.stalls.sum(since, until, STALL_SECONDS));
    let paced = case.faults(&field.came_to_second(), since, &Stalled { longest, lost });
    let faults = [faults, paced].concat();
    assert!(faults.is_empty(), "{faults:#?}");
}
