//! Limits, as the client libraries that people use see them: everything arrives, late enough, without an error and without
//! a rebalance.

use std::thread;

use testkit::{Client, Gateway, GatewayConfig, Library};

use crate::ground::{ALICE, BINARY, Ground, Way, scenarios};

scenarios! {
    both:;
    full: no_library_trips_over_byte_rates, no_library_trips_over_held_requests;
    new:;
}

const MIB: f64 = 1024.0 * 1024.0;

/// A gateway with limits, each library with buckets of its own.
fn gateway(ground: &Ground, limits: &str) -> Gateway {
    let mut config = GatewayConfig::in_front_of(&ground.cluster).unwrap().with_users(&[ALICE]);
    config.more.push_str(limits);
    Gateway::start(BINARY, &config).unwrap()
}

/// Sends and reads with every library at once, each under its own client id; what a user would have noticed, and the
/// seconds that sending and reading took.
fn load(ground: &Ground, name: &str, gateway: &Gateway, records: u64) -> Vec<(Library, [f64; 2])> {
    let way = Way { label: "limits", bootstrap: gateway.address(), ..ground.through(ALICE) };
    thread::scope(|scope| {
        let runs = Library::ALL.map(|library| {
            let way = &way;
            scope.spawn(move || {
                let name = format!("{name}-{}", library.name());
                let topic = way.topic(&name, 3);
                let client = Client::new(library, &way.bootstrap, way.user);
                let sent = client.produce(&topic, records, 1024).option("--client-id", &name).run().unwrap();
                let read =
                    client.consume(&topic, &topic, records).option("--client-id", &name).run().unwrap();
                for report in [&sent, &read] {
                    assert_eq!(report.faults(), Vec::<String>::new(), "{report:?}");
                    assert_eq!(report.records, records, "{report:?}");
                }
                (library, [sent.seconds, read.seconds])
            })
        });
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
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
