//! The field on which rows of the table are played: a gateway with the limits of all rows at once, and a witness behind it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use testkit::gateway::ListenerConfig;
use testkit::pace::Went;
use testkit::place::{Breadth, breadth};
use testkit::relay::Eyes;
use testkit::{Client, Gateway, GatewayConfig, Library, Pace, Relay, Stalls, Witness, witness};

use super::caller::Caller;
use super::program::Program;
use super::table::{Case, Key, Kind};
use crate::ground::{BINARY, BROKERS, Ground};

const PASSWORD: &str = "of-the-table";

/// One round of the table.
pub(super) struct Field<'g> {
    pub(super) ground: &'g Ground,
    pub(super) gateway: Gateway,
    pub(super) witness: Witness,
    pub(super) stalls: Stalls,
    /// In names, so that rounds do not meet.
    round: usize,
    /// Where clients bootstrap.
    entries: [Ports; 4],
    came: Arc<Mutex<Vec<f64>>>,
    _relays: [Relay; 2],
}

/// Where clients bootstrap, and where node 0 would be.
#[derive(Clone, Copy, Debug)]
struct Ports {
    bootstrap: u16,
    node_base: u16,
}

/// The ways to the brokers.
#[derive(Clone, Copy)]
enum Entry {
    /// Where everybody goes.
    Usual,
    /// At another listener.
    Beside,
    /// From another address.
    Elsewhere,
    /// Of another cluster, as the gateway sees it.
    Second,
}

/// One client of a row, with the names that it goes by.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub(super) program: Program,
    /// Whether it reads as well as sends.
    pub(super) reads: bool,
    pub(super) user: String,
    pub(super) client_id: String,
    pub(super) topic: String,
    pub(super) group: String,
    entry: Ports,
    /// Where it would come to the second cluster.
    second: Ports,
}

impl Player {
    /// The same with topic and group of a subject.
    pub(super) fn of_subject(self, subject: &str) -> Player {
        let named = |name: &str| format!("{subject}.{name}");
        Player { topic: named(&self.topic), group: named(&self.group), ..self }
    }

    /// The same as this user of the name, and as this client.
    pub(super) fn named(self, user: &str, client: &str) -> Player {
        let (name, _) = self.user.split_once('.').unwrap();
        Player { user: format!("{name}.{user}"), client_id: format!("{name}.{client}"), ..self }
    }

    /// The same at the second cluster.
    pub(super) fn of_second(self) -> Player {
        Player { entry: self.second, ..self }
    }

    pub(super) fn client(&self, library: Library) -> Client {
        Client::new(library, &self.bootstrap(), Some((&self.user, PASSWORD)))
    }

    fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.entry.bootstrap)
    }

    /// What librdkafka is told.
    pub(super) fn properties(&self) -> [(&'static str, String); 6] {
        [
            ("bootstrap.servers", self.bootstrap()),
            ("security.protocol", "SASL_PLAINTEXT".to_owned()),
            ("sasl.mechanism", "PLAIN".to_owned()),
            ("sasl.username", self.user.clone()),
            ("sasl.password", PASSWORD.to_owned()),
            ("client.id", self.client_id.clone()),
        ]
    }

    /// A raw client that goes by the same names, at the port of a node.
    pub(super) async fn caller(&self, node: i32) -> Caller {
        let address = format!("127.0.0.1:{}", self.entry.node_base + u16::try_from(node).unwrap());
        Caller::connect(&address, &self.user, PASSWORD).await.unwrap()
    }
}

/// Notes when the first byte comes back.
fn first_answer(notes: &Arc<Mutex<Vec<f64>>>) -> Eyes {
    let mut notes = Some(Arc::clone(notes));
    let answered = Box::new(move |bytes: &[u8]| {
        // The end has no byte.
        if !bytes.is_empty()
            && let Some(notes) = notes.take()
        {
            notes.lock().unwrap().push(witness::now());
        }
    });
    Eyes { answered, ..Eyes::closed() }
}

impl Ports {
    fn of(listener: &ListenerConfig) -> Ports {
        let (bootstrap, node_base) = listener.advertised.unwrap_or((listener.port, listener.node_port_base));
        Ports { bootstrap, node_base }
    }
}

