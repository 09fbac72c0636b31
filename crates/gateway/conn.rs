//! A connection from its acceptance to its end: `open` makes a [`Session`] of it, the pump consumes that.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use policy::access::Privilege;
use tokio::net::TcpStream;
use wire::api::Stance;
use wire::head::RequestHead;
use wire::versions::{Offered, Software};
use wire::{Api, Book, NodeId};

use crate::auth;
use crate::caller::Caller;
use crate::cluster::Offer;
use crate::ended::{Ended, Side, Why};
use crate::frames::Frames;
use crate::health::parting::Parting;
use crate::health::{Served, Through};
use crate::limits::Limits;
use crate::listener::{Entry, Place};
use crate::live::{Gateway, Phase};
use crate::metrics::Counts;
use crate::moment::Moment;
use crate::pump::{Pump, Report};
use crate::sockets;
use crate::stream::Stream;
use crate::timer;
use crate::workers::{Accepted, Permit};

/// How long a client in its login may keep still when the gateway ends.
const WORD_WITHIN: Duration = Duration::from_secs(1);

/// Who a connection is, where it came in and what it was promised.
pub struct Session {
    /// What all connections share.
    pub gateway: Arc<Gateway>,
    /// Where it came in.
    pub place: Arc<Place>,
    /// The listener's configuration when it came in.
    pub listener: Arc<config::Listener>,
    /// The client's address.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub since: Instant,
    /// When it is old enough to be let go.
    pub ends_at: Option<Instant>,
    /// Its thread's counts.
    pub counts: Counts,
    /// What it calls itself.
    pub caller: Caller,
    /// What it may do how often.
    pub limits: Limits,
    pub(crate) login: auth::Login,
    principal: RefCell<Arc<str>>,
    privilege: Cell<Privilege>,
    software: RefCell<Rc<Software>>,
    promised: RefCell<Option<Arc<Offer>>>,
    /// What the client was told, which it goes by.
    told: RefCell<Option<Arc<Offer>>>,
    served: RefCell<Option<Served>>,
    /// When it leaves a broker that is drained.
    pub parting: Parting,
    _permit: Permit,
}

impl Session {
    fn new(accepted: Accepted, listener: Arc<config::Listener>) -> (std::net::TcpStream, Self) {
        let Accepted { client, peer, place, gateway, worker, permit } = accepted;
        let since = Instant::now();
        let ends_at = listener.age_max.map(|age| since + jittered(age, listener.age_jitter));
        let anonymous: Arc<str> = Arc::from(config::ANONYMOUS);
        let session = Self {
            counts: Counts::new(&place.cluster.shards, worker),
            caller: Caller::default(),
            limits: Limits::new(&gateway.live().rules, gateway.clock),
            login: auth::Login::default(),
            privilege: Cell::new(place.cluster.spec().privilege(&anonymous)),
            principal: RefCell::new(anonymous),
            software: RefCell::new(Rc::new(own_software())),
            promised: RefCell::new(None),
            told: RefCell::new(None),
            served: RefCell::new(None),
            parting: Parting::default(),
            gateway,
            place,
            listener,
            peer,
            since,
            ends_at,
            _permit: permit,
        };
        (client, session)
    }

    /// Who the client is.
    pub fn principal(&self) -> Arc<str> {
        Arc::clone(&self.principal.borrow())
    }

    /// A head says who sends the request at hand.
    pub fn called(&self, head: &RequestHead<'_>) {
        if self.caller.called(head) {
            self.limits.forget_client_id();
        }
    }

    pub(crate) fn set_principal(&self, principal: Arc<str>) {
        self.privilege.set(self.place.cluster.spec().privilege(&principal));
        *self.principal.borrow_mut() = principal;
        self.limits.forget();
    }

    /// What the client may do.
    pub fn privilege(&self) -> Privilege {
        self.privilege.get()
    }

    pub(crate) fn set_privilege(&self, privilege: Privilege) {
        self.privilege.set(privilege);
    }

    /// The client's software as it named itself (KIP-511), or the gateway's.
    pub fn software(&self) -> Rc<Software> {
        Rc::clone(&self.software.borrow())
    }

    pub(crate) fn set_software(&self, software: Software) {
        *self.software.borrow_mut() = Rc::new(software);
    }

    /// What the connection was promised: the offer of its last `ApiVersions`, else that of its first request.
    pub fn promised(&self) -> Option<Arc<Offer>> {
        self.promised.borrow().clone()
    }

    /// Whether the connection was promised this version.
    pub fn allows(&self, api: Api, version: i16) -> bool {
        self.promised.borrow().as_ref().is_some_and(|offer| offer.offered.ranges.allows(api, version))
    }

