//! Brokers that are gone: the client's connection stays, what was asked is asked again where that is safe, and answered
//! in the broker's place where it is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;
use testkit::{FreePorts, Gateway, GatewayConfig, RawClient, Reply, ScriptedBroker, wait};

use crate::bytes::{self, Bytes, FETCH, HEARTBEAT, PRODUCE};
use crate::stage::{LIMIT, Setup, Stage, Two, is_well, usual};

const NOT_LEADER: i16 = 6;
pub(crate) const TIMED_OUT: i16 = 7;
const NOT_COORDINATOR: i16 = 16;

/// A broker that does `first` to the first request of this API that clients send, and after that what is usual.
fn once(key: i16, first: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stage {
    let seen = AtomicUsize::new(0);
    Stage::new(&Setup::default(), move |request| {
        let is_first = request.key() == key && seen.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| first(request))
    })
}

/// A Produce v9 of these partitions of `orders`, with so many bytes of records each.
pub(crate) fn produce(correlation: i32, acks: i16, partitions: &[i32], records: usize) -> Vec<u8> {
    let mut topic = Bytes::default().uvarint(2).compact("orders").uvarint(partitions.len() + 1);
    for partition in partitions {
        topic = topic.i32(*partition).compact(vec![7; records]).uvarint(0);
    }
    bytes::produce(correlation, acks, &topic.uvarint(0).uvarint(0).0)
}

/// The codes by partition in an answer to such a request, which must name them all and nothing else.
#[track_caller]
pub(crate) fn codes(answer: &[u8], correlation: i32, partitions: &[i32]) -> Vec<i16> {
    let mut front = Bytes::default().i32(correlation).uvarint(0).uvarint(2).compact("orders");
    front = front.uvarint(partitions.len() + 1);
    let rest = answer.strip_prefix(front.0.as_slice());
    let mut rest = rest.unwrap_or_else(|| panic!("{answer:?} is not of request {correlation}"));
    let mut codes = Vec::new();
    for partition in partitions {
        rest = rest.strip_prefix(&partition.to_be_bytes()).expect("another partition");
        codes.push(i16::from_be_bytes([rest[0], rest[1]]));
        // Offset, time, start, no single records, then why.
        let why = usize::from(rest[2 + 24 + 1]);
        rest = &rest[2 + 24 + 1 + 1 + why.saturating_sub(1) + 1..];
    }
    assert_eq!(rest, Bytes::default().uvarint(0).i32(0).uvarint(0).0, "the ends of topic and answer");
    codes
}

pub(crate) fn heartbeat_answer(correlation: i32) -> Vec<u8> {
    Bytes::default().i32(correlation).raw(b"body").0
}

#[test]
fn a_client_that_asks_nothing_notices_nothing() {
    let stage = Stage::plain();
    let mut client = stage.client();
    for _ in 0..3 {
        is_well(&mut client);
        let before = stage.broker.accepted();
        stage.broker.cut();
        is_well(&mut client);
        assert!(stage.broker.accepted() > before);
    }
}

#[test]
fn what_can_be_asked_again_is_asked_again_in_its_order() {
    type First = fn(&Request) -> Reply;
    let faults: [First; 4] = [
        |_| Reply::Close(Vec::new()),
        // Half a head, half an answer, and the answer to another question.
        |_| Reply::Close(vec![0, 0]),
        |request| Reply::Close(Bytes::default().i32(100).raw(request.correlation()).0),
        |request| Reply::Frame(Bytes::default().i32(99).raw(&request.frame).0),
    ];
    for fault in faults {
        let stage = once(HEARTBEAT, fault);
        let mut client = stage.client();
        for correlation in 1..=5 {
            client.send(&bytes::heartbeat(correlation, b"body")).unwrap();
        }
        for correlation in 1..=5 {
            assert_eq!(client.receive().unwrap(), heartbeat_answer(correlation));
        }
        is_well(&mut client);
        let in_flight = stage.gateway.metric("portcullis_in_flight", &[]).unwrap();
        assert!(in_flight < 0.5, "{in_flight} in flight");
    }
}

#[test]
fn answers_that_came_before_the_broker_went_are_handed_out_once() {
    let stage = once(HEARTBEAT, |request| {
        let whole = raw::sized(&Bytes::default().raw(request.correlation()).raw(b"body").0);
        Reply::Close([whole, vec![0, 0, 0]].concat())
    });
    let mut client = stage.client();
    let asked: Vec<u8> =
        (1..=3).flat_map(|correlation| raw::sized(&bytes::heartbeat(correlation, b"body"))).collect();
    client.send_bytes(&asked).unwrap();
    for correlation in 1..=3 {
        assert_eq!(client.receive().unwrap(), heartbeat_answer(correlation));
    }
    is_well(&mut client);
}

