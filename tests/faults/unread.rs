//! Peers that stop reading: what the gateway holds for them is bounded, nobody else notices, and nothing is lost of what was
//! held back.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use testkit::raw::{self, HeadStyle, sized};
use testkit::scripted::Request;
use testkit::{RawClient, Reply, wait};

use crate::bytes::{self, Bytes, FETCH, PRODUCE};
use crate::gone::produce;
use crate::limits::Gate;
use crate::stage::{LIMIT, Setup, Stage, is_well};

/// What a connection may hold: a buffer each way,
const BUFFER_KIB: u64 = 256;
/// what is kept of questions, and what is held of the gateway's own answers. These two grow by doubling.
const KEPT_KIB: u64 = 2 * 1024;
const HELD_KIB: u64 = 2 * 1024;
const CONNECTION_KIB: u64 = 2 * BUFFER_KIB + KEPT_KIB + HELD_KIB;
/// What the allocator has kept for itself, of answers of many sizes that are gone.
const ALLOCATOR_KIB: u64 = 32 * 1024;
/// Answers that a connection may be owed; `in_flight_max` by default.
const IN_FLIGHT_MAX: f64 = 128.0;

/// Clients of a test, unless what they send is large.
const CLIENTS: usize = 12;

const ELECT_LEADERS: i16 = 43;

/// Looks at a standstill, 25 ms apart.
const LOOKS: usize = 10;

fn patient(stage: &Stage) -> RawClient {
    let client = stage.client();
    client.patience(LIMIT).unwrap();
    client
}

/// Clients that ask everything and read nothing yet.
struct Deaf {
    clients: Vec<RawClient>,
    asking: Vec<JoinHandle<io::Result<()>>>,
    bystander: RawClient,
    before_kib: u64,
    taken_before: f64,
    asked_bytes: f64,
}

impl Deaf {
    fn asking(stage: &Stage, clients: usize, questions: Vec<u8>) -> Self {
        let mut bystander = stage.client();
        is_well(&mut bystander);
        let before_kib = stage.gateway.rss_kib().unwrap();
        let taken_before = moved(stage, "client", "in");
        let asked_bytes = number(clients * questions.len());
        let questions: Arc<[u8]> = questions.into();
        let clients: Vec<RawClient> = (0..clients).map(|_| patient(stage)).collect();
        let ask = |client: &RawClient| {
            let (mut stream, questions) = (client.stream().try_clone().unwrap(), Arc::clone(&questions));
            std::thread::spawn(move || stream.write_all(&questions))
        };
        let asking = clients.iter().map(ask).collect();
        Self { clients, asking, bystander, before_kib, taken_before, asked_bytes }
    }

    fn count(&self) -> u64 {
        self.clients.len() as u64
    }

    /// Waits until no byte moves any more, and judges.
    #[track_caller]
    fn are_held_back(&mut self, stage: &Stage) {
        stands_still(stage);
        // What the kernel keeps for the gateway is not read.
        let taken = moved(stage, "client", "in") - self.taken_before;
        assert!(taken < self.asked_bytes, "{taken} bytes: all questions were taken");
        for _ in 0..10 {
            is_well(&mut self.bystander);
            is_well(&mut stage.client());
        }
        let grown = stage.gateway.rss_kib().unwrap().saturating_sub(self.before_kib);
        let bound = ALLOCATOR_KIB + self.count() * CONNECTION_KIB;
        assert!(grown < bound, "{grown} KiB for {} connections, {bound} at most", self.count());
    }

    /// They read; `is_right` judges every client's answers by their number. Then all is as before.
    #[track_caller]
    fn hear(mut self, stage: &Stage, answers: Range<usize>, is_right: impl Fn(usize, &[u8]) -> bool + Sync) {
        std::thread::scope(|scope| {
            for client in &mut self.clients {
                let (answers, is_right) = (answers.clone(), &is_right);
                scope.spawn(move || {
                    for n in answers {
                        let answer = client.receive().unwrap();
                        assert!(is_right(n, &answer), "answer {n}: {:?}", &answer[..answer.len().min(40)]);
                    }
                });
            }
        });
        self.asking.into_iter().for_each(|asking| asking.join().unwrap().unwrap());
        self.clients.iter_mut().for_each(is_well);
        is_well(&mut self.bystander);
        let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
        assert!(in_flight < 0.5, "{in_flight} in flight");
    }
}