    /// Whether the connection was promised any version of this API.
    pub fn promises(&self, api: Api) -> bool {
        self.promised.borrow().as_ref().is_some_and(|offer| offer.offered.ranges.get(api).is_some())
    }

    pub(crate) fn promise(&self, offer: Arc<Offer>) {
        *self.told.borrow_mut() = Some(Arc::clone(&offer));
        *self.promised.borrow_mut() = Some(offer);
    }

    /// Waits for the topology, at most the cluster's `hold`, and promises what it offers.
    pub(crate) async fn offer(&self) -> Result<Arc<Offer>, Ended> {
        let cluster = &self.place.cluster;
        let hold = cluster.spec().config.hold;
        let topology = cluster.topology_within(hold).await;
        topology.map(|topology| Arc::clone(&topology.offer)).ok_or_else(|| Ended::gateway(Why::NoTopology))
    }

    /// Whether a broker offers the newest versions that this connection was promised: those are what clients use. From then
    /// on older ones are promised only as far as the cluster still speaks them, so that who did use one is closed, and asks
    /// anew, when it comes with it.
    pub(crate) fn holds_promise(&self, offered: &Offered) -> Result<(), Ended> {
        let Some(promised) = self.promised() else { return Ok(()) };
        let mut is_narrower = false;
        for api in Api::ALL.iter().copied().filter(|api| api.stance() != Stance::Local) {
            let Some(asked) = promised.offered.ranges.get(api) else { continue };
            let now = offered.ranges.get(api);
            is_narrower |= api != Api::Produce && now.is_some_and(|now| now.min > asked.min);
            if !now.is_some_and(|now| (now.min..=now.max).contains(&asked.max)) {
                let lacks = format!("the broker lacks {} {}-{}", api.name(), asked.min, asked.max);
                return Err(Ended::broker(Why::Downgraded).because(lacks));
            }
        }
        if let (true, Some(topology)) = (is_narrower, self.place.cluster.topology()) {
            *self.promised.borrow_mut() = Some(Arc::clone(&topology.offer));
        }
        Ok(())
    }

    /// The addresses that this client is told.
    pub fn book(&self) -> Guard<Arc<Book>> {
        self.place.listener.book()
    }

    /// From now on this broker serves it, and no other one.
    pub(crate) fn is_served_by(&self, node: NodeId) {
        let health = self.place.cluster.health.node(node);
        *self.served.borrow_mut() = None;
        *self.served.borrow_mut() = Some(Served::by(health, Through::from(self.place.entry)));
    }

    /// Its broker is gone, and the next one is looked for.
    pub(crate) fn is_served_by_nobody(&self) {
        *self.served.borrow_mut() = None;
    }

    /// Which broker serves it.
    pub fn served_by(&self) -> Option<NodeId> {
        self.served.borrow().as_ref().map(|served| served.node.id)
    }

    /// Its broker has sent something.
    pub(crate) fn broker_answers(&self) {
        if let Some(served) = &*self.served.borrow() {
            served.node.answers();
        }
    }

    /// Its broker's connection broke, or was closed while answers were owed.
    pub(crate) fn broker_broke(&self) {
        if let Some(node) = self.served_by() {
            self.place.cluster.health.broke(node);
        }
    }

    /// Nodes without a port of ours were left out of an answer. Those that nobody has seen yet are looked for at
    /// once; for the others a look was had already and found no port.
    pub fn missed(&self, left_out: &[NodeId]) {
        if left_out.is_empty() {
            return;
        }
        let cluster = &self.place.cluster;
        self.gateway.metrics.left_out(&cluster.name, left_out);
        let topology = cluster.topology();
        let is_seen = |node: &NodeId| topology.as_ref().is_some_and(|seen| seen.nodes.contains_key(node));
        if !left_out.iter().all(is_seen) {
            cluster.look_now.notify_one();
        }
    }
}