#[test]
fn a_fetch_is_asked_again_unless_its_answer_was_begun() {
    let begun = AtomicUsize::new(0);
    let stage = Stage::new(&Setup::default(), move |request| {
        (request.key() == FETCH).then(|| {
            let records = if begun.fetch_add(1, Ordering::SeqCst) < 2 { 40_000 } else { 100_000 };
            let answer = raw::sized(&bytes::fetch_answer(request.correlation(), records, &[0]));
            match begun.load(Ordering::SeqCst) {
                1 => Reply::Close(answer[..30_000].to_vec()),
                2 => Reply::Bytes(answer),
                _ => Reply::Close(answer[..90_000].to_vec()),
            }
        })
    });
    let mut client = stage.client();
    let answer = client.ask(&bytes::fetch(1, &[0])).unwrap();
    assert_eq!(answer, bytes::fetch_answer(&1_i32.to_be_bytes(), 40_000, &[0]));
    // One that streams is cut where the broker cut it: the only case that a client sees.
    stage.ends(1, "broker", "cut-off", || {
        client.send(&bytes::fetch(2, &[0])).unwrap();
        assert!(client.receive().is_err());
    });
}

#[test]
fn a_produce_that_left_is_not_asked_again_and_its_fate_is_said_to_be_unknown() {
    for partitions in [&[3][..], &[0, 1, 2]] {
        let stage = once(PRODUCE, |_| Reply::Close(Vec::new()));
        let mut client = stage.client();
        let answer = client.ask(&produce(1, -1, partitions, 1000)).unwrap();
        assert_eq!(codes(&answer, 1, partitions), vec![TIMED_OUT; partitions.len()]);
        is_well(&mut client);
        let produced = stage.seen().iter().filter(|frame| frame.starts_with(&[0, 0])).count();
        assert_eq!(produced, 1);
        client.send(&produce(2, -1, partitions, 1000)).unwrap();
        assert_eq!(client.receive().unwrap()[..4], 2_i32.to_be_bytes());
    }
}

#[test]
fn records_behind_lost_ones_do_not_overtake_them() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let at_broker = Arc::clone(&gate);
    let stage = once(PRODUCE, move |_| {
        // It does not read on, and then goes.
        drop(at_broker.lock());
        Reply::Close(Vec::new())
    });
    let mut client = stage.client();
    let large = 8 << 20;
    client.send(&produce(1, -1, &[3], 1000)).unwrap();
    let mut sender = client.stream().try_clone().unwrap();
    let rest = [
        raw::sized(&produce(2, -1, &[3], large)),
        raw::sized(&produce(3, -1, &[0, 1], 1000)),
        raw::sized(&produce(4, 0, &[0], 1000)),
        raw::sized(&bytes::heartbeat(5, b"body")),
    ]
    .concat();
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &rest));
    let labels = [("peer", "client"), ("direction", "in")];
    stage.gateway.wait_metric("portcullis_bytes_total", &labels, LIMIT, |now| now > 500_000.0).unwrap();
    drop(held);
    assert_eq!(codes(&client.receive().unwrap(), 1, &[3]), [TIMED_OUT]);
    assert_eq!(codes(&client.receive().unwrap(), 2, &[3]), [NOT_LEADER]);
    // The third had not come when the broker went: it goes to the next one, or is told as the second.
    let third = client.receive().unwrap();
    assert!(third.starts_with(&3_i32.to_be_bytes()));
    assert_eq!(client.receive().unwrap(), heartbeat_answer(5));
    sending.join().unwrap().unwrap();
    let large_ones = stage.seen().iter().filter(|frame| frame[..2] == [0, 0] && frame[7] == 2).count();
    assert_eq!(large_ones, 0);
    is_well(&mut client);
}

#[test]
fn records_that_nobody_waits_for_are_lost_and_nothing_else() {
    let stage = once(PRODUCE, |_| Reply::Close(Vec::new()));
    let mut client = stage.client();
    client.send(&produce(1, 0, &[0], 100)).unwrap();
    is_well(&mut client);
}

