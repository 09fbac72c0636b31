//! Limits, as the client libraries that people use see them: everything arrives, late enough, without an error and without
//! a rebalance.

mod caller;
mod crowd;
mod doors;
mod field;
mod log;
mod mutations;
mod overrides;
mod play;
mod program;
mod table;

use std::thread;

use testkit::place::{Breadth, breadth};
use testkit::{Client, Gateway, GatewayConfig, Library, Load};

use crate::ground::{ALICE, BINARY, Ground, Way, scenarios};

scenarios! {
    both:;
    full: no_library_trips_over_byte_rates, no_library_trips_over_held_requests, each_kind_by_each_key_is_kept_and_used,
        two_hundred_connections_share_a_limit_and_a_neighbour_notices_nothing,
        libraries_come_in_when_there_is_room, connections_come_at_their_rate,
        the_closest_override_is_in_force, changes_wait_for_their_turn;
    new:;
}

const MIB: f64 = 1024.0 * 1024.0;

/// A gateway with limits, each library with buckets of its own.
fn gateway(ground: &Ground, limits: &str) -> Gateway {
    let mut config = GatewayConfig::in_front_of(&ground.cluster).unwrap().with_users(&[ALICE]);
    config.more.push_str(limits);
    Gateway::start(BINARY, &config).unwrap()
}

/// Sends and reads with every library at once, each under its own client id: the seconds that sending and reading took.
/// Fails with all that a user would have noticed.
fn load(ground: &Ground, name: &str, gateway: &Gateway, records: u64) -> Vec<(Library, [f64; 2])> {
    let way = Way { label: "limits", bootstrap: gateway.address(), ..ground.through(ALICE) };
    let topic = |library: Library| way.topic(&format!("{name}-{}", library.name()), 3);
    let topics = Library::ALL.map(|library| (library, topic(library)));
    let ended: Vec<_> = thread::scope(|scope| {
        let runs = topics.map(|(library, topic)| {
            let client = Client::new(library, &way.bootstrap, way.user);
            scope.spawn(move || Ok::<_, String>((library, load_by(library, &client, &topic, records)?)))
        });
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let faults: Vec<&String> = ended.iter().filter_map(|end| end.as_ref().err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    ended.into_iter().flatten().collect()
}

/// The same with one library.
fn load_by(library: Library, client: &Client, topic: &str, records: u64) -> Result<[f64; 2], String> {
    let run = |load: Load| {
        let report =
            load.option("--client-id", topic).run().map_err(|error| format!("{library:?}: {error:#}"))?;
        let good = report.faults().is_empty() && report.records == records;
        good.then_some(report.seconds).ok_or_else(|| format!("{report:?}"))
    };
    Ok([run(client.produce(topic, records, 1024))?, run(client.consume(topic, topic, records))?])
}

fn no_library_trips_over_byte_rates(ground: &Ground) {
    let gateway = gateway(
        ground,
        "[[limit]]\nname = \"bytes\"\nkind = \"bytes\"\nby = [\"client_id\"]\nproduce_rate = \"1MiB/s\"\n\
         fetch_rate = \"1MiB/s\"\n",
    );
    let records = 6 * 1024;
    for (library, [_, reading]) in load(ground, "bytes", &gateway, records) {
        // One second's worth comes at once. A Fetch asks for no more than another one's, and there is one to each of three
        // brokers: what the last of them bring too much is debt that nobody waits for.
        let least = f64::from(6 * 1024 * 1024) / MIB - 4.0;
        assert!(reading > least * 0.95, "{} has read in {reading} s", library.name());
    }
}

fn no_library_trips_over_held_requests(ground: &Ground) {
    let gateway = gateway(
        ground,
        "[[limit]]\nname = \"paced\"\nkind = \"leaky-bucket\"\nby = [\"client_id\"]\nrate = 4\n\n\
         [[limit]]\nname = \"sliding\"\nkind = \"sliding-window\"\nby = [\"principal\", \"client_id\"]\ncount = 40\n\
         window = \"5s\"\n\n\
         [[limit]]\nname = \"in-flight\"\nkind = \"concurrency\"\nby = [\"client_id\"]\nin_flight = 2\n",
    );
    load(ground, "held", &gateway, 300);
}

fn each_kind_by_each_key_is_kept_and_used(ground: &Ground) {
    // A measurement, which wants a machine to itself; three rounds let every program meet every row.
    if breadth() == Breadth::Full {
        (0..3).for_each(|round| play::table(ground, round));
    }
}

fn two_hundred_connections_share_a_limit_and_a_neighbour_notices_nothing(ground: &Ground) {
    // A measurement as well.
    if breadth() == Breadth::Full {
        crowd::crowds_and_their_neighbour(ground);
    }
}

fn libraries_come_in_when_there_is_room(ground: &Ground) {
    doors::libraries_come_in_when_there_is_room(ground);
}

fn connections_come_at_their_rate(ground: &Ground) {
    doors::connections_come_at_their_rate(ground);
}

fn the_closest_override_is_in_force(ground: &Ground) {
    overrides::the_closest_is_in_force(ground);
}

fn changes_wait_for_their_turn(ground: &Ground) {
    mutations::changes_wait_for_their_turn(ground);
}
