//! Mutations: what a request creates, adds and deletes counts as the brokers would count it, who are asked for that.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;
use testkit::{RawClient, Reply};

use super::{CREATE_PARTITIONS, DELETE_TOPICS, Watched, ms};
use crate::bytes::{self, Bytes};
use crate::stage::{LIMIT, SECRET_HOST, Setup, asking_who};

const CREATE_TOPICS: i16 = 19;
const DESCRIBE_CONFIGS: i16 = 32;
const QUOTA: i16 = 89;

type Id = [u8; 16];
const NO_ID: Id = [0; 16];

/// A topic of the broker's: its name, its id, how many partitions it has. One is hidden from the gateway's user.
const TOPICS: [(&str, Id, i32); 3] = [("orders", [1; 16], 12), ("logs", [2; 16], 3), ("hidden", [3; 16], 7)];

/// What a topic gets that asks for no number.
const DEFAULT: &str = "6";

/// How often is tried what a machine may be too busy for: the gateway waits for one second.
const TRIES: usize = 20;

/// What the broker makes of the gateway's questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    AtOnce,
    Slowly,
    Never,
}

/// A stage whose broker has topics, and counts how often it was asked for some.
struct Told {
    watched: Watched,
    answers: Arc<Mutex<Answers>>,
    questions: Arc<AtomicU32>,
}

impl Told {
    fn new(setup: &Setup) -> Self {
        let answers = Arc::new(Mutex::new(Answers::AtOnce));
        let questions = Arc::<AtomicU32>::default();
        let (answering, count) = (Arc::clone(&answers), Arc::clone(&questions));
        let watched = Watched::new(setup, move |request| {
            let answer = match request.key() {
                CREATE_TOPICS | DELETE_TOPICS | CREATE_PARTITIONS => {
                    // It says so little that a throttle time is at its place.
                    let empty = Bytes::default().raw(request.correlation()).uvarint(0).i32(0).uvarint(1);
                    return Some(Reply::Frame(empty.uvarint(0).0));
                }
                bytes::METADATA => topics_answer(request)?,
                DESCRIBE_CONFIGS => configs_answer(request),
                _ => return None,
            };
            count.fetch_add(1, Ordering::SeqCst);
            Some(match *answering.lock().unwrap() {
                Answers::AtOnce => Reply::Frame(answer),
                Answers::Slowly => Reply::Slowly(vec![raw::sized(&answer)], ms(100)),
                Answers::Never => Reply::Nothing,
            })
        });
        Self { watched, answers, questions }
    }

    fn limited(more: &'static str) -> Self {
        Self::new(&Setup { more, ..Setup::default() })
    }

    fn answer(&self, how: Answers) {
        *self.answers.lock().unwrap() = how;
    }

    fn questions(&self) -> u32 {
        self.questions.load(Ordering::SeqCst)
    }

    /// How much of the limit is used.
    fn used(&self) -> u64 {
        let (status, text) = self.watched.stage.gateway.http("/limits?api=DeleteTopics").unwrap();
        assert_eq!(status, 200, "{text}");
        let limits: serde_json::Value = serde_json::from_str(&text).unwrap();
        limits["limits"][0]["used"].as_u64().unwrap()
    }

    /// How much of the limit a request uses, which is answered by the broker; and whether the gateway had to do without what
    /// it wanted to know, be it for a machine that is too busy.
    #[track_caller]
    fn uses_at(&self, client: &mut RawClient, request: &[u8]) -> (u64, bool) {
        let (before, sent) = (self.used(), Instant::now());
        let id = i32::from_be_bytes(request[4..8].try_into().unwrap());
        let answer = client.ask(request).unwrap();
        let throttle = i32::from_be_bytes(answer[5..9].try_into().unwrap());
        assert_eq!((&answer[..4], throttle), (&id.to_be_bytes()[..], 0));
        self.watched.came(id);
        (self.used() - before, sent.elapsed() >= ms(1000))
    }

    /// How much it uses when the gateway knows what it wants to know.
    #[track_caller]
    fn uses(&self, client: &mut RawClient, request: &[u8]) -> u64 {
        let mut tries = (0..TRIES).map(|_| self.uses_at(client, request));
        let (used, _) = tries.find(|(_, is_late)| !is_late).expect("the machine is too busy");
        used
    }
}