/// The name under which the gateway speaks for a client that gave none.
pub fn own_software() -> Software {
    Software { name: "portcullis".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// `age` less a random part of at most `jitter` of it, so that connections of one moment don't end in one moment.
fn jittered(age: Duration, jitter: f64) -> Duration {
    age.mul_f64((1.0 - jitter * random_share()).clamp(0.0, 1.0))
}

/// From 0 to 1, another one each time, so that connections of one moment part.
pub(crate) fn random_share() -> f64 {
    let mut random = [0; 4];
    // Without randomness it is merely the same for all.
    let _ = aws_lc_rs::rand::fill(&mut random);
    f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX)
}

/// Lives a connection from its acceptance to its end.
pub fn serve(accepted: Accepted) -> impl Future<Output = ()> {
    // Boxed, so that nothing of the login remains in a connection that has passed it.
    let arriving = Box::pin(arrive(accepted));
    async move {
        let report = match arriving.await {
            Ok((pump, early)) => pump.run(early).await,
            Err(report) => *report,
        };
        close(&report);
    }
}

/// Makes a pump of a connection, with what was read beyond the login.
async fn arrive(accepted: Accepted) -> Result<(Box<Pump>, Vec<u8>), Box<Report>> {
    let door = Arc::clone(&accepted.place.listener.door());
    let (client, session) = Session::new(accepted, Arc::clone(&door.config));
    session.gateway.metrics.opened(&session.place);
    match open(client, &door, &session).await {
        Ok((stream, early)) => Ok((Box::new(Pump::new(stream, session)), early)),
        Err(ended) => Err(Box::new(Report { session, bytes_in: 0, bytes_out: 0, requests: 0, ended })),
    }
}

/// Everything before the pump: limits of connections, then under one timeout TLS and the login. No broker is dialled here.
async fn open(
    client: std::net::TcpStream,
    door: &crate::listener::Door,
    session: &Session,
) -> Result<(Stream, Vec<u8>), Ended> {
    let io = |error: std::io::Error| Ended::client(Why::Io).because(error);
    sockets::prepare(&client, session.listener.keepalive, session.listener.user_timeout);
    let client = TcpStream::from_std(client).map_err(io)?;
    let opening = async {
        let stream = match &door.tls {
            None => Stream::from(client),
            Some(acceptor) => {
                let accepted = until_closing(session, acceptor.accept(client)).await?;
                let tls = accepted.map_err(|error| Ended::client(Why::Tls).because(error))?;
                Stream::from(tokio_rustls::TlsStream::from(tls))
            }
        };
        let mut frames = Frames::default();
        if !session.listener.sasl.is_empty() {
            auth::welcome(session, &stream, &mut frames).await?;
        }
        Ok((stream, frames.into_unread()))
    };
    until_closing(session, session.limits.enter(session, false)).await??;
    let opened = timer::timeout(session.listener.login_timeout, opening).await;
    let opened = opened.unwrap_or_else(|_| Err(Ended::client(Why::LoginTimeout)))?;
    until_closing(session, session.limits.enter(session, true)).await??;
    Ok(opened)
}

/// Waits for a client that is not known yet, until it has to leave because the gateway ends. It was promised nothing, but
/// would take a connection that ends amid its login for a failure: so one that came a moment before may finish it, and
/// one that is answered has a second for its next word.
pub(crate) async fn until_closing<T>(session: &Session, wait: impl Future<Output = T>) -> Result<T, Ended> {
    let word_by = Instant::now() + WORD_WITHIN;
    let mut changes = session.gateway.changes();
    let closing = async {
        let ending = match changes.wait_for(|phase| matches!(phase, Phase::Ending(_))).await.as_deref() {
            Ok(Phase::Ending(ending)) => *ending,
            Ok(Phase::Arriving | Phase::Serving) | Err(_) => return,
        };
        timer::sleep_until(Moment::of(ending.welcomes_until().max(word_by))).await;
    };
    tokio::select! {
        // In this order: what has come is answered, however late this thread gets to it.
        biased;
        waited = wait => Ok(waited),
        () = closing => Err(Ended::gateway(Why::Shutdown)),
    }
}

/// The one line that tells a connection's life, and its count.
fn close(report: &Report) {
    let Report { session, ended, .. } = report;
    session.gateway.metrics.closed(&session.place, ended);
    if ended.side == Side::Broker && matches!(ended.why, Why::Unanswered | Why::CutOff | Why::Io) {
        session.broker_broke();
    }
    let node = match (session.place.entry, session.served_by()) {
        (Entry::Node(node), _) | (Entry::Bootstrap, Some(node)) => Some(node.0),
        (Entry::Bootstrap, None) => None,
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                cluster = &*session.place.cluster.name,
                listener = %session.listener.bind,
                entry = %session.place.entry,
                client = %session.peer,
                principal = &*session.principal(),
                software = session.software().name,
                node,
                requests = report.requests,
                bytes_in = report.bytes_in,
                bytes_out = report.bytes_out,
                seconds = session.since.elapsed().as_secs_f64(),
                side = ended.side.label(),
                why = ended.why.label(),
                detail = ended.detail.as_deref(),
                "connection ended"
            )
        };
    }
    if ended.is_ordinary() {
        line!(info);
    } else {
        line!(warn);
    }
}
