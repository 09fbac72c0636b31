//! Reloads and ends: what stays does not notice, what is gone drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use testkit::gateway::Reloaded;
use testkit::raw::{self, HeadStyle, RawClient};
use testkit::{Gateway, GatewayConfig};

use crate::ground::{ALICE, BINARY, BOB, Ground, Way, scenarios};
use crate::users::log_in;

scenarios! {
    both:;
    full: a_hundred_reloads_under_load_are_not_noticed;
    new: connections_of_a_removed_user_drain_and_others_stay, added_listeners_and_clusters_serve_and_removed_ones_end,
        at_sigterm_what_was_asked_is_answered_and_nobody_is_let_in;
}

const LIMIT: Duration = Duration::from_secs(30);
/// Records on their way.
const WAITING_MAX: u64 = 500;

/// A gateway of this scenario's own.
fn gateway(ground: &Ground) -> (Gateway, GatewayConfig) {
    let config = GatewayConfig::in_front_of(&ground.cluster).unwrap().with_users(&[ALICE, BOB]);
    (Gateway::start(BINARY, &config).unwrap(), config)
}

fn way<'g>(ground: &'g Ground, gateway: &Gateway) -> Way<'g> {
    Way { label: "reload", bootstrap: gateway.address(), ..ground.through(ALICE) }
}

/// What librdkafka complained about, and what was delivered.
#[derive(Clone, Default)]
struct Seen {
    delivered: Arc<AtomicU64>,
    errors: Arc<std::sync::Mutex<Vec<String>>>,
}

impl ClientContext for Seen {
    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.lock().unwrap().push(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Seen {}

impl ProducerContext for Seen {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.delivered.fetch_add(1, Ordering::SeqCst)),
            Err((error, _)) => self.errors.lock().unwrap().push(error.to_string()),
        }
    }
}

fn a_hundred_reloads_under_load_are_not_noticed(ground: &Ground) {
    let (mut gateway, config) = gateway(ground);
    let way = way(ground, &gateway);
    let topic = way.topic("hundred", 3);
    let seen = Seen::default();
    let over = AtomicBool::new(false);
    let (written, read) = thread::scope(|scope| {
        let produce = || {
            let config = way.librdkafka();
            let producer: ThreadedProducer<Seen> = config.create_with_context(seen.clone()).unwrap();
            let mut count = 0_u64;
            while !over.load(Ordering::SeqCst) {
                // On a busy machine brokers may take fewer than come: what is left is flushed in time all the same.
                if count - seen.delivered.load(Ordering::SeqCst) < WAITING_MAX {
                    let record = BaseRecord::<(), _>::to(&topic).payload(&[7_u8; 500]);
                    count += u64::from(producer.send(record).is_ok());
                }
                thread::sleep(Duration::from_millis(1));
            }
            producer.flush(LIMIT).unwrap();
            count
        };
        let writer = scope.spawn(produce);
        let reader = scope.spawn(|| consume(&way, &topic, &seen, &over));
        // The load is on before anything is reloaded.
        testkit::wait::until("delivered records", LIMIT, || {
            Ok((seen.delivered.load(Ordering::SeqCst) > 100).then_some(()))
        })
        .unwrap();
        let ended = count(&gateway, "connections_ended", &[]);
        reload_a_hundred_times(&mut gateway, &config);
        assert_eq!(count(&gateway, "connections_ended", &[]), ended, "{}", gateway.log());
        over.store(true, Ordering::SeqCst);
        (writer.join().unwrap(), reader.join().unwrap())
    });
    assert!(seen.errors.lock().unwrap().is_empty(), "{:?}", seen.errors);
    assert_eq!(seen.delivered.load(Ordering::SeqCst), written);
    assert_eq!(read, written);
}

/// Reads until all that was delivered is read and the load is over.
fn consume(way: &Way<'_>, topic: &str, seen: &Seen, over: &AtomicBool) -> u64 {
    let mut config = way.librdkafka();
    config.set("group.id", topic).set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer<Seen> = config.create_with_context(seen.clone()).unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (mut count, mut news) = (0, Instant::now());
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            assert_eq!(message.unwrap().payload_len(), 500);
            count += 1;
            news = Instant::now();
        }
        let all = over.load(Ordering::SeqCst) && count >= seen.delivered.load(Ordering::SeqCst);
        // The last flush may still be on its way.
        if all && news.elapsed() > Duration::from_secs(2) || news.elapsed() > LIMIT {
            return count;
        }
    }
}

fn reload_a_hundred_times(gateway: &mut Gateway, config: &GatewayConfig) {
    for round in 0..100 {
        if round % 10 == 5 {
            let refused = gateway.reload_text("[[cluster]]\nbootstrap = 7\n").unwrap();
            assert_eq!(refused, Reloaded::Refused);
            continue;
        }
        let mut changed = config.clone();
        changed.more +=
            ["[log]\nfilter = \"info\"\n", "[log]\nfilter = \"info,portcullis=debug\"\n"][round % 2];
        changed.users.push((format!("carol-{round}"), "carol-secret".to_owned()));
        gateway.reload(&changed).unwrap();
    }
    assert_eq!(count(gateway, "reloads", &[("result", "refused")]), "10");
    assert_eq!(count(gateway, "reloads", &[("result", "applied")]), "90");
}

