//! The ground that scenarios share: one cluster per version of Kafka with a gateway in front of it, started once.
//! Processes end with this one, by the testkit's leash.

use std::fmt::{Debug, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use testkit::raw::{self, HeadStyle, RawClient};
use testkit::{Certs, Gateway, GatewayConfig, KAFKA_NEW, KAFKA_OLD, KafkaCluster, Spec, Tap, Tool};
use wire::Api;
use wire::reader::{Encoding, Reader};

/// The gateway that is tested.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");
/// An ordinary user.
pub(crate) const ALICE: (&str, &str) = ("alice", "alice-secret");
/// Another one.
pub(crate) const BOB: (&str, &str) = ("bob", "bob \"quoted\" secret");
/// One of the cluster's admins.
pub(crate) const OPS: (&str, &str) = ("ops", "ops-secret");
/// Brokers of each cluster.
pub(crate) const BROKERS: u16 = 3;

/// Makes a test of each scenario: `both` on the newest and the oldest Kafka, `full` on the oldest only in the whole
/// matrix, `new` on the newest only.
macro_rules! scenarios {
    (both: $($both:ident),*; full: $($full:ident),*; new: $($new:ident),*;) => {
        mod on_new {
            $(#[test] fn $both() { super::$both(crate::ground::Ground::new_kafka()) })*
            $(#[test] fn $full() { super::$full(crate::ground::Ground::new_kafka()) })*
            $(#[test] fn $new() { super::$new(crate::ground::Ground::new_kafka()) })*
        }
        mod on_old {
            $(#[test] fn $both() { super::$both(crate::ground::Ground::old_kafka()) })*
            $(#[test] fn $full() {
                if testkit::place::breadth() == testkit::place::Breadth::Full {
                    super::$full(crate::ground::Ground::old_kafka());
                }
            })*
        }
    };
}
pub(crate) use scenarios;

/// A cluster whose brokers advertise names that only the gateway can dial, the gateway, and taps before it.
pub(crate) struct Ground {
    pub(crate) version: &'static str,
    pub(crate) cluster: KafkaCluster,
    pub(crate) gateway: Gateway,
    pub(crate) certs: Certs,
    tap: Tap,
    anonymous: u16,
    tls: u16,
}

static NEW: OnceLock<Ground> = OnceLock::new();
static OLD: OnceLock<Ground> = OnceLock::new();

impl Ground {
    /// The newest Kafka.
    pub(crate) fn new_kafka() -> &'static Ground {
        NEW.get_or_init(|| Ground::start(KAFKA_NEW))
    }

    /// The oldest Kafka.
    pub(crate) fn old_kafka() -> &'static Ground {
        OLD.get_or_init(|| Ground::start(KAFKA_OLD))
    }

    /// Whether the brokers are of Kafka 4.
    pub(crate) fn is_new(&self) -> bool {
        self.version == KAFKA_NEW
    }

    fn start(version: &'static str) -> Ground {
        let cluster = KafkaCluster::start(Spec::new(version, BROKERS)).unwrap();
        let certs = Certs::new().unwrap();
        let config = GatewayConfig::in_front_of(&cluster).unwrap();
        let mut config = config.with_users(&[ALICE, BOB, OPS]);
        let mut pairs = config.tapped(BROKERS);
        let [mut anonymous, tapped, mut encrypted] = [(); 3].map(|()| config.listener());
        anonymous.advertised = Some((tapped.port, tapped.node_port_base));
        pairs.extend(anonymous.tap_pairs(BROKERS));
        let certificate = certs.server("gateway", &["127.0.0.1", "localhost"]).unwrap();
        encrypted.sasl = true;
        encrypted.tls = Some(testkit::gateway::ListenerTls {
            certificate: certificate.chain.clone(),
            key: certificate.key.clone(),
        });
        let (anonymous_port, tls_port) = (anonymous.advertised_port(), encrypted.port);
        config.clusters[0].listeners.extend([anonymous, encrypted]);
        config.clusters[0].more.push(format!("admins = [{:?}]", OPS.0));
        let tap = Tap::start(&pairs, cluster.needles()).unwrap();
        let gateway = Gateway::start(BINARY, &config).unwrap();
        Ground { version, cluster, gateway, certs, tap, anonymous: anonymous_port, tls: tls_port }
    }

    /// Past the gateway.
    pub(crate) fn direct(&self) -> Way<'_> {
        Way { ground: self, label: "direct", bootstrap: self.cluster.direct(), user: None, ca: None }
    }

    /// Through the gateway as this user.
    pub(crate) fn through(&self, user: (&'static str, &'static str)) -> Way<'_> {
        let bootstrap = self.gateway.address();
        Way { ground: self, label: "gateway", bootstrap, user: Some(user), ca: None }
    }

    /// Through the gateway without a login.
    pub(crate) fn through_anonymously(&self) -> Way<'_> {
        let bootstrap = format!("127.0.0.1:{}", self.anonymous);
        Way { ground: self, label: "anonymous", bootstrap, user: None, ca: None }
    }

    /// Through the gateway by TLS as this user.
    pub(crate) fn through_tls(&self, user: (&'static str, &'static str)) -> Way<'_> {
        let bootstrap = format!("127.0.0.1:{}", self.tls);
        Way { ground: self, label: "tls", bootstrap, user: Some(user), ca: Some(self.certs.authority()) }
    }

    /// Plays a scenario direct and through the gateway as an ordinary user; both must end the same.
    pub(crate) fn agree<T: PartialEq + Debug + Send>(&self, scenario: impl Fn(&Way<'_>) -> T + Sync) -> T {
        self.agree_by(&self.through(ALICE), scenario)
    }

    /// The same with another way through the gateway.
    pub(crate) fn agree_by<T: PartialEq + Debug + Send>(
        &self,
        through: &Way<'_>,
        scenario: impl Fn(&Way<'_>) -> T + Sync,
    ) -> T {
        let searched = self.tap.searched();
        let (direct, gated) = thread::scope(|scope| {
            let direct = scope.spawn(|| scenario(&self.direct()));
            let gated = scenario(through);
            (direct.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), gated)
        });
        assert_eq!(direct, gated, "direct (left) and through the gateway (right)");
        assert!(through.ca.is_some() || self.tap.searched() > searched, "nothing went through the tap");
        self.assert_no_leak();
        gated
    }

    /// Nothing of a broker's address was told to any client so far.
    pub(crate) fn assert_no_leak(&self) {
        let found = self.tap.found();
        assert!(found.is_empty(), "{found:#?}");
    }

    /// Creates a topic behind everyone's back.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.create(NewTopic::new(name, partitions, TopicReplication::Fixed(3)));
    }

    /// The same with more to say.
    pub(crate) fn create(&self, topic: NewTopic<'_>) {
        create_on(&self.cluster, topic);
    }
}