/// The answer to the gateway's question for topics, by name or by id; `None` if it asks for none.
fn topics_answer(request: &Request) -> Option<Vec<u8>> {
    // Behind the head with its client id.
    let body = request.frame.get(21..)?;
    let (count, mut rest) = body.split_first()?;
    if *count <= 1 || request.frame[10..20] != *b"portcullis" {
        return None;
    }
    let itself = [(1, SECRET_HOST.to_owned(), 9092)];
    let front = bytes::metadata_answer(request.correlation(), request.version(), &itself);
    // Without its empty list of topics.
    let mut answer = Bytes(front[..front.len() - 2].to_vec()).raw(&[*count]);
    for _ in 1..*count {
        let (id, name) = rest.split_first_chunk::<16>().unwrap();
        let (length, name) = name.split_first().unwrap();
        let (name, after) = name.split_at(usize::from(length.saturating_sub(1)));
        rest = &after[1..];
        let found = TOPICS.iter().find(
            |(known, of_it, _)| {
                if *length == 0 { id == of_it } else { known.as_bytes() == name }
            },
        );
        answer = match found {
            Some(("hidden", ..)) => answer.i16(29).raw(&body_of(name, id, 0)),
            Some((_, id, partitions)) => answer.i16(0).raw(&body_of(name, id, *partitions)),
            None => answer.i16(if *length == 0 { 100 } else { 3 }).raw(&body_of(name, id, 0)),
        };
    }
    Some(answer.uvarint(0).0)
}

/// What follows a topic's error.
fn body_of(name: &[u8], id: &Id, partitions: i32) -> Vec<u8> {
    let topic = if name.is_empty() { Bytes::default().uvarint(0) } else { Bytes::default().compact(name) };
    let mut topic = topic.raw(id).raw(&[0]).uvarint(usize::try_from(partitions + 1).unwrap());
    for n in 0..partitions {
        topic = topic.i16(0).i32(n).i32(1).i32(5).uvarint(2).i32(1).uvarint(2).i32(1).uvarint(1).uvarint(0);
    }
    topic.i32(i32::MIN).uvarint(0).0
}

/// The answer to the gateway's question for the broker's default.
fn configs_answer(request: &Request) -> Vec<u8> {
    assert!(request.frame.windows(14).any(|bytes| bytes == b"num.partitions"));
    let entry = Bytes::default().compact("num.partitions").compact(DEFAULT).raw(&[0, 5, 0]);
    let entry = entry.uvarint(1).raw(&[3]).uvarint(0).uvarint(0).0;
    let front = Bytes::default().raw(request.correlation()).uvarint(0).i32(0).uvarint(2).i16(0).uvarint(0);
    front.raw(&[4]).compact("1").uvarint(2).raw(&entry).uvarint(0).uvarint(0).0
}

fn request(api: i16, version: i16, id: i32, body: &Bytes) -> Vec<u8> {
    raw::request(api, version, id, "test", HeadStyle::Flexible, &body.0)
}

/// `CreateTopics` v5.
fn create(id: i32, topics: &[(&str, i32)], validate_only: u8) -> Vec<u8> {
    let mut body = Bytes::default().uvarint(topics.len() + 1);
    for (name, partitions) in topics {
        body = body.compact(name).i32(*partitions).i16(1).uvarint(1).uvarint(1).uvarint(0);
    }
    request(CREATE_TOPICS, 5, id, &body.i32(1000).raw(&[validate_only]).uvarint(0))
}

/// `DeleteTopics` v6.
fn delete(id: i32, topics: &[(&str, Id)]) -> Vec<u8> {
    let mut body = Bytes::default().uvarint(topics.len() + 1);
    for (name, topic) in topics {
        body = if name.is_empty() { body.uvarint(0) } else { body.compact(name) };
        body = body.raw(topic).uvarint(0);
    }
    request(DELETE_TOPICS, 6, id, &body.i32(1000).uvarint(0))
}

