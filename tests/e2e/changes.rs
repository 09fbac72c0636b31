//! Limits on changes of topics count what the brokers' own quotas count (KIP-599).

use std::time::Duration;

use testkit::raw::{self, HeadStyle};
use testkit::{Gateway, GatewayConfig, KAFKA_NEW, KAFKA_OLD, KafkaCluster, RawClient, Spec, wait};
use wire::ask::{read_topics, topics_by_name_request};
use wire::reader::{Encoding, Reader};
use wire::writer::Writer;
use wire::{Api, CorrelationId};

use crate::ground::BINARY;

/// Per second, and so little that the time that a test takes adds nothing to it.
const RATE: f64 = 0.002;
/// What the broker grants at once: as much as in eleven of its windows.
const BURST: f64 = 11.0 * 1000.0 * RATE;
const PROPERTIES: [(&str, &str); 2] =
    [("controller.quota.window.size.seconds", "1000"), ("num.partitions", "5")];
/// More than it grants at once.
const SPENT: i32 = 25;
const QUOTA_EXCEEDED: i16 = 89;

type Id = [u8; 16];
const NO_ID: Id = [0; 16];

/// What is asked for in one request.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// Topics with so many partitions.
    Create(&'a [(&'a str, i32)]),
    /// Topics that are to have so many.
    Grow(&'a [(&'a str, i32)]),
    /// By name or by id.
    Delete(&'a [(&'a str, Id)]),
}

/// The request, in the newest version or in one that does not know that it may be rejected.
fn request(change: Change<'_>, client_id: &str, is_old: bool) -> Vec<u8> {
    let mut body = Writer::new(Encoding::Flexible);
    let (api, version) = match change {
        Change::Create(topics) => {
            body.array_len(topics.len());
            for (name, partitions) in topics {
                body.string(name);
                body.i32(*partitions);
                body.i16(1);
                body.array_len(0);
                body.array_len(0);
                body.no_tags();
            }
            (Api::CreateTopics, if is_old { 5 } else { 7 })
        }
        Change::Grow(topics) => {
            body.array_len(topics.len());
            for (name, to) in topics {
                body.string(name);
                body.i32(*to);
                body.nullable_array_len(None);
                body.no_tags();
            }
            (Api::CreatePartitions, if is_old { 2 } else { 3 })
        }
        Change::Delete(topics) if is_old => {
            body.array_len(topics.len());
            for (name, _) in topics {
                body.string(name);
            }
            (Api::DeleteTopics, 4)
        }
        Change::Delete(topics) => {
            body.array_len(topics.len());
            for (name, id) in topics {
                body.nullable_string(Some(*name).filter(|name| !name.is_empty()));
                body.uuid(id);
                body.no_tags();
            }
            (Api::DeleteTopics, 6)
        }
    };
    body.i32(30_000);
    if !matches!(change, Change::Delete(_)) {
        // It is meant.
        body.bool(false);
    }
    body.no_tags();
    raw::request(api.key(), version, 7, client_id, HeadStyle::Flexible, &body.into_bytes())
}

/// Who counts: a broker by its quotas, or the gateway by a limit.
enum Counts<'a> {
    Broker,
    Gateway(&'a Gateway),
}

/// A way to one who counts.
struct Way<'a> {
    counts: Counts<'a>,
    address: String,
    /// What each change counted so far.
    counted: Vec<u64>,
    /// What tells names of this way from those of others.
    label: &'static str,
}