/// Creates a topic on any cluster, from behind.
pub(crate) fn create_on(cluster: &KafkaCluster, topic: NewTopic<'_>) {
    create_all_on(cluster, &[topic]);
}

/// Creates topics on any cluster, from behind.
pub(crate) fn create_all_on(cluster: &KafkaCluster, topics: &[NewTopic<'_>]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", cluster.internal()).create().unwrap();
    let created = wait_for(admin.create_topics(topics, &AdminOptions::new())).unwrap();
    for result in created {
        result.unwrap();
    }
    for broker in cluster.internal().split(',') {
        for topic in topics {
            is_known_at(broker, topic.name);
        }
    }
}

/// Waits until this broker knows the topic and all its leaders: each hears of it in its own time.
fn is_known_at(broker: &str, topic: &str) {
    let mut client = RawClient::connect(broker).unwrap();
    let mut body = 1_i32.to_be_bytes().to_vec();
    raw::string(&mut body, topic);
    let question = raw::request(Api::Metadata.key(), 1, 1, "e2e", HeadStyle::Classic, &body);
    testkit::wait::until("every broker knows a new topic", Duration::from_secs(30), || {
        Ok(is_led(&client.ask(&question)?)?.then_some(()))
    })
    .unwrap();
}

/// Whether the topic of a Metadata answer, version 1, is known and has leaders.
fn is_led(answer: &[u8]) -> Result<bool, wire::Malformed> {
    let mut reader = Reader::new(answer, Encoding::Classic);
    reader.i32("correlation id")?;
    for _ in 0..reader.array_len("brokers")? {
        reader.i32("id")?;
        reader.string_bytes("host")?;
        reader.i32("port")?;
        reader.nullable_string_bytes("rack")?;
    }
    reader.i32("controller")?;
    reader.array_len("topics")?;
    let mut led = reader.i16("error")? == 0;
    reader.string_bytes("name")?;
    reader.bool("internal")?;
    let partitions = reader.array_len("partitions")?;
    for _ in 0..partitions {
        led &= reader.i16("error")? == 0;
        reader.i32("partition")?;
        led &= reader.i32("leader")? >= 0;
        for nodes in ["replicas", "in sync"] {
            for _ in 0..reader.array_len(nodes)? {
                reader.i32(nodes)?;
            }
        }
    }
    Ok(led && partitions > 0)
}

/// Runs a future to its end on this thread.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A way of a client to the cluster.
pub(crate) struct Way<'g> {
    pub(crate) ground: &'g Ground,
    pub(crate) label: &'static str,
    pub(crate) bootstrap: String,
    pub(crate) user: Option<(&'static str, &'static str)>,
    pub(crate) ca: Option<PathBuf>,
}