/// `DeleteTopics` v4, which does not know that it may be rejected, or v5.
fn delete_named(version: i16, id: i32, names: &[&str]) -> Vec<u8> {
    let body = Bytes::default().uvarint(names.len() + 1);
    let body = names.iter().fold(body, Bytes::compact);
    request(DELETE_TOPICS, version, id, &body.i32(1000).uvarint(0))
}

/// `CreatePartitions` v3.
fn grow(id: i32, topics: &[(&str, i32)], validate_only: u8) -> Vec<u8> {
    let mut body = Bytes::default().uvarint(topics.len() + 1);
    for (name, to) in topics {
        body = body.compact(name).i32(*to).uvarint(0).uvarint(0);
    }
    request(CREATE_PARTITIONS, 3, id, &body.i32(1000).raw(&[validate_only]).uvarint(0))
}

const WIDE: &str =
    "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = []\nrate = 0.001\nburst = 1000000\n";

#[test]
fn every_partition_counts_that_is_created_added_or_deleted() {
    let told = Told::limited(WIDE);
    let mut client = told.watched.client();
    let (orders, logs) = (TOPICS[0].1, TOPICS[1].1);
    let requests = [
        // By name, by id, and by both in one request.
        (12, delete_named(5, 1000, &["orders"])),
        (15, delete_named(4, 1001, &["orders", "logs"])),
        (12, delete(1002, &[("orders", NO_ID)])),
        (12, delete(1003, &[("", orders)])),
        (15, delete(1004, &[("", orders), ("logs", NO_ID)])),
        // What is named twice is refused each time, and what is not there as well.
        (3, delete(1005, &[("orders", NO_ID), ("", orders), ("", logs)])),
        (3, delete_named(5, 1006, &["orders", "logs", "orders"])),
        (12, delete(1007, &[("orders", NO_ID), ("nothing", NO_ID), ("", [9; 16])])),
        (0, delete_named(5, 1008, &["nothing"])),
        // Growth counts what is added.
        (8 + 1, grow(1009, &[("orders", 20), ("logs", 4)], 0)),
        (0, grow(1010, &[("orders", 12), ("logs", 2), ("nothing", 5)], 0)),
        // New topics count what they get; others there are already.
        (4 + 6, create(1011, &[("new", 4), ("newer", -1), ("orders", 5), ("logs", -1)], 0)),
        // What is only tried out counts nothing.
        (0, create(1012, &[("new", 4)], 1)),
        (0, grow(1013, &[("orders", 20)], 1)),
    ];
    for (expected, request) in requests {
        let id = i32::from_be_bytes(request[4..8].try_into().unwrap());
        assert_eq!(told.uses(&mut client, &request), expected, "request {id}");
    }
}

#[test]
fn more_topics_than_one_question_asks_for_count_all_the_same() {
    let told = Told::limited(WIDE);
    let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["orders", "logs"]).collect();
    assert_eq!(told.uses(&mut told.watched.client(), &delete_named(5, 1000, &names)), 15);
    assert!((5..=100).contains(&told.questions()), "{}", told.questions());
}

#[test]
fn what_the_brokers_do_not_tell_counts_as_one_and_is_not_held_up() {
    let told = Told::limited(WIDE);
    let mut client = told.watched.client();
    assert_eq!(told.uses(&mut client, &delete_named(5, 1000, &["hidden", "logs"])), 1 + 3);
    told.answer(Answers::Never);
    assert_eq!(told.uses_at(&mut client, &delete_named(5, 1001, &["orders", "logs"])), (2, true));
    assert_eq!(told.uses_at(&mut client, &grow(1002, &[("orders", 20)], 0)), (1, true));
    // One that says how many it wants counts so many.
    assert_eq!(told.uses_at(&mut client, &create(1003, &[("new", 4)], 0)), (4, true));
    told.watched.stage.gateway.wait_log("each counts as one", LIMIT).unwrap();
    told.answer(Answers::AtOnce);
    assert_eq!(told.uses(&mut client, &delete_named(5, 1004, &["orders"])), 12);
    told.watched.stage.gateway.wait_log("brokers say again", LIMIT).unwrap();
    // A connection that was kept for the next question and is gone is made anew.
    told.watched.stage.broker.cut();
    assert_eq!(told.uses(&mut told.watched.client(), &delete_named(5, 1005, &["orders"])), 12);
}

