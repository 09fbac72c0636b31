//! A scripted broker, a gateway before it, and clients that know what they expect.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::raw::{self, HeadStyle};
use testkit::scripted::Request;
use testkit::{Certs, FreePorts, Gateway, GatewayConfig, RawClient, Reply, ScriptedBroker, wait};

use crate::bytes::{self, Broker, Bytes};

/// Time for an event that must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// The broker's own name, which no client may ever see.
pub(crate) const SECRET_HOST: &str = "broker-1.kafka.invalid";

/// What differs from a gateway with one anonymous listener before one broker that answers everything.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) users: Vec<(String, String)>,
    pub(crate) listener: Vec<&'static str>,
    pub(crate) cluster: Vec<&'static str>,
    pub(crate) more: &'static str,
    pub(crate) tls: bool,
    pub(crate) takeover: bool,
}

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) broker: ScriptedBroker,
    pub(crate) config: GatewayConfig,
    _certs: Option<Certs>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Stage {
    pub(crate) fn plain() -> Self {
        Self::new(&Setup::default(), |_| None)
    }

    /// With the users alice and bob, whose passwords are theirs.
    pub(crate) fn asking_who() -> Self {
        Self::new(&asking_who(), |_| None)
    }

    /// `script` comes first; what it leaves, a broker that echoes answers.
    pub(crate) fn new(
        setup: &Setup,
        script: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let record = Arc::clone(&seen);
        let broker = ScriptedBroker::start(0, move |request| {
            let of_gateway = request.frame.get(10..20) == Some(b"portcullis".as_slice());
            if !of_gateway && request.key() != bytes::API_VERSIONS && request.frame.len() < 1 << 16 {
                record.lock().unwrap().push(request.frame.clone());
            }
            script(request).unwrap_or_else(|| usual(request))
        })
        .unwrap();
        let address = broker.address().to_string();
        let mut config = GatewayConfig::new().unwrap();
        let cluster = config.add_cluster("main", vec![address.clone()], [(1, address)].into());
        cluster.more.extend(setup.cluster.iter().map(|line| (*line).to_owned()));
        let listener = config.first_listener().unwrap();
        listener.more.extend(setup.listener.iter().map(|line| (*line).to_owned()));
        listener.sasl = !setup.users.is_empty();
        config.users.clone_from(&setup.users);
        config.more.push_str(setup.more);
        let certs = setup.tls.then(|| Certs::new().unwrap());
        if let Some(certs) = &certs {
            config = config.with_tls(&certs.server("gateway", &["localhost", "127.0.0.1"]).unwrap());
        }
        if setup.takeover {
            config = config.with_takeover().unwrap();
        }
        let gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
        Self { gateway, broker, config, _certs: certs, seen }
    }

    /// Requests that clients' connections have brought to the broker, without `ApiVersions`.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address().parse().unwrap()
    }

    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.address()).unwrap()
    }

    /// A client that has logged in, where that is asked for.
    pub(crate) fn client(&self) -> RawClient {
        let mut client = self.connect();
        if let Some((user, password)) = self.config.users.first() {
            assert_eq!(login(&mut client, user, password).unwrap(), 0);
        }
        client
    }

    pub(crate) fn ended(&self, side: &str, reason: &str) -> f64 {
        let labels = [("side", side), ("reason", reason)];
        self.gateway.metric("portcullis_connections_ended_total", &labels).unwrap()
    }

    /// Does `act`, and waits until exactly `times` more connections have ended this way.
    pub(crate) fn ends<T>(&self, times: u32, side: &str, reason: &str, act: impl FnOnce() -> T) -> T {
        let before = self.ended(side, reason);
        let done = act();
        let labels = [("side", side), ("reason", reason)];
        let wanted = |now: f64| now - before >= f64::from(times);
        let now =
            self.gateway.wait_metric("portcullis_connections_ended_total", &labels, LIMIT, wanted).unwrap();
        assert!((now - before - f64::from(times)).abs() < 0.5, "{now} connections and not {times} more");
        done
    }

    /// Sends `bytes` on a new connection, which must be closed with nothing said and counted like this.
    pub(crate) fn is_closed_for(&self, side: &str, reason: &str, bytes: &[u8]) {
        self.ends(1, side, reason, || {
            let mut client = self.connect();
            // The gateway may have closed before the last byte.
            let _ = client.send_bytes(bytes);
            assert_eq!(client.until_closed().unwrap(), b"", "for {:?}", &bytes[..bytes.len().min(40)]);
        });
    }
}

pub(crate) fn asking_who() -> Setup {
    let user = |name: &str| (name.to_owned(), format!("{name}'s password"));
    Setup { users: vec![user("alice"), user("bob")], ..Setup::default() }
}

/// The gateway is as it was: a client gets what it asks for.
pub(crate) fn is_well(client: &mut RawClient) {
    let answer = client.ask(&bytes::heartbeat(77, b"are you well")).unwrap();
    assert_eq!(answer, Bytes::default().i32(77).raw(b"are you well").0);
}