/// A count, to be compared with a metric.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Bytes that one peer's connections have brought or taken.
fn moved(stage: &Stage, peer: &str, direction: &str) -> f64 {
    let labels = [("peer", peer), ("direction", direction)];
    stage.gateway.metric("portcullis_bytes_total", &labels).unwrap()
}

#[track_caller]
fn stands_still(stage: &Stage) {
    let mut seen = (-1.0, 0);
    wait::until("a standstill", LIMIT, || {
        // Of what was read at once, requests are taken one by one.
        let counts = ["portcullis_bytes_total", "portcullis_requests_total"];
        let now = counts
            .iter()
            .try_fold(0.0, |sum, name| stage.gateway.metric(name, &[]).map(|count| sum + count))?;
        seen = if now > seen.0 { (now, 0) } else { (now, seen.1 + 1) };
        Ok((seen.1 >= LOOKS).then_some(()))
    })
    .unwrap();
}

fn begins_with(answer: &[u8], number: usize) -> bool {
    answer.starts_with(&i32::try_from(number).unwrap().to_be_bytes())
}

/// A broker that reads nothing behind a Produce before its gate is open.
fn deaf_broker(listener: Vec<&'static str>) -> (Stage, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let at_broker = Arc::clone(&gate);
    let stage = Stage::new(&Setup { listener, ..Setup::default() }, move |request| {
        (request.key() == PRODUCE).then(|| {
            at_broker.pass();
            Reply::Frame(request.correlation().to_vec())
        })
    });
    (stage, gate)
}

