//! Dialling brokers: one code for a connection's first dial, its later ones and the gateway's own questions.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use wire::versions::{self, Offered, Software};
use wire::{Api, CorrelationId, NodeId, Upstream};

use crate::cluster::{Spec, Topology};
use crate::conn::Session;
use crate::ended::{Ended, Why};
use crate::frames::{FrameError, Frames};
use crate::health::Waiting;
use crate::listener::Entry;
use crate::sockets;
use crate::stream::Stream;
use crate::timer;

/// The client id under which the gateway asks questions of its own.
pub const CLIENT_ID: &str = "portcullis";

/// The largest answer to a question of the gateway's own: a cluster of thousands of brokers stays below it.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Waits between dials of one connection: doubled from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A broker that did not answer a dial for so long was missed, although more time is configured.
const FAIR: Duration = Duration::from_secs(1);

/// Kafka's error for a version that a broker does not speak.
const UNSUPPORTED_VERSION: i16 = 35;

/// Why a broker could not be dialled. For the log: it may name addresses.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{0} has no address: {1}")]
    Resolve(Upstream, std::io::Error),
    /// No connection was made.
    #[error("{0} can't be connected to: {1}")]
    Connect(Upstream, std::io::Error),
    /// No TLS session was agreed on.
    #[error("{0}: TLS: {1}")]
    Tls(Upstream, std::io::Error),
    /// The broker does not accept the gateway's own user.
    #[error("{0} refuses the gateway's login: {1}")]
    Login(Upstream, String),
    /// The broker's answers are none.
    #[error("{0} does not answer as a broker: {1}")]
    Protocol(Upstream, String),
    /// It took too long.
    #[error("{0} did not answer in time")]
    Timeout(Upstream),
}

impl DialError {
    /// The metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Resolve(..) => "resolve",
            Self::Connect(..) => "connect",
            Self::Tls(..) => "tls",
            Self::Login(..) => "login",
            Self::Protocol(..) => "protocol",
            Self::Timeout(..) => "timeout",
        }
    }
}

/// A broker that is ready for requests.
pub struct Connected {
    /// The stream, nothing unread in it.
    pub stream: Stream,
    /// What the broker says it speaks.
    pub offered: Offered,
}

/// Dials the broker that a connection's port stands for, again and again until the cluster's `hold` is over.
pub async fn reach(session: &Session) -> Result<Stream, Ended> {
    let hold = session.place.cluster.spec().config.hold;
    reach_by(session, Instant::now() + hold).await
}