/// A gateway before nodes 1 and 2, of which it bootstraps at the second, which coordinates all groups.
pub(crate) struct Two {
    pub(crate) gateway: Gateway,
    pub(crate) brokers: Vec<ScriptedBroker>,
    /// Node N has its port at this + N.
    pub(crate) base: u16,
    /// Whether the brokers count the first among themselves.
    pub(crate) has_first: Arc<AtomicBool>,
    _ports: FreePorts,
}

impl Two {
    /// `script` comes first at node 1; what it leaves, and all at node 2, two brokers that echo answers. `lines` are of the
    /// cluster.
    pub(crate) fn new(
        lines: &[&str],
        script: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let ports = FreePorts::reserve(2).unwrap();
        let both: Vec<Broker> = [1, 2].map(|node| (node, "kafka.invalid".to_owned(), 9092 + node)).to_vec();
        let has_first = Arc::new(AtomicBool::new(true));
        let has = Arc::clone(&has_first);
        let either = move |request: &Request| match request.key() {
            bytes::METADATA => {
                let there = if has.load(Ordering::Relaxed) { &both[..] } else { &both[1..] };
                Reply::Frame(bytes::metadata_answer(request.correlation(), request.version(), there))
            }
            bytes::FIND_COORDINATOR => Reply::Frame(bytes::coordinator_answer(request.correlation(), 0, 2)),
            _ => usual(request),
        };
        let second = ScriptedBroker::start(ports.base() + 1, either.clone()).unwrap();
        let first = move |request: &Request| script(request).unwrap_or_else(|| either(request));
        let brokers = vec![ScriptedBroker::start(ports.base(), first).unwrap(), second];
        let [one, two] = [0, 1].map(|n| format!("127.0.0.1:{}", ports.base() + n));
        let mut config = GatewayConfig::new().unwrap();
        let cluster = config.add_cluster("main", vec![two.clone()], [(1, one), (2, two)].into());
        cluster.more.extend(lines.iter().map(|line| (*line).to_owned()));
        let base = config.first_listener().unwrap().node_port_base;
        let gateway = Gateway::start(env!("CARGO_BIN_EXE_portcullis"), &config).unwrap();
        Self { gateway, brokers, base, has_first, _ports: ports }
    }

    /// A client at node 1, to which the gateway has a connection.
    pub(crate) fn client_of_the_first(&self) -> RawClient {
        let connect = || Ok(RawClient::connect(("127.0.0.1", self.base + 1)).ok());
        let mut client = wait::until("node 1", LIMIT, connect).unwrap();
        is_well(&mut client);
        client
    }
}

/// A broker that says what it speaks, names itself, and echoes everything else.
pub(crate) fn usual(request: &Request) -> Reply {
    let itself: [Broker; 1] = [(1, SECRET_HOST.to_owned(), 9092)];
    match request.key() {
        bytes::API_VERSIONS => Reply::Frame(bytes::api_versions_answer(request.correlation(), bytes::RANGES)),
        bytes::METADATA => {
            Reply::Frame(bytes::metadata_answer(request.correlation(), request.version(), &itself))
        }
        bytes::PRODUCE if acks(request) == 0 => Reply::Nothing,
        _ => Reply::Frame(Bytes::default().raw(request.correlation()).raw(body(&request.frame)).0),
    }
}

/// What follows the client id of a classic head.
fn body(frame: &[u8]) -> &[u8] {
    let length = frame.get(8..10).map_or(0, |length| i16::from_be_bytes([length[0], length[1]]));
    frame.get(10 + usize::try_from(length).unwrap_or(0)..).unwrap_or_default()
}

/// The acks of a Produce v9 without a transactional id.
fn acks(request: &Request) -> i16 {
    let body = body(&request.frame);
    i16::from_be_bytes([body[2], body[3]])
}

pub(crate) fn handshake(version: i16, mechanism: &str) -> Vec<u8> {
    raw::request(17, version, 1, "test", HeadStyle::Classic, &Bytes::default().classic(mechanism).0)
}

pub(crate) fn authenticate(token: &[u8]) -> Vec<u8> {
    let body = Bytes::default().i32(i32::try_from(token.len()).unwrap()).raw(token).0;
    raw::request(36, 1, 2, "test", HeadStyle::Classic, &body)
}

pub(crate) fn plain(user: &str, password: &str) -> Vec<u8> {
    [b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat()
}

/// Logs in by `SaslHandshake` v1 and `SaslAuthenticate` v1; the second answer's error.
pub(crate) fn login(client: &mut RawClient, user: &str, password: &str) -> std::io::Result<i16> {
    let answer = client.ask(&handshake(1, "PLAIN"))?;
    assert_eq!(answer[4..6], [0, 0]);
    let answer = client.ask(&authenticate(&plain(user, password)))?;
    Ok(i16::from_be_bytes([answer[4], answer[5]]))
}

/// Makes the socket's close a reset.
pub(crate) fn reset_at_close(client: &RawClient) {
    socket2::SockRef::from(&client.stream().as_fd()).set_linger(Some(Duration::ZERO)).unwrap();
}

pub(crate) fn contains(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|window| window == needle.as_bytes())
}