/// A broker whose answers to Fetch have so many bytes of records.
fn plentiful(records: usize, listener: Vec<&'static str>) -> (Stage, Vec<u8>, Arc<AtomicUsize>) {
    let answer = bytes::fetch_answer(&[], records, &[0]);
    let (canned, asked) = (answer.clone(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&asked);
    let stage =
        Stage::new(&Setup { listener, ..Setup::default() }, move |request: &Request| match request.key() {
            FETCH => {
                counted.fetch_add(1, Ordering::SeqCst);
                Some(Reply::Frame([request.correlation(), &canned].concat()))
            }
            PRODUCE => Some(Reply::Frame(request.correlation().to_vec())),
            _ => None,
        });
    (stage, answer, asked)
}

/// So many questions, each numbered.
fn questions(count: usize, ask: impl Fn(i32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|n| sized(&ask(i32::try_from(n).unwrap()))).collect()
}

#[test]
fn clients_that_ask_on_and_never_read_are_not_read_either() {
    const QUESTIONS: usize = 2400;
    let (stage, records, _) = plentiful(32_000, Vec::new());
    // A quarter of them has the answers that pile up: 19 MiB for each client.
    let all = questions(QUESTIONS, |n| match n % 4 {
        0 => bytes::fetch(n, &[0]),
        1 => bytes::metadata(12, n),
        2 => bytes::api_versions(0, n),
        _ => produce(n, 1, &[0], 1000),
    });
    let mut deaf = Deaf::asking(&stage, CLIENTS, all);
    deaf.are_held_back(&stage);
    let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
    assert!(in_flight <= number(CLIENTS) * IN_FLIGHT_MAX, "{in_flight} in flight");
    deaf.hear(&stage, 0..QUESTIONS, |n, answer| {
        begins_with(answer, n) && (n % 4 != 0 || answer[4..] == records[..])
    });
}

#[test]
fn clients_that_ask_on_and_never_read_are_let_go_in_the_end() {
    let (stage, ..) = plentiful(32_000, vec!["stall_timeout = \"500ms\""]);
    stage
        .ends(8, "client", "stalled", || Deaf::asking(&stage, 8, questions(1000, |n| bytes::fetch(n, &[0]))));
    is_well(&mut stage.client());
}

#[test]
fn clients_of_a_broker_that_never_reads_are_not_read_either() {
    const QUESTIONS: usize = 48;
    let (stage, gate) = deaf_broker(Vec::new());
    let all = questions(QUESTIONS, |n| produce(n, 1, &[0], 512 * 1024));
    let mut deaf = Deaf::asking(&stage, CLIENTS, all);
    deaf.are_held_back(&stage);
    let held = moved(&stage, "client", "in") - moved(&stage, "broker", "out");
    assert!(held <= 12.0 * 256.0 * 1024.0, "{held} bytes are in the gateway's hands");
    gate.open();
    deaf.hear(&stage, 0..QUESTIONS, |n, answer| begins_with(answer, n) && answer.len() == 4);
    // What came to the broker is what was asked: each once, byte for byte as long.
    let bytes = moved(&stage, "client", "in") - moved(&stage, "broker", "out");
    assert!(bytes.abs() < 0.5, "{bytes} bytes are lost");
}

#[test]
fn a_broker_that_never_reads_is_left_in_the_end() {
    let (stage, gate) = deaf_broker(vec!["stall_timeout = \"500ms\""]);
    let all = questions(48, |n| produce(n, 1, &[0], 512 * 1024));
    stage.ends(8, "broker", "stalled", || Deaf::asking(&stage, 8, all));
    is_well(&mut stage.client());
    gate.open();
}

#[test]
fn who_reads_byte_by_byte_gets_every_byte_and_makes_the_gateway_hold_nothing() {
    const RECORDS: usize = 24 << 20;
    let (stage, records, _) = plentiful(RECORDS, Vec::new());
    let mut bystander = stage.client();
    is_well(&mut bystander);
    let before = stage.gateway.rss_kib().unwrap();
    let mut readers: Vec<RawClient> = (0..4).map(|_| patient(&stage)).collect();
    std::thread::scope(|scope| {
        let reading: Vec<_> = readers
            .iter_mut()
            .map(|client| {
                let records = &records;
                scope.spawn(move || {
                    client.send(&bytes::fetch(7, &[0])).unwrap();
                    let mut answer = vec![0; 8 + records.len()];
                    let (slowly, rest) = answer.split_at_mut(200_000);
                    let mut stream = client.stream();
                    slowly.chunks_mut(1).for_each(|byte| stream.read_exact(byte).unwrap());
                    stream.read_exact(rest).unwrap();
                    assert!(begins_with(&answer[4..], 7) && answer[8..] == records[..]);
                })
            })
            .collect();
        while reading.iter().any(|reading| !reading.is_finished()) {
            is_well(&mut bystander);
            is_well(&mut stage.client());
            let grown = stage.gateway.rss_kib().unwrap().saturating_sub(before);
            assert!(grown < ALLOCATOR_KIB + 4 * CONNECTION_KIB, "{grown} KiB");
        }
    });
    readers.iter_mut().for_each(is_well);
}

#[test]
fn a_broker_that_answers_without_being_read_by_the_client_is_not_read_either() {
    const CLIENTS: usize = 8;
    const QUESTIONS: usize = 10;
    let (stage, records, asked) = plentiful(4 << 20, Vec::new());
    let mut bystander = stage.client();
    is_well(&mut bystander);
    let before = stage.gateway.rss_kib().unwrap();
    let mut clients: Vec<RawClient> = (0..CLIENTS).map(|_| patient(&stage)).collect();
    for client in &mut clients {
        client.send_bytes(&questions(QUESTIONS, |n| bytes::fetch(n, &[0]))).unwrap();
    }
    stands_still(&stage);
    let held = moved(&stage, "broker", "in") - moved(&stage, "client", "out");
    assert!(held <= 8.0 * 256.0 * 1024.0, "{held} bytes are in the gateway's hands");
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked < CLIENTS * QUESTIONS, "the broker could give all of its answers");
    let grown = stage.gateway.rss_kib().unwrap().saturating_sub(before);
    assert!(grown < ALLOCATOR_KIB + 8 * CONNECTION_KIB, "{grown} KiB");
    is_well(&mut bystander);
    for client in &mut clients {
        for n in 0..QUESTIONS {
            let answer = client.receive().unwrap();
            assert!(begins_with(&answer, n) && answer[4..] == records[..]);
        }
        is_well(client);
    }
}

#[test]
fn versions_asked_for_without_end_are_taken_no_further_than_answers_may_wait() {
    const CLIENTS: usize = 2;
    const QUESTIONS: usize = 60_000;
    let stage = Stage::plain();
    let answer = stage.client().ask(&bytes::api_versions(0, 1)).unwrap();
    let taken = || stage.gateway.metric("portcullis_requests_total", &[("api", "ApiVersions")]).unwrap();
    let (before, out) = (taken(), moved(&stage, "client", "out"));
    let mut deaf = Deaf::asking(&stage, CLIENTS, questions(QUESTIONS, |n| bytes::api_versions(0, n)));
    stands_still(&stage);
    let frames = (moved(&stage, "client", "out") - out) / number(sized(&answer).len());
    let waiting = taken() - before - frames;
    assert!(waiting <= 2.0 * IN_FLIGHT_MAX, "{waiting} answers wait");
    deaf.are_held_back(&stage);
    deaf.hear(&stage, 0..QUESTIONS, |n, told| begins_with(told, n) && told[4..] == answer[4..]);
}