/// A counter's sum, as it is written.
fn count(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> String {
    gateway.metric(&format!("portcullis_{name}_total"), labels).unwrap().to_string()
}

/// Asks for metadata of no topic, as any connection in use may.
fn ask(client: &mut RawClient) -> std::io::Result<Vec<u8>> {
    client.ask(&raw::request(3, 1, 9, "test", HeadStyle::Classic, &[0; 4]))
}

fn connections_of_a_removed_user_drain_and_others_stay(ground: &Ground) {
    let (mut gateway, mut config) = gateway(ground);
    let [mut alice, mut bob] = [ALICE, BOB].map(|(user, password)| {
        let mut client = RawClient::connect(gateway.address()).unwrap();
        assert_eq!(log_in(&mut client, user, password).0, 0);
        ask(&mut client).unwrap();
        client
    });
    config.users.retain(|(user, _)| user != ALICE.0);
    gateway.reload(&config).unwrap();
    assert!(alice.until_closed().unwrap().is_empty());
    ask(&mut bob).unwrap();
    let mut again = RawClient::connect(gateway.address()).unwrap();
    assert_ne!(log_in(&mut again, ALICE.0, ALICE.1).0, 0);
}

fn added_listeners_and_clusters_serve_and_removed_ones_end(ground: &Ground) {
    let (mut gateway, before) = gateway(ground);
    let mut config = before.clone();
    let added = config.listener();
    config.clusters[0].listeners.push(added.clone());
    let nodes = ground.cluster.node_addresses();
    let other = config.add_cluster("other", ground.cluster.bootstrap(), nodes).listeners[0].port;
    gateway.reload(&config).unwrap();
    for port in [added.port, other] {
        let way = Way { bootstrap: format!("127.0.0.1:{port}"), user: None, ..ground.through(ALICE) };
        let listing = way.kcat(&["-L"]).run().unwrap().ok().unwrap();
        assert!(listing.contains("3 brokers") && listing.contains(&format!(":{}", port + 2)), "{listing}");
    }
    let mut open = RawClient::connect(("127.0.0.1", added.port)).unwrap();
    ask(&mut open).unwrap();
    gateway.reload(&before).unwrap();
    assert!(open.until_closed().unwrap().is_empty());
    for port in [added.port, added.node_port_base + 1, other] {
        testkit::wait::until("a closed port", LIMIT, || {
            Ok(RawClient::connect(("127.0.0.1", port)).is_err().then_some(()))
        })
        .unwrap();
    }
}

fn at_sigterm_what_was_asked_is_answered_and_nobody_is_let_in(ground: &Ground) {
    ground.create_topic("sigterm", 1);
    let (mut gateway, config) = gateway(ground);
    // Fetch v4 that waits 2 s for a record that never comes: replica, wait, bytes, isolation, no topics but one. Of every
    // broker: only the partition's leader waits, the others say at once that they are not.
    let mut body = [(-1_i32).to_be_bytes(), 2000_i32.to_be_bytes(), 1_i32.to_be_bytes()].concat();
    body.extend_from_slice(&1_000_000_i32.to_be_bytes());
    body.push(0);
    body.extend_from_slice(&1_i32.to_be_bytes());
    raw::string(&mut body, "sigterm");
    body.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
    let nodes = config.clusters[0].listeners[0].node_port_base;
    let mut clients: Vec<RawClient> = ground
        .cluster
        .node_addresses()
        .keys()
        .map(|node| {
            let node = u16::try_from(*node).unwrap();
            let mut client = RawClient::connect(("127.0.0.1", nodes + node)).unwrap();
            assert_eq!(log_in(&mut client, ALICE.0, ALICE.1).0, 0);
            client.send(&raw::request(1, 4, 77, "test", HeadStyle::Classic, &body)).unwrap();
            client
        })
        .collect();
    let asked = f64::from(u8::try_from(clients.len()).unwrap());
    for (metric, labels, wanted) in
        [("portcullis_requests_total", &[("api", "Fetch")][..], asked), ("portcullis_in_flight", &[], 1.0)]
    {
        gateway
            .wait_metric(metric, labels, LIMIT, |count| count >= wanted)
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
    gateway.terminate().unwrap();
    testkit::wait::until("no new connections", LIMIT, || {
        Ok(RawClient::connect(("127.0.0.1", config.clusters[0].listeners[0].port)).is_err().then_some(()))
    })
    .unwrap();
    assert_ne!(gateway.http("/readyz").unwrap().0, 200);
    for client in &mut clients {
        let answer = client.receive().unwrap_or_else(|error| panic!("{error}:\n{}", gateway.log()));
        assert_eq!(answer[..4], 77_i32.to_be_bytes());
        assert!(client.until_closed().unwrap().is_empty());
    }
    assert!(gateway.wait_end(LIMIT).unwrap().success());
    let log = gateway.log();
    let (_, since) = log.split_once("INFO ending").unwrap();
    assert!(!since.contains("a port was added"), "{log}");
}