impl<'g> Field<'g> {
    /// With these limits, and users for rows of these names.
    pub(super) fn new(ground: &'g Ground, limits: &str, names: &[&str], round: usize) -> Field<'g> {
        let witness = Witness::before(&ground.cluster).unwrap();
        let mut config = GatewayConfig::new().unwrap();
        for name in ["main", "second"] {
            config.add_cluster(name, witness.bootstrap(), witness.node_addresses());
        }
        let [beside, mut elsewhere, before_elsewhere, before_second] = [(); 4].map(|()| config.listener());
        elsewhere.advertised = Some((before_elsewhere.port, before_elsewhere.node_port_base));
        let second = &mut config.clusters[1].listeners[0];
        second.advertised = Some((before_second.port, before_second.node_port_base));
        let (elsewhere_pairs, second_pairs) = (elsewhere.tap_pairs(BROKERS), second.tap_pairs(BROKERS));
        let came = Arc::<Mutex<Vec<f64>>>::default();
        let notes = Arc::clone(&came);
        let relays = [
            Relay::start(&elsewhere_pairs, Ipv4Addr::new(127, 0, 0, 2), |_| Eyes::closed()).unwrap(),
            Relay::start(&second_pairs, Ipv4Addr::LOCALHOST, move |_| first_answer(&notes)).unwrap(),
        ];
        config.clusters[0].listeners.extend([beside, elsewhere]);
        let listeners = config.clusters.iter().flat_map(|cluster| &cluster.listeners);
        let ports: Vec<Ports> = listeners.map(Ports::of).collect();
        for listener in config.clusters.iter_mut().flat_map(|cluster| &mut cluster.listeners) {
            listener.sasl = true;
        }
        config.more.push_str(limits);
        let user = |name: &&str, who: &str| (format!("{name}.{who}"), PASSWORD.to_owned());
        config.users.extend(names.iter().flat_map(|name| ["a", "b", "c", "ab"].map(|who| user(name, who))));
        let gateway = Gateway::start(BINARY, &config).unwrap();
        let entries = ports.try_into().unwrap();
        let stalls = Stalls::watch();
        Field { ground, gateway, witness, stalls, round, entries, came, _relays: relays }
    }

    /// When each connection to the second cluster was answered for the first time.
    pub(super) fn came_to_second(&self) -> Pace {
        Pace::new(self.came.lock().unwrap().iter().map(|at| Went { at: *at, units: 1.0 }))
    }

    /// The buckets of a row with the clients of each. Those of the first share nothing but what the key looks at, and the
    /// one of the second shares that with nobody.
    pub(super) fn buckets(&self, case: Case, programs: [Program; 3]) -> Vec<Vec<Player>> {
        let player = |who: &str, program: Program| {
            // What the key looks at is the same for those who share a bucket, and all else another's.
            let name = |own: Key| {
                let shares = own == case.by && who != "c";
                format!("{}.{}", case.name, if shares { "ab" } else { who })
            };
            let entry = match case.by {
                Key::Address if who == "c" => Entry::Elsewhere,
                Key::Cluster if who == "c" => Entry::Second,
                Key::Listener if who == "c" => Entry::Beside,
                Key::Principal
                | Key::ClientId
                | Key::Address
                | Key::Cluster
                | Key::Listener
                | Key::Topic
                | Key::Group
                | Key::Api => Entry::Usual,
            };
            Player {
                program,
                // Of a group there is one member, so that nobody has to move.
                reads: who == "a"
                    || case.kind == Kind::FetchBytes
                    || (breadth() == Breadth::Full && case.by != Key::Group),
                user: name(Key::Principal),
                client_id: name(Key::ClientId),
                topic: format!("{}.{}", name(Key::Topic), self.round),
                group: format!("{}.{}", name(Key::Group), self.round),
                entry: self.entries[entry as usize],
                second: self.entries[Entry::Second as usize],
            }
        };
        let [a, b, c] = programs;
        match case.by {
            // Each API is a bucket of its own, whoever asks.
            Key::Api => vec![vec![player("a", a), player("b", b), player("c", c)]],
            Key::Principal
            | Key::ClientId
            | Key::Address
            | Key::Cluster
            | Key::Listener
            | Key::Topic
            | Key::Group => {
                vec![vec![player("a", a), player("b", b)], vec![player("c", c)]]
            }
        }
    }

    /// The only client of a name.
    pub(super) fn player(&self, name: &str, program: Program) -> Player {
        Player {
            program,
            reads: true,
            user: format!("{name}.a"),
            client_id: format!("{name}.a"),
            topic: format!("{name}.a.{}", self.round),
            group: format!("{name}.a.{}", self.round),
            entry: self.entries[Entry::Usual as usize],
            second: self.entries[Entry::Second as usize],
        }
    }
}