impl Way<'_> {
    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.label)
    }

    /// The client of a step, which nobody knows from before.
    fn client_id(&self, step: usize) -> String {
        self.name(&format!("client-{step}"))
    }

    /// The answer to a request on a connection of its own: brokers do not read from one that has to wait.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        RawClient::connect(&self.address).unwrap().ask(request).unwrap()
    }

    /// Asks for a change, and notes how much it counts for a client that did nothing before.
    fn ask(&mut self, change: Change<'_>, is_old: bool) {
        let client_id = self.client_id(self.counted.len());
        self.answer(&request(change, &client_id, is_old));
        let count = match self.counts {
            Counts::Broker => self.used(&client_id),
            Counts::Gateway(gateway) => {
                let path = format!("/limits?client_id={client_id}&api=DeleteTopics");
                let (status, text) = gateway.http(&path).unwrap();
                assert_eq!(status, 200, "{text}");
                let limits: serde_json::Value = serde_json::from_str(&text).unwrap();
                limits["limits"][0]["used"].as_u64().unwrap()
            }
        };
        self.counted.push(count);
    }

    /// What this client has used of its quota: who is rejected is told how long it takes to pay for it.
    fn used(&self, client_id: &str) -> u64 {
        let (wait, spent) = match self.rejected(client_id, &[(client_id, SPENT)]) {
            Some(wait) => (wait, 0),
            None => (self.rejected(client_id, &[("never", 1)]).unwrap(), SPENT),
        };
        let used = wait.as_secs_f64() * RATE + BURST - f64::from(spent);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let used = used.round() as u64;
        used
    }

    /// For how long a client should have waited that creates a topic, if it is rejected.
    fn rejected(&self, client_id: &str, topic: &[(&str, i32)]) -> Option<Duration> {
        let answer = self.answer(&request(Change::Create(topic), client_id, false));
        let mut reader = Reader::new(&answer, Encoding::Flexible);
        reader.i32("correlation id").unwrap();
        reader.skip_tags().unwrap();
        let throttle_ms = reader.i32("throttle time").unwrap();
        reader.array_len("topics").unwrap();
        reader.string_bytes("name").unwrap();
        reader.uuid("id").unwrap();
        match reader.i16("error").unwrap() {
            0 => None,
            QUOTA_EXCEEDED => Some(Duration::from_millis(throttle_ms.try_into().unwrap())),
            other => panic!("error {other}"),
        }
    }

    /// Waits until the broker knows that a topic has so many partitions, 0 for none; its id.
    fn has(&self, name: &str, partitions: usize) -> Id {
        let question = topics_by_name_request(CorrelationId(7), "e2e", &[name]);
        let has = || {
            let topics = read_topics(&self.answer(&question[4..]))?;
            Ok((topics[0].partitions == partitions).then_some(topics[0].id))
        };
        wait::until(&format!("{name} with {partitions}"), Duration::from_secs(30), has).unwrap()
    }

    /// What the requests of some topics' life count.
    fn live(mut self) -> Vec<u64> {
        let [a, b, other, none] = ["a", "b", "other", "none"].map(|name| self.name(name));
        let (a, b, other, none) = (a.as_str(), b.as_str(), other.as_str(), none.as_str());
        self.ask(Change::Create(&[(a, 12), (b, 3)]), false);
        let [of_a, of_b] = [(a, 12), (b, 3)].map(|(name, partitions)| self.has(name, partitions));
        // One is there already, one is named twice, and one asks for the default.
        self.ask(Change::Create(&[(a, 5), (none, 2), (none, 2), (other, -1)]), false);
        self.has(other, 5);
        self.ask(Change::Create(&[(none, 0)]), false);
        self.ask(Change::Grow(&[(a, 20)]), false);
        self.has(a, 20);
        self.ask(Change::Grow(&[(a, 20), (b, 2), (none, 9)]), false);
        self.ask(Change::Grow(&[(a, 25), (a, 30), (b, 5)]), false);
        self.has(b, 5);
        // Twice by name, and not there; by name and by id, by neither, and by both at once.
        self.ask(Change::Delete(&[(a, NO_ID), (a, NO_ID), (none, NO_ID)]), false);
        self.ask(Change::Delete(&[(b, NO_ID), ("", of_b), ("", NO_ID), (a, of_a)]), false);
        self.ask(Change::Delete(&[(b, NO_ID), ("", of_a), ("", [9; 16])]), false);
        for name in [a, b] {
            self.has(name, 0);
        }
        self.ask(Change::Create(&[(b, 4)]), true);
        self.has(b, 4);
        self.ask(Change::Grow(&[(b, 6)]), true);
        self.has(b, 6);
        self.ask(Change::Delete(&[(b, NO_ID), (other, NO_ID)]), true);
        self.counted
    }
}

/// The clients of the steps, and one more.
const STEPS: usize = 12;

/// Gives each client a quota of its own, and waits until the controller has heard of it.
fn set_quotas(way: &Way<'_>) {
    let mut body = Writer::new(Encoding::Flexible);
    body.array_len(STEPS + 1);
    for step in 0..=STEPS {
        body.array_len(1);
        body.string("client-id");
        body.string(&way.client_id(step));
        body.no_tags();
        body.array_len(1);
        body.string("controller_mutation_rate");
        body.f64(RATE);
        body.bool(false);
        body.no_tags();
        body.no_tags();
    }
    body.bool(false);
    body.no_tags();
    let alter = Api::AlterClientQuotas.key();
    way.answer(&raw::request(alter, 1, 7, "e2e", HeadStyle::Flexible, &body.into_bytes()));
    let mut tries = 0;
    let in_force = || {
        tries += 1;
        let name = way.name(&format!("canary-{tries}"));
        Ok(way.rejected(&way.client_id(STEPS), &[(&name, SPENT)]).map(|_| ()))
    };
    wait::until("quotas in force", Duration::from_secs(30), in_force).unwrap();
}

fn changes_count_as_brokers_count_them(version: &str) {
    let mut spec = Spec::new(version, 1);
    spec.properties.extend(PROPERTIES.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let cluster = KafkaCluster::start(spec).unwrap();
    let mut config = GatewayConfig::in_front_of(&cluster).unwrap();
    config.more.push_str(
        "[[limit]]\nname = \"changes\"\nkind = \"mutations\"\nby = [\"client_id\"]\nrate = 0.002\n\
         burst = 1000000\n",
    );
    let gateway = Gateway::start(BINARY, &config).unwrap();
    let way = |counts, address, label| Way { counts, address, counted: Vec::new(), label };
    let direct = way(Counts::Broker, cluster.internal(), "direct");
    set_quotas(&direct);
    let gated = way(Counts::Gateway(&gateway), gateway.address(), "gateway");
    let (direct, gated) = (direct.live(), gated.live());
    assert_eq!(direct.len(), STEPS);
    assert_eq!(direct, gated, "the broker (left) and the gateway (right)");
    assert_eq!(direct, [15, 5, 0, 8, 0, 2, 0, 0, 25, 4, 2, 11]);
}

mod on_new {
    #[test]
    fn changes_count_as_brokers_count_them() {
        super::changes_count_as_brokers_count_them(super::KAFKA_NEW);
    }
}

mod on_old {
    #[test]
    fn changes_count_as_brokers_count_them() {
        super::changes_count_as_brokers_count_them(super::KAFKA_OLD);
    }
}
