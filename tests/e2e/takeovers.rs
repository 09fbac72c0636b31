//! The gateway follows itself again and again while clients are at it, and none of them notices.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use testkit::place::{Breadth, breadth};
use testkit::raw::{self, HeadStyle, RawClient};
use testkit::steady::{self, Entry, Fared, Protocol, Role, Stays, Steady, Whence, now_us};
use testkit::{Client, Gateway, GatewayConfig, Library};

use crate::ground::{ALICE, BINARY, Ground, scenarios};

scenarios! {
    both:;
    full:;
    new: the_gateway_is_replaced_under_load_and_no_client_notices;
}

/// For what must come. A producer that sends on and on without waiting may be owed the answers of half a minute, where
/// brokers are slow.
const LIMIT: Duration = Duration::from_secs(90);
const PARTITIONS: i32 = 3;

/// How often, and before whom.
fn extent() -> (usize, Vec<Library>) {
    match breadth() {
        Breadth::Covering => (6, vec![Library::Java, Library::Librdkafka]),
        Breadth::Full => (100, Library::ALL.to_vec()),
    }
}

fn the_gateway_is_replaced_under_load_and_no_client_notices(ground: &Ground) {
    let (times, libraries) = extent();
    let mut config = GatewayConfig::in_front_of(&ground.cluster).unwrap().with_users(&[ALICE]);
    config = config.with_takeover().unwrap();
    "[drain]\nshutdown = \"60s\"\nspread = \"3s\"\n".clone_into(&mut config.more);
    let mut gateway = Gateway::start(BINARY, &config).unwrap();
    let clients = begin(ground, &gateway, &libraries);
    let (over, welcomed) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = gateway.address();
    let from_us = now_us();
    let mut cut = Vec::new();
    thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                knock(&address, &welcomed);
            }
        });
        for _ in 0..times {
            let before = welcomed.load(Ordering::Relaxed);
            let next = gateway.followed(BINARY).unwrap();
            assert!(gateway.wait_end(LIMIT).unwrap().success(), "{}", gateway.log());
            cut.extend(gateway.log().lines().filter(|line| is_cut(line)).map(str::to_owned));
            gateway = next;
            testkit::wait::until("a client that came meanwhile", LIMIT, || {
                let came = welcomed.load(Ordering::Relaxed) > before || knocking.is_finished();
                Ok(came.then_some(()))
            })
            .unwrap();
        }
        over.store(true, Ordering::Relaxed);
        knocking.join().unwrap();
    });
    let fared = steady::end_all(clients, &ground.cluster, from_us).unwrap();
    let noticed: Vec<String> = fared.iter().flat_map(noticed).collect();
    assert!(noticed.is_empty() && cut.is_empty(), "{noticed:#?}\n{cut:#?}");
}

/// Whether this line of the log tells of a connection that ended otherwise than in order.
fn is_cut(line: &str) -> bool {
    line.contains("connection ended") && line.contains(" WARN ")
}

/// Starts a producer and a group's consumer on each library, and waits until they are at it.
fn begin(ground: &Ground, gateway: &Gateway, libraries: &[Library]) -> Vec<Stays> {
    let mut clients = Vec::new();
    for library in libraries {
        let topic = format!("takeovers-{}", library.name());
        ground.create_topic(&topic, PARTITIONS);
        let (name, partitions) = (topic.clone(), PARTITIONS);
        let producer = Role::Producer { name, partitions, rate: 50, transactional_id: None };
        let (group, protocol) = (topic.clone(), Protocol::Classic);
        let consumer = Role::Consumer { group, protocol, committed_only: false };
        // kafkajs gives a consumer up and starts it anew where closes come faster than its few retries, which they do
        // here, from node to node within a second.
        let reads = (*library != Library::KafkaJs).then_some(consumer);
        for role in std::iter::once(producer).chain(reads) {
            let client = Client::new(*library, &gateway.address(), Some(ALICE));
            let steady = Steady { client, topic: topic.clone(), role };
            clients.push(steady.begin(ground.cluster.directory()).unwrap());
        }
    }
    for client in &mut clients {
        client.wait_begun(Duration::from_mins(1)).unwrap();
    }
    clients
}

/// What a user of this client would have noticed.
fn noticed(fared: &Fared) -> Vec<String> {
    let mut fared = fared.clone();
    let told = fared.journal.lines.iter().filter(|line| tells_of_a_close(fared.library, &line.entry)).count();
    if let Some(errors) = fared.summary.errors.get_mut(&Whence::Callback) {
        *errors -= told as u64;
    }
    let mut noticed = fared.broken();
    if !noticed.is_empty() || fared.summary.rejoins > 0 {
        noticed.push(format!("{}: {:?}", fared.title, fared.summary));
    }
    noticed
}

/// Whether a library merely tells that a connection was closed, as it does of any: sarama's consumers have a channel that
/// hears of each. librdkafka's callback is for information, says its manual, and hears of it where brokers are out of
/// reach for a moment all at once; on a machine that is slow enough, a port's turn is such a moment. It also hears of logins that
/// librdkafka left by itself, because it was told of another coordinator meanwhile.
fn tells_of_a_close(library: Library, entry: &Entry) -> bool {
    let Entry::Error { whence: Whence::Callback, why } = entry else { return false };
    let words: &[&str] = match library {
        Library::Sarama => &["EOF", "broker not connected"],
        Library::Librdkafka => {
            &["_ALL_BROKERS_DOWN", "_TRANSPORT", "handshake failed: Local: Broker transport failure"]
        }
        Library::Java | Library::KafkaPython | Library::Aiokafka | Library::KafkaJs | Library::FranzGo => &[],
    };
    words.iter().any(|word| why.contains(word))
}

/// Comes, asks what is spoken here, and leaves. May be let go in order, but neither refused nor reset.
fn knock(address: &str, welcomed: &AtomicU64) {
    let mut client = RawClient::connect(address).unwrap_or_else(|error| panic!("connecting: {error}"));
    match client.ask(&raw::request(18, 0, 1, "knock", HeadStyle::Classic, &[])) {
        Ok(_) => drop(welcomed.fetch_add(1, Ordering::Relaxed)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("asking: {error}"),
    }
}
