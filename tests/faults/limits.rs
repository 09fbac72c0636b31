//! Limits: nobody is told an error who did not ask for that, everybody waits for their turn, and no group dies of it.

mod bytes;
mod changes;
mod doors;
mod fleet;
mod passing;
mod reject;
mod reload;
mod slots;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;
use testkit::{RawClient, Reply, wait};

use crate::bytes::{API_VERSIONS, Bytes, RANGES, api_versions_answer, heartbeat};
use crate::stage::{LIMIT, Setup, Stage, asking_who, login};

const LIST_OFFSETS: i16 = 2;
const JOIN_GROUP: i16 = 11;
const DELETE_TOPICS: i16 = 20;
const CREATE_PARTITIONS: i16 = 37;

/// Longer than a loaded machine takes for what does not wait, shorter than the waits that it is told from.
const SOON: Duration = Duration::from_millis(2500);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Whether the broker answers requests that end with `hold`.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        drop(self.1.wait_timeout_while(self.0.lock().unwrap(), LIMIT, |is_open| !*is_open).unwrap());
    }
}

/// A stage with limits, whose broker notes when each client's request came.
struct Watched {
    stage: Stage,
    gate: Arc<Gate>,
    came: Arc<Mutex<Vec<(i32, Instant)>>>,
}

impl Watched {
    fn new(setup: &Setup, script: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let came = Arc::<Mutex<Vec<(i32, Instant)>>>::default();
        let gate = Arc::<Gate>::default();
        let (note, closed) = (Arc::clone(&came), Arc::clone(&gate));
        let stage = Stage::new(setup, move |request| {
            if request.key() == API_VERSIONS {
                let more = [(JOIN_GROUP, 0, 9), (DELETE_TOPICS, 1, 6), (CREATE_PARTITIONS, 0, 3)];
                let ranges = [RANGES, &more].concat();
                return Some(Reply::Frame(api_versions_answer(request.correlation(), &ranges)));
            }
            if let Some(correlation) = request.correlation().first_chunk() {
                note.lock().unwrap().push((i32::from_be_bytes(*correlation), Instant::now()));
            }
            if request.frame.ends_with(b"hold") {
                closed.pass();
            }
            script(request)
        });
        Self { stage, gate, came }
    }

    fn limited(limits: &'static str) -> Self {
        Self::new(&Setup { more: limits, ..Setup::default() }, |_| None)
    }

    fn client(&self) -> RawClient {
        self.stage.client()
    }

    fn has_come(&self, correlation: i32) -> Option<Instant> {
        let came = self.came.lock().unwrap();
        came.iter().find(|(id, _)| *id == correlation).map(|(_, at)| *at)
    }

    /// When this request came to the broker, which it must.
    #[track_caller]
    fn came(&self, correlation: i32) -> Instant {
        wait::until(&format!("request {correlation}"), LIMIT, || Ok(self.has_come(correlation))).unwrap()
    }

    /// For a while this request does not come: long enough to see one that does not wait.
    #[track_caller]
    fn stays_away(&self, correlation: i32) {
        let until = Instant::now() + ms(250);
        let came = || Ok((self.has_come(correlation).is_some() || Instant::now() > until).then_some(()));
        wait::until("a request that should not come", LIMIT, came).unwrap();
        assert_eq!(self.has_come(correlation), None);
    }

    fn tally(&self, name: &str, limit: &str) -> f64 {
        self.stage.gateway.metric(&format!("portcullis_limit_{name}_total"), &[("limit", limit)]).unwrap()
    }

    /// Waits until a limit has counted so many.
    #[track_caller]
    fn counts(&self, name: &str, limit: &str, least: f64) {
        let name = format!("portcullis_limit_{name}_total");
        let enough = |now: f64| now > least - 0.5;
        self.stage.gateway.wait_metric(&name, &[("limit", limit)], LIMIT, enough).unwrap();
    }

    /// Replaces a text of the limits, and reloads.
    #[track_caller]
    fn retune(&mut self, old: &str, new: &str) {
        assert!(self.stage.config.more.contains(old));
        self.stage.config.more = self.stage.config.more.replace(old, new);
        self.stage.gateway.reload(&self.stage.config).unwrap();
    }
}