/// Dials the broker that a connection's port stands for, again and again until the deadline. A broker that was missed too
/// often is not dialled: its connections wait here until a probe has found it back, or it is somewhere else.
pub async fn reach_by(session: &Session, deadline: Instant) -> Result<Stream, Ended> {
    let cluster = &session.place.cluster;
    session.is_served_by_nobody();
    let mut news = cluster.health.news();
    let mut waiting: Option<Waiting> = None;
    let mut backoff = BACKOFF.0;
    let mut last: Option<DialError> = None;
    loop {
        // Before anything is looked at: what changes meanwhile is not missed.
        news.mark_unchanged();
        let topology = cluster.topology_within(left(deadline)).await;
        let topology = topology.ok_or_else(|| Ended::gateway(Why::NoTopology))?;
        let candidates = candidates(session, &topology);
        for node in &candidates {
            let Some(address) = topology.nodes.get(node).map(|node| &node.address) else { continue };
            match dial_for(session, *node, address, deadline).await {
                None => {}
                Some(Ok(Connected { stream, offered })) => {
                    session.is_served_by(*node);
                    return session.holds_promise(&offered).map(|()| stream);
                }
                Some(Err(error @ DialError::Login(..))) => {
                    return Err(Ended::broker(Why::BrokerLogin).because(error));
                }
                Some(Err(error)) => last = Some(error),
            }
        }
        cluster.look_now.notify_one();
        let wait = backoff.min(left(deadline));
        if wait.is_zero() {
            let end = Ended::broker(Why::Unreachable);
            return Err(match (last, candidates.is_empty()) {
                (Some(error), _) => end.because(error),
                (None, true) => end.because("the topology has no such node"),
                (None, false) => {
                    end.because("no turn to dial it came: it was missed too often, or many dial it")
                }
            });
        }
        waiting.get_or_insert_with(|| Waiting::for_any(&cluster.health, &candidates));
        tokio::select! {
            () = timer::sleep(wait) => {}
            _ = news.changed() => {}
        }
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Dials a broker for a client, unless it is left alone; and tells how that went.
async fn dial_for(
    session: &Session,
    node: NodeId,
    address: &Upstream,
    deadline: Instant,
) -> Option<Result<Connected, DialError>> {
    let cluster = &session.place.cluster;
    let health = cluster.health.node(node);
    // Where many wait for their turn, the first few decide for all.
    let _turn = timer::timeout(left(deadline), health.dials.acquire()).await.ok()?.ok()?;
    if !health.admits() {
        return None;
    }
    let spec = Arc::clone(&cluster.spec());
    let within = spec.config.dial_timeout.min(left(deadline));
    let dialled = connect_within(&spec, address, &session.software(), within).await;
    session.gateway.metrics.dialled(&cluster.name, node, dialled.as_ref().err());
    // What was cut short by the client's own deadline says nothing of the broker.
    let had_time = within >= spec.config.dial_timeout.min(FAIR);
    if had_time || !matches!(dialled, Err(DialError::Timeout(_))) {
        cluster.health.dialled(node, address, dialled.as_ref().err());
    }
    Some(dialled)
}

/// Where the configuration says that a broker is.
pub fn of(address: &config::HostPort) -> Upstream {
    Upstream { host: address.host.clone().into_boxed_str(), port: address.port }
}

fn candidates(session: &Session, topology: &Topology) -> Vec<NodeId> {
    match session.place.entry {
        Entry::Bootstrap => session.place.cluster.any_broker(topology),
        Entry::Node(node) => topology.nodes.keys().copied().filter(|known| *known == node).collect(),
    }
}

/// [`connect`], given up after `within`.
pub async fn connect_within(
    spec: &Spec,
    address: &Upstream,
    software: &Software,
    within: Duration,
) -> Result<Connected, DialError> {
    match timer::timeout(within, connect(spec, address, software)).await {
        Ok(connected) => connected,
        Err(_) => Err(DialError::Timeout(address.clone())),
    }
}

/// Dials a broker: name, TCP, TLS, `ApiVersions` under the client's software name, SASL with the gateway's user.
async fn connect(spec: &Spec, address: &Upstream, software: &Software) -> Result<Connected, DialError> {
    let socket = dial(address).await?;
    let stream = match &spec.tls {
        None => Stream::from(socket),
        Some(connector) => {
            let tls_error = |error| DialError::Tls(address.clone(), error);
            let configured = spec.config.tls.as_ref().and_then(|tls| tls.server_name.clone());
            let name = ServerName::try_from(configured.unwrap_or_else(|| address.host.to_string()))
                .map_err(|error| tls_error(std::io::Error::other(error)))?;
            let session = connector.connect(name, socket).await.map_err(tls_error)?;
            Stream::from(tokio_rustls::TlsStream::from(session))
        }
    };
    let mut question = Question { stream: &stream, frames: Frames::default(), address, correlation: 0 };
    let offered = question.versions(software).await?;
    if let Some(sasl) = &spec.config.sasl {
        question.login(sasl, &offered).await?;
    }
    Ok(Connected { stream, offered })
}

async fn dial(address: &Upstream) -> Result<TcpStream, DialError> {
    let resolved: Vec<SocketAddr> = match address.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, address.port)],
        Err(_) => tokio::net::lookup_host((&*address.host, address.port))
            .await
            .map_err(|error| DialError::Resolve(address.clone(), error))?
            .collect(),
    };
    let mut failed = std::io::Error::other("the name has no address");
    for candidate in resolved {
        match TcpStream::connect(candidate).await {
            Ok(socket) => {
                sockets::prepare(&socket, sockets::KEEPALIVE, sockets::USER_TIMEOUT);
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    Err(DialError::Connect(address.clone(), failed))
}

/// The gateway's own questions on a stream on which nothing else is owed.
pub struct Question<'a> {
    stream: &'a Stream,
    frames: Frames,
    address: &'a Upstream,
    correlation: i32,
}

impl<'a> Question<'a> {
    /// Questions to the broker at `address`.
    pub fn new(stream: &'a Stream, address: &'a Upstream) -> Self {
        Self { stream, frames: Frames::default(), address, correlation: 0 }
    }

    /// Asks what `compose` makes of a correlation id, and gives the answer's frame.
    pub async fn ask(
        &mut self,
        compose: impl FnOnce(CorrelationId) -> Vec<u8>,
    ) -> Result<Vec<u8>, DialError> {
        self.correlation = self.correlation.wrapping_add(1);
        let question = compose(CorrelationId(self.correlation));
        let gone = |error: FrameError| DialError::Protocol(self.address.clone(), error.to_string());
        self.stream.write_all(&question).await.map_err(|error| gone(error.into()))?;
        let frame = self.frames.next(self.stream, ANSWER_BYTES_MAX).await.map_err(gone)?;
        match frame.first_chunk::<4>() {
            Some(correlation) if i32::from_be_bytes(*correlation) == self.correlation => Ok(frame),
            _ => Err(self.broken("an answer to another question")),
        }
    }

    /// Says that the broker at the other end does not keep to the protocol.
    pub fn broken(&self, what: impl std::fmt::Display) -> DialError {
        DialError::Protocol(self.address.clone(), what.to_string())
    }

    /// Asks for versions and features: in the newest form that is known, then in what the broker says it speaks.
    pub async fn versions(&mut self, software: &Software) -> Result<Offered, DialError> {
        let mut version = Api::ApiVersions.row().max;
        loop {
            let frame = self.ask(|id| versions::request_frame(version, id, CLIENT_ID, software)).await?;
            let (error, offered) =
                versions::read_answer(version, &frame).map_err(|error| self.broken(error))?;
            match error {
                0 => return Ok(offered),
                UNSUPPORTED_VERSION if version > 0 => {
                    let listed = offered.ranges.get(Api::ApiVersions).map_or(0, |range| range.max);
                    version = listed.min(version - 1).max(0);
                }
                other => return Err(self.broken(format_args!("ApiVersions is answered with error {other}"))),
            }
        }
    }

    /// Logs the gateway's own user in.
    async fn login(&mut self, sasl: &config::BrokerSasl, offered: &Offered) -> Result<(), DialError> {
        let refused = |why: String| DialError::Login(self.address.clone(), why);
        let mechanism = sasl.mechanism.name();
        let frame = self.ask(|id| wire::sasl::handshake_request(id, CLIENT_ID, mechanism)).await?;
        let (error, enabled) =
            wire::sasl::read_handshake_answer(&frame).map_err(|error| self.broken(error))?;
        if error != 0 {
            return Err(refused(format!("it offers {} and not {mechanism}", enabled.join(", "))));
        }
        let version = offered.ranges.get(Api::SaslAuthenticate).map_or(0, |range| range.max).clamp(0, 2);
        let token = wire::sasl::plain_token(&sasl.username, sasl.password.expose());
        let frame = self.ask(|id| wire::sasl::authenticate_request(version, id, CLIENT_ID, &token)).await?;
        let answer =
            wire::sasl::read_authenticate_answer(version, &frame).map_err(|error| self.broken(error))?;
        if answer.error != 0 {
            return Err(refused(format!("error {} {}", answer.error, answer.message.unwrap_or_default())));
        }
        Ok(())
    }
}