/// An `ElectLeaders` v2 for so many partitions, which an ordinary client may not ask for: each is refused by its number.
fn elect_leaders(correlation: i32, partitions: i32) -> Vec<u8> {
    let mut body = Bytes::default().raw(&[0]).uvarint(2).compact("orders");
    body = body.uvarint(usize::try_from(partitions).unwrap() + 1);
    for partition in 0..partitions {
        body = body.i32(partition);
    }
    let body = body.uvarint(0).i32(1000).uvarint(0).0;
    raw::request(ELECT_LEADERS, 2, correlation, "test", HeadStyle::Flexible, &body)
}

/// A stage on which leaders are elected.
fn with_elections() -> Stage {
    Stage::new(&Setup::default(), |request| {
        let ranges = || [bytes::RANGES, &[(ELECT_LEADERS, 0, 2)]].concat();
        let asked = request.key() == bytes::API_VERSIONS;
        asked.then(|| Reply::Frame(bytes::api_versions_answer(request.correlation(), &ranges())))
    })
}

#[test]
fn a_request_that_is_refused_anyway_is_not_read_whole_when_it_is_large() {
    let stage = with_elections();
    stage.is_closed_for("client", "too-large", &sized(&elect_leaders(1, 70_000)));
    let refused = patient(&stage).ask(&elect_leaders(2, 20_000)).unwrap();
    assert!(refused.len() > 160_000);
}

#[test]
fn refusals_that_nobody_reads_are_not_piled_up_and_none_is_lost() {
    const QUESTIONS: usize = 90;
    let stage = with_elections();
    // Each is answered by twice as many bytes: 160 KB.
    let mut deaf = Deaf::asking(&stage, 8, questions(QUESTIONS, |n| elect_leaders(n, 20_000)));
    deaf.are_held_back(&stage);
    let refused = stage.gateway.metric("portcullis_requests_refused_total", &[]).unwrap();
    assert!(refused > 0.5 && refused < number(8 * QUESTIONS), "{refused} refused");
    deaf.hear(&stage, 0..QUESTIONS, |n, answer| begins_with(answer, n) && answer.len() > 160_000);
    assert_eq!(stage.seen().iter().filter(|frame| frame.starts_with(&[0, 43])).count(), 0);
}

#[test]
fn rejections_of_limits_that_nobody_reads_are_not_piled_up_and_none_is_lost() {
    const QUESTIONS: usize = 240;
    let setup = Setup {
        more: "[[limit]]\nname = \"strict\"\nkind = \"leaky-bucket\"\nby = []\nrate = 0.01\nmax_throttle = \"1ms\"\n\
               on_exceeded = \"reject\"\nmatch = { api = [\"Produce\"] }\n",
        ..Setup::default()
    };
    let stage = Stage::new(&setup, |request| {
        (request.key() == PRODUCE).then(|| Reply::Frame(request.correlation().to_vec()))
    });
    // The first is never too much. A rejection names all partitions, and is longer than what it answers.
    let partitions: Vec<i32> = (0..2000).collect();
    stage.client().ask(&produce(1, 1, &[0], 10)).unwrap();
    let mut deaf = Deaf::asking(&stage, 8, questions(QUESTIONS, |n| produce(n, 1, &partitions, 0)));
    deaf.are_held_back(&stage);
    deaf.hear(&stage, 0..QUESTIONS, |n, answer| begins_with(answer, n) && answer.len() > 2000 * 30);
    assert!(stage.seen().iter().filter(|frame| frame.starts_with(&[0, 0])).count() == 1);
}

#[test]
fn what_produce_requests_of_many_partitions_have_named_counts_as_kept() {
    // Of each, more than 31 KiB are to be remembered while a broker has not answered.
    const AT_ONCE: f64 = (1024 / 31 + 1) as f64;
    let partitions: Vec<i32> = (0..7900).collect();
    let stage = Stage::new(&Setup::default(), |request| (request.key() == PRODUCE).then_some(Reply::Nothing));
    let deaf = Deaf::asking(&stage, 4, questions(60, |n| produce(n, 1, &partitions, 0)));
    stands_still(&stage);
    let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
    assert!(in_flight > 0.5 && in_flight <= number(deaf.clients.len()) * AT_ONCE, "{in_flight} in flight");
}