#[test]
fn a_request_that_left_in_part_is_answered_when_all_of_it_has_come() {
    for partitions in [&[3][..], &[0, 1, 2]] {
        let stage = Stage::plain();
        let mut client = stage.client();
        let frame = raw::sized(&produce(1, -1, partitions, 4 << 20));
        let (first, rest) = frame.split_at(3 << 20);
        client.send_bytes(first).unwrap();
        let bytes_in = |least: f64| {
            let enough = move |now: f64| now >= least;
            let labels = [("peer", "broker"), ("direction", "out")];
            stage.gateway.wait_metric("portcullis_bytes_total", &labels, LIMIT, enough).unwrap();
        };
        bytes_in(2_500_000.0);
        stage.broker.cut();
        // Else the rest may still leave before the gateway hears that nobody reads it.
        is_lost(&stage.gateway);
        client.send_bytes(rest).unwrap();
        let answer = client.receive().unwrap();
        assert_eq!(codes(&answer, 1, partitions), vec![NOT_LEADER; partitions.len()]);
        is_well(&mut client);
    }
}

#[test]
fn a_question_that_kills_its_broker_is_not_asked_without_end() {
    let stage = Stage::new(&Setup::default(), |request| {
        request.frame.ends_with(b"kills").then(|| Reply::Close(Vec::new()))
    });
    let mut client = stage.client();
    let answer = client.ask(&bytes::heartbeat(1, b"kills")).unwrap();
    assert_eq!(answer, Bytes::default().i32(1).i32(0).i16(NOT_COORDINATOR).0);
    let asked = stage.seen().iter().filter(|frame| frame.ends_with(b"kills")).count();
    assert!((2..=3).contains(&asked), "{asked} times");
    is_well(&mut client);
}

/// Waits until the gateway knows that it lost the connection to a broker that stands for a client's.
fn is_lost(gateway: &Gateway) {
    gateway.wait_metric("portcullis_broker_connections_lost_total", &[], LIMIT, |now| now > 0.5).unwrap();
}

/// A gateway whose only broker can come and go at its port.
struct Coming {
    gateway: Gateway,
    port: u16,
    broker: Option<ScriptedBroker>,
    _ports: FreePorts,
}

impl Coming {
    fn new(hold: &str) -> Self {
        let ports = FreePorts::reserve(1).unwrap();
        let port = ports.base();
        let broker = ScriptedBroker::start(port, usual).unwrap();
        let address = broker.address().to_string();
        let mut config = GatewayConfig::new().unwrap();
        let cluster = config.add_cluster("main", vec![address.clone()], [(1, address)].into());
        cluster.more.push(format!("hold = \"{hold}\""));
        let gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
        Self { gateway, port, broker: Some(broker), _ports: ports }
    }

    /// The broker goes, and the gateway knows it.
    fn goes(&mut self) {
        self.broker = None;
        is_lost(&self.gateway);
    }

    fn comes(&mut self) {
        let start = || Ok(ScriptedBroker::start(self.port, usual).ok());
        self.broker = Some(wait::until("the broker's port", LIMIT, start).unwrap());
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).unwrap()
    }
}

#[test]
fn what_comes_while_the_broker_is_away_waits_for_it() {
    let mut coming = Coming::new("10s");
    let mut client = coming.client();
    is_well(&mut client);
    coming.goes();
    client.send(&produce(1, -1, &[3], 1000)).unwrap();
    client.send(&bytes::heartbeat(2, b"body")).unwrap();
    client.patience(Duration::from_millis(300)).unwrap();
    assert!(client.receive().is_err(), "an answer of nobody");
    client.patience(LIMIT).unwrap();
    coming.comes();
    assert_eq!(client.receive().unwrap()[..4], 1_i32.to_be_bytes());
    assert_eq!(client.receive().unwrap(), heartbeat_answer(2));
    is_well(&mut client);
}

#[test]
fn who_has_waited_for_long_enough_is_told_where_to_look_and_stays() {
    let mut coming = Coming::new("400ms");
    let mut client = coming.client();
    is_well(&mut client);
    coming.goes();
    for round in 0..2 {
        let asked = Instant::now();
        client.send(&produce(1 + round, -1, &[3], 1000)).unwrap();
        client.send(&bytes::heartbeat(20 + round, b"body")).unwrap();
        assert_eq!(codes(&client.receive().unwrap(), 1 + round, &[3]), [NOT_LEADER]);
        assert!(asked.elapsed() >= Duration::from_millis(400));
        let heartbeat = Bytes::default().i32(20 + round).i32(0).i16(NOT_COORDINATOR).0;
        assert_eq!(client.receive().unwrap(), heartbeat);
    }
    coming.comes();
    wait::until("the broker", LIMIT, || {
        let answer = client.ask(&bytes::heartbeat(77, b"body"))?;
        Ok((answer == heartbeat_answer(77)).then_some(()))
    })
    .unwrap();
}