/// A request that limits delay, of a version whose answer says no throttle time. The numbers of tests begin at 1000: the
/// gateway asks with lower ones.
fn question(correlation: i32) -> Vec<u8> {
    question_of("test", correlation)
}

fn question_of(client_id: &str, correlation: i32) -> Vec<u8> {
    raw::request(LIST_OFFSETS, 1, correlation, client_id, HeadStyle::Classic, b"\xff\xff\xff\xffbody")
}

/// One that the broker answers only once the gate is open.
fn long_question(client_id: &str, correlation: i32) -> Vec<u8> {
    raw::request(LIST_OFFSETS, 1, correlation, client_id, HeadStyle::Classic, b"\xff\xff\xff\xffhold")
}

fn join(correlation: i32, body: &[u8]) -> Vec<u8> {
    raw::request(JOIN_GROUP, 1, correlation, "test", HeadStyle::Classic, body)
}

/// What the broker answers to a question, and nobody changes.
#[track_caller]
fn is_answered(client: &mut RawClient, correlation: i32) {
    let answer = client.receive().unwrap();
    assert_eq!(answer, Bytes::default().i32(correlation).i32(-1).raw(b"body").0);
}

#[test]
fn requests_over_the_limit_come_to_the_broker_when_their_turn_comes() {
    let watched =
        Watched::limited("[[limit]]\nname = \"pace\"\nkind = \"leaky-bucket\"\nby = []\nrate = 5\n");
    let sent = Instant::now();
    // Three on one connection, and one on each of three more: one bucket.
    let mut first = watched.client();
    (1000..1003).for_each(|id| first.send(&question(id)).unwrap());
    let mut others: Vec<_> = (1003..1006).map(|id| (watched.client(), id)).collect();
    for (client, id) in &mut others {
        client.send(&question(*id)).unwrap();
    }
    (1000..1003).for_each(|id| is_answered(&mut first, id));
    for (client, id) in &mut others {
        is_answered(client, *id);
    }
    let mut came: Vec<Instant> = (1000..1006).map(|id| watched.came(id)).collect();
    came.sort();
    for (n, at) in came.iter().enumerate() {
        let turn = ms(200) * u32::try_from(n).unwrap();
        assert!(*at - sent >= turn, "the {n}th came after {:?}", *at - sent);
    }
    // Who is held up on the way may find that its turn has come.
    assert!((2.5..5.5).contains(&watched.tally("throttled", "pace")));
}

#[test]
fn windows_let_no_more_through_than_they_say() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"fixed\"\nkind = \"fixed-window\"\nmatch = { client_id = [\"f\"] }\ncount = 2\n\
         window = \"400ms\"\n[[limit]]\nname = \"sliding\"\nkind = \"sliding-window\"\n\
         match = { client_id = [\"s\"] }\ncount = 2\nwindow = \"400ms\"\n",
    );
    let (mut fixed, mut sliding) = (watched.client(), watched.client());
    let sent = Instant::now();
    for n in 0..5 {
        fixed.send(&question_of("f", 1000 + n)).unwrap();
        sliding.send(&question_of("s", 2000 + n)).unwrap();
    }
    for n in 0..5 {
        is_answered(&mut fixed, 1000 + n);
        is_answered(&mut sliding, 2000 + n);
    }
    // The fifth is of the window after the next one.
    assert!(watched.came(1004) - sent > ms(400));
    assert!(watched.came(2002) - sent >= ms(400));
    assert!(watched.came(2004) - sent >= ms(800));
}

#[test]
fn heartbeats_are_counted_and_never_wait() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"pace\"\nkind = \"leaky-bucket\"\nby = []\nrate = 2\n[[limit]]\nname = \"full\"\n\
         kind = \"leaky-bucket\"\nmatch = { client_id = [\"test\", \"full\"] }\nrate = 0.05\nmax_throttle = \"8s\"\n",
    );
    let mut held = watched.client();
    let begun = Instant::now();
    held.send(&question_of("full", 1000)).unwrap();
    held.send(&question_of("full", 1001)).unwrap();
    watched.came(1000);
    let mut client = watched.client();
    let sent = Instant::now();
    for id in 1002..1005 {
        assert_eq!(client.ask(&heartbeat(id, b"x")).unwrap()[4..], *b"x");
    }
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    assert_eq!(watched.has_come(1001), None);
    // Of the bucket of all, half a second each is spoken for: by the first request and three heartbeats.
    let mut other = watched.client();
    other.send(&question_of("other", 1005)).unwrap();
    is_answered(&mut other, 1005);
    assert!(watched.came(1005) - begun >= ms(2000), "{:?}", watched.came(1005) - begun);
}