static FILES: AtomicUsize = AtomicUsize::new(0);

impl Way<'_> {
    /// A name that no other way uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.label)
    }

    /// A new topic of this way.
    pub(crate) fn topic(&self, name: &str, partitions: i32) -> String {
        let name = self.name(name);
        self.ground.create_topic(&name, partitions);
        name
    }

    /// The text without what only this way says.
    pub(crate) fn neutral(&self, text: &str) -> String {
        text.replace(&format!("-{}", self.label), "-WAY")
    }

    fn protocol(&self) -> &'static str {
        match (&self.user, &self.ca) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SASL_PLAINTEXT",
            (None, Some(_)) => "SSL",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }

    /// What librdkafka is told.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("bootstrap.servers", self.bootstrap.clone()),
            ("security.protocol", self.protocol().to_owned()),
        ];
        if let Some((user, password)) = self.user {
            settings.push(("sasl.mechanism", "PLAIN".to_owned()));
            settings.push(("sasl.username", user.to_owned()));
            settings.push(("sasl.password", password.to_owned()));
        }
        if let Some(ca) = &self.ca {
            settings.push(("ssl.ca.location", ca.to_str().unwrap().to_owned()));
        }
        settings
    }

    /// librdkafka in process on this way.
    pub(crate) fn librdkafka(&self) -> ClientConfig {
        self.settings().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// kcat on this way.
    pub(crate) fn kcat(&self, arguments: &[&str]) -> Tool {
        let mut tool = kcat();
        for (key, value) in self.settings() {
            tool = tool.args(&["-X", &format!("{key}={value}")]);
        }
        tool.args(arguments)
    }

    /// A file of properties as Java's clients read them.
    pub(crate) fn properties(&self) -> PathBuf {
        let mut text =
            format!("bootstrap.servers={}\nsecurity.protocol={}\n", self.bootstrap, self.protocol());
        if let Some((user, password)) = self.user {
            let password = password.replace('"', "\\\\\"");
            text += "sasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.\
                     PlainLoginModule required ";
            writeln!(text, "username=\"{user}\" password=\"{password}\";").unwrap();
        }
        if let Some(ca) = &self.ca {
            writeln!(text, "ssl.truststore.type=PEM\nssl.truststore.location={}", ca.display()).unwrap();
        }
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        self.ground.cluster.write_file(&format!("client-{number}.properties"), &text).unwrap()
    }

    /// One of Kafka's own tools on this way.
    pub(crate) fn tool(&self, name: &str, arguments: &[&str]) -> Tool {
        let option = match name {
            _ if self.ground.is_new() => "--command-config",
            "kafka-console-producer" | "kafka-producer-perf-test" | "kafka-verifiable-producer" => {
                "--producer.config"
            }
            "kafka-console-consumer" | "kafka-verifiable-consumer" => "--consumer.config",
            _ => "--command-config",
        };
        let tool = self.ground.cluster.tool(name, &[]).unwrap().path(option, &self.properties());
        let tool = match name {
            "kafka-producer-perf-test" => tool,
            _ => tool.args(&["--bootstrap-server", &self.bootstrap]),
        };
        tool.args(arguments)
    }

    /// Runs a tool that must succeed; its standard output without what only this way says.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        self.neutral(&self.tool(name, arguments).run().unwrap().ok().unwrap())
    }
}

/// The machine's kcat with the machine's librdkafka: cargo's library path would give it the one built for this binary.
pub(crate) fn kcat() -> Tool {
    Tool::program("kcat", "env").args(&["-u", "LD_LIBRARY_PATH", "kcat"])
}

/// The lines of a text in order.
pub(crate) fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}