#[test]
fn with_no_broker_at_all_clients_hear_where_the_gateway_is_and_that_nobody_leads() {
    let mut coming = Coming::new("400ms");
    let mut client = coming.client();
    is_well(&mut client);
    coming.goes();
    let body = Bytes::default().i32(1).classic("orders").0;
    let answer = client.ask(&raw::request(3, 1, 9, "test", HeadStyle::Classic, &body)).unwrap();
    let port: u16 = coming.gateway.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let brokers = Bytes::default().i32(9).i32(1).i32(1).classic("127.0.0.1");
    assert!(answer.starts_with(&brokers.0), "{answer:?}");
    let topic = Bytes::default().i16(5).classic("orders").raw(&[0]).i32(0).0;
    assert!(answer.ends_with(&topic), "{answer:?} {port}");
}

#[test]
fn while_one_broker_is_away_others_answer_what_any_can() {
    let mut two = Two::new(&["hold = \"10s\""], |_| None);
    let mut client = two.client_of_the_first();
    drop(two.brokers.remove(0));
    let lost = "portcullis_broker_connections_lost_total";
    two.gateway.wait_metric(lost, &[], LIMIT, |now| now > 0.5).unwrap();
    let asked = Instant::now();
    let ours: Vec<bytes::Broker> =
        [1, 2].map(|node| (node, "127.0.0.1".to_owned(), i32::from(two.base) + node)).to_vec();
    for version in [1, 12] {
        let answer = client.ask(&bytes::metadata(version, 7)).unwrap();
        assert_eq!(answer, bytes::metadata_answer(&7_i32.to_be_bytes(), version, &ours));
    }
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[test]
fn a_broker_that_is_expected_back_is_shown_although_the_others_leave_it_out() {
    let mut two = Two::new(&["hold = \"300ms\""], |_| None);
    let mut client = two.client_of_the_first();
    two.has_first.store(false, Ordering::Relaxed);
    drop(two.brokers.remove(0));
    let ours: Vec<bytes::Broker> =
        [2, 1].map(|node| (node, "127.0.0.1".to_owned(), i32::from(two.base) + node)).to_vec();
    let mut other = RawClient::connect(("127.0.0.1", two.base + 2)).unwrap();
    for version in [1, 12] {
        let shown = bytes::metadata_answer(&7_i32.to_be_bytes(), version, &ours);
        assert_eq!(other.ask(&bytes::metadata(version, 7)).unwrap(), shown);
    }
    // It coordinates nothing, and says so in its place: whoever asks all brokers for their groups hears those of the others.
    let list = |correlation| raw::request(16, 2, correlation, "test", HeadStyle::Classic, &[]);
    let nothing = |correlation: i32| Bytes::default().i32(correlation).i32(0).i16(0).i32(0).0;
    wait::until("the next look", LIMIT, || Ok((client.ask(&list(8))? == nothing(8)).then_some(()))).unwrap();
}

#[test]
fn a_thousand_questions_survive_a_broker_that_goes_again_and_again() {
    let answered = Arc::new(Mutex::new(0_u32));
    let count = Arc::clone(&answered);
    let stage = Stage::new(&Setup::default(), move |request| {
        let mut count = count.lock().unwrap();
        *count += u32::from(request.key() == HEARTBEAT);
        let goes = request.key() == HEARTBEAT && count.is_multiple_of(37);
        goes.then(|| {
            let whole = raw::sized(&Bytes::default().raw(request.correlation()).raw(b"body").0);
            Reply::Close(whole[..usize::try_from(*count % 17).unwrap().min(whole.len())].to_vec())
        })
    });
    let mut client = stage.client();
    let mut asked = Vec::new();
    for correlation in 0..1000 {
        asked.extend(raw::sized(&raw::request(
            HEARTBEAT,
            3,
            correlation,
            "test",
            HeadStyle::Classic,
            b"body",
        )));
    }
    let mut sender = client.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &asked));
    for correlation in 0..1000 {
        assert_eq!(client.receive().unwrap(), heartbeat_answer(correlation));
    }
    sending.join().unwrap().unwrap();
}