#[test]
fn no_request_waits_longer_than_max_throttle() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nrate = 0.001\nmax_throttle = \"300ms\"\n",
    );
    let mut client = watched.client();
    client.send(&question(1000)).unwrap();
    is_answered(&mut client, 1000);
    for id in 1001..1003 {
        let sent = Instant::now();
        client.send(&question(id)).unwrap();
        is_answered(&mut client, id);
        let waited = watched.came(id) - sent;
        assert!(waited >= ms(300) && waited < SOON, "{waited:?}");
    }
}

/// Much is sent while a request of a connection with a group waits; the heartbeat behind it all must not wait again.
fn is_let_through(watched: &Watched, client: &mut RawClient, request: fn(i32) -> Vec<u8>) {
    let (waited_from, before) = (Instant::now(), watched.tally("throttled", "slow"));
    client.send(&request(1000)).unwrap();
    client.send(&request(1001)).unwrap();
    watched.counts("throttled", "slow", before + 1.0);
    (1002..1020).for_each(|id| client.send(&request(id)).unwrap());
    client.send(&heartbeat(1020, b"x")).unwrap();
    assert!(watched.came(1001) - waited_from >= ms(400));
    // One by one it would be seven seconds.
    let behind = watched.came(1020) - watched.came(1001);
    assert!(behind < SOON, "{behind:?}");
    (1000..1021_i32).for_each(|id| assert_eq!(client.receive().unwrap()[..4], id.to_be_bytes()));
    // Now that it was read dry the debt is paid on.
    let sent = Instant::now();
    client.ask(&request(1021)).unwrap();
    client.send(&request(1022)).unwrap();
    assert!(watched.came(1022) - sent >= ms(400));
}

#[test]
fn what_a_group_sends_during_a_wait_does_not_wait_again() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"slow\"\nkind = \"leaky-bucket\"\nrate = 0.01\nmax_throttle = \"400ms\"\n",
    );
    let mut client = watched.client();
    client.ask(&heartbeat(999, b"x")).unwrap();
    is_let_through(&watched, &mut client, question);
}

#[test]
fn connections_of_one_principal_share_a_bucket_and_other_principals_have_theirs() {
    let limits = "[[limit]]\nname = \"each\"\nkind = \"leaky-bucket\"\nby = [\"principal\"]\nrate = 1\n";
    let watched = Watched::new(&Setup { more: limits, ..asking_who() }, |_| None);
    let (mut alice, mut alice_again, mut bob) = (watched.client(), watched.client(), watched.stage.connect());
    assert_eq!(login(&mut bob, "bob", "bob's password").unwrap(), 0);
    let sent = Instant::now();
    alice.send(&question(1000)).unwrap();
    alice_again.send(&question(1001)).unwrap();
    is_answered(&mut alice, 1000);
    is_answered(&mut alice_again, 1001);
    assert!(watched.came(1000).max(watched.came(1001)) - sent >= ms(1000));
    let before = watched.tally("throttled", "each");
    bob.send(&question(1002)).unwrap();
    is_answered(&mut bob, 1002);
    assert!((watched.tally("throttled", "each") - before).abs() < 0.5);
}

#[test]
fn client_ids_have_buckets_of_their_own_even_on_one_connection() {
    let watched = Watched::limited(
        "[[limit]]\nname = \"each\"\nkind = \"leaky-bucket\"\nby = [\"client_id\"]\nrate = 0.01\n\
         max_throttle = \"400ms\"\n",
    );
    let (mut client, mut other) = (watched.client(), watched.client());
    for (id, name) in [(1000, "a"), (1001, "b"), (1002, "")] {
        client.send(&question_of(name, id)).unwrap();
        is_answered(&mut client, id);
    }
    assert!(watched.tally("throttled", "each") < 0.5);
    let sent = Instant::now();
    other.send(&question_of("b", 1003)).unwrap();
    assert!(watched.came(1003) - sent >= ms(400));
}