#[test]
fn many_connections_make_few_questions() {
    let told = Told::limited(WIDE);
    told.answer(Answers::Slowly);
    let mut clients: Vec<_> = (1000..1020).map(|id| (told.watched.client(), id)).collect();
    // Each has its broker by then.
    for (client, id) in &mut clients {
        client.ask(&bytes::heartbeat(*id - 500, b"x")).unwrap();
    }
    let mut tries = (0..TRIES).map(|_| {
        let (used, questions, sent) = (told.used(), told.questions(), Instant::now());
        for (client, id) in &mut clients {
            let name = if *id % 2 == 0 { "logs" } else { "orders" };
            client.send(&delete_named(5, *id, &[name])).unwrap();
        }
        for (client, id) in &mut clients {
            assert_eq!(client.receive().unwrap()[..4], id.to_be_bytes());
        }
        (told.used() - used, told.questions() - questions, sent.elapsed() < ms(1000))
    });
    let (used, questions, _) = tries.find(|(.., in_time)| *in_time).expect("the machine is too busy");
    assert_eq!(used, 10 * 3 + 10 * 12);
    // One is under way, for those that came first; what comes meanwhile is asked for together.
    assert!(questions <= 10, "{questions}");
}

#[test]
fn a_drain_ends_the_wait_for_what_brokers_know() {
    let mut told = Told::new(&Setup { more: WIDE, ..asking_who() });
    told.answer(Answers::Never);
    let config = told.watched.stage.config.clone();
    // A second is the longest wait: a machine that is too busy to be quicker gets another chance.
    let is_early = (1000..1008).any(|id| {
        let mut alice = told.watched.client();
        let (asked, used) = (told.questions(), told.used());
        alice.send(&delete_named(5, id, &["orders"])).unwrap();
        let question = || Ok((told.questions() > asked).then_some(Instant::now()));
        let waits_since = testkit::wait::until("the question", LIMIT, question).unwrap();
        let mut without = config.clone();
        without.users.retain(|(name, _)| name != "alice");
        told.watched.stage.gateway.reload(&without).unwrap();
        // What was asked is asked of the broker, and answered.
        assert_eq!(alice.receive().unwrap()[..4], id.to_be_bytes());
        assert_eq!(alice.until_closed().unwrap(), b"");
        assert_eq!(told.used() - used, 1);
        told.watched.stage.gateway.reload(&config).unwrap();
        told.watched.came(id) - waits_since < ms(600)
    });
    assert!(is_early, "the request waits on although its connection drains");
}

#[test]
fn who_makes_the_debt_goes_on_and_who_comes_after_it_is_rejected_without_a_question() {
    let told = Told::limited(
        "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = []\nrate = 0.01\nburst = 1\n\
         max_throttle = \"600ms\"\non_exceeded = \"reject\"\n",
    );
    let mut client = told.watched.client();
    // Beyond what is left, but nothing was owed: it passes, and its client need not be quiet (KIP-599).
    told.uses_at(&mut client, &delete_named(5, 1000, &["orders", "logs"]));
    let (asked, sent) = (told.questions(), Instant::now());
    let answer = client.ask(&delete_named(5, 1001, &["logs"])).unwrap();
    let throttle = i32::from_be_bytes(answer[5..9].try_into().unwrap());
    assert!((1..=600).contains(&throttle), "{throttle}");
    let expected = Bytes::default().uvarint(2).compact("logs").i16(QUOTA);
    assert_eq!(answer[9..9 + expected.0.len()], expected.0);
    // Who is rejected is not read from before it makes sense.
    client.send(&bytes::heartbeat(1002, b"x")).unwrap();
    assert!(told.watched.came(1002) - sent >= ms(600));
    assert_eq!((told.questions(), told.watched.has_come(1001)), (asked, None));
    // A version that cannot be told is carried, and told to be quiet.
    let answer = told.watched.client().ask(&delete_named(4, 1004, &["logs"])).unwrap();
    let throttle = i32::from_be_bytes(answer[5..9].try_into().unwrap());
    assert!((1..=600).contains(&throttle), "{throttle}");
    assert!((told.watched.tally("rejected", "changes") - 1.0).abs() < 0.5);
}
