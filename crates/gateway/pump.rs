//! A connection after its login: two named directions and the queue of what is owed between them.
//!
//! All of a connection lives in one task of one thread. [`Pump::run`] polls, in this order, [`watch`] (time and
//! reload), [`requests`] (client to broker) and [`responses`] (broker to client). The order carries meaning: what
//! `requests` notes as owed is seen by `responses` in the same poll, so that it needs no wake-up.

mod requests;
mod responses;
mod watch;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::alarm::Alarm;
use crate::conn::Session;
use crate::ended::{Ended, Side, Why};
use crate::in_flight::InFlight;
use crate::stream::Stream;
use crate::upstream;

/// One connection's pump.
pub struct Pump {
    session: Session,
    client: Stream,
    /// The broker's half; absent until the first request that needs it.
    broker: RefCell<Option<Rc<Stream>>>,
    in_flight: InFlight,
    /// When bytes last moved in either direction.
    moved_at: Cell<Instant>,
    /// Since when a peer has taken none of the bytes held for it.
    stalled: [Cell<Option<Instant>>; 2],
    /// Set once: no further request is taken, what is owed is answered, then the end with this reason.
    draining: Cell<Option<(Side, Why)>>,
    /// Set while the request at hand is rejected by a limit: for so long it should not have come.
    rejecting: Cell<Option<Duration>>,
    bytes: Bytes,
}

/// What a connection has moved, in bytes, for its closing log line.
#[derive(Default)]
struct Bytes {
    from_client: Cell<u64>,
    to_client: Cell<u64>,
    requests: Cell<u64>,
}

/// What a connection did, for its closing log line.
pub struct Report {
    /// Who, where and how.
    pub session: Session,
    /// Bytes read from the client after its login.
    pub bytes_in: u64,
    /// Bytes written to the client after its login.
    pub bytes_out: u64,
    /// Requests taken after its login.
    pub requests: u64,
    /// How it ended.
    pub ended: Ended,
}

/// The peers that bytes are written to, as indices of [`Pump::stalled`].
#[derive(Clone, Copy)]
enum Towards {
    Client = 0,
    Broker = 1,
}

impl Pump {
    /// A pump for a client that is known.
    pub fn new(client: Stream, session: Session) -> Self {
        let in_flight = InFlight::new(session.listener.in_flight_max);
        Self {
            session,
            client,
            broker: RefCell::new(None),
            in_flight,
            moved_at: Cell::new(Instant::now()),
            stalled: [Cell::new(None), Cell::new(None)],
            draining: Cell::new(None),
            rejecting: Cell::new(None),
            bytes: Bytes::default(),
        }
    }

    /// Carries requests and answers until either side ends or the gateway lets go.
    pub async fn run(self, early: Vec<u8>) -> Report {
        let ended = {
            let mut alarm = Alarm::default();
            let mut watch = pin!(self.watch());
            let mut requests = pin!(self.requests(early));
            let mut responses = pin!(self.responses());
            // In this order with a reason: see the module's words. The first that ends, ends the connection.
            std::future::poll_fn(|cx| {
                if let Poll::Ready(ended) = alarm.poll(cx, watch.as_mut()) {
                    return Poll::Ready(ended);
                }
                if let Poll::Ready(ended) = requests.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                responses.as_mut().poll(cx)
            })
            .await
        };
        self.session.counts.given_up(self.in_flight.owed_by_broker());
        self.part(&ended).await;
        Report {
            bytes_in: self.bytes.from_client.get(),
            bytes_out: self.bytes.to_client.get(),
            requests: self.bytes.requests.get(),
            session: self.session,
            ended,
        }
    }

    /// Lets the other side have what was written to it: a broker what a client that left had already asked, such
    /// as acks=0, and a client the answers in front of an end that is not its own doing.
    async fn part(&self, ended: &Ended) {
        let broker = self.broker.borrow_mut().take();
        match (ended.side, ended.why) {
            (Side::Client, Why::Closed | Why::Io) => {
                if let Some(broker) = broker {
                    broker.part().await;
                }
            }
            // It takes no bytes, or broke a rule: there is nothing to wait for.
            (_, Why::Stalled | Why::DrainTimeout) => {}
            (Side::Gateway | Side::Broker, _) | (Side::Client, Why::Login) => {
                drop(broker);
                self.client.part().await;
            }
            (Side::Client, _) => {}
        }
    }

    /// Writes all of `bytes` to `peer`, noting when it stops taking them. Not cancel-safe; runs to its end or the
    /// connection's.
    async fn write(&self, peer: &Stream, towards: Towards, mut bytes: &[u8]) -> std::io::Result<()> {
        let stalled = &self.stalled[towards as usize];
        while !bytes.is_empty() {
            let n = std::future::poll_fn(|cx| {
                let polled = peer.poll_write(cx, bytes);
                if polled.is_pending() && stalled.get().is_none() {
                    stalled.set(Some(Instant::now()));
                }
                polled
            })
            .await?;
            if n == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            if stalled.get().is_some() {
                stalled.set(None);
                self.moved_at.set(Instant::now());
            }
            bytes = &bytes[n..];
        }
        // TLS holds bytes back until they are flushed: not taking those is a stall as well.
        let flushed = std::future::poll_fn(|cx| {
            let polled = peer.poll_flush(cx);
            if polled.is_pending() && stalled.get().is_none() {
                stalled.set(Some(Instant::now()));
            }
            polled
        })
        .await;
        stalled.set(None);
        flushed
    }

    /// Writes to the client and counts.
    async fn to_client(&self, bytes: &[u8]) -> Result<(), Ended> {
        self.bytes.to_client.set(self.bytes.to_client.get() + bytes.len() as u64);
        self.session.counts.to_client(bytes.len());
        self.write(&self.client, Towards::Client, bytes)
            .await
            .map_err(|error| Ended::client(Why::Io).because(error))
    }

    /// Writes to the broker, which is dialled first if there is none yet, and counts.
    async fn to_broker(&self, bytes: &[u8]) -> Result<(), Ended> {
        if bytes.is_empty() {
            return Ok(());
        }
        let present = self.broker.borrow().clone();
        let broker = match present {
            Some(broker) => broker,
            None => self.dial().await?,
        };
        self.session.counts.to_broker(bytes.len());
        self.write(&broker, Towards::Broker, bytes)
            .await
            .map_err(|error| Ended::broker(Why::Io).because(error))
    }

    /// The broker's half, made by the same code for the first time and every later one.
    async fn dial(&self) -> Result<Rc<Stream>, Ended> {
        let session = &self.session;
        let stream = upstream::reach(session).await?;
        let stream = Rc::new(stream);
        *self.broker.borrow_mut() = Some(Rc::clone(&stream));
        Ok(stream)
    }
}
