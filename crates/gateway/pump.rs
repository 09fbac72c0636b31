//! A connection after its login: two named directions and the queue of what is owed between them.
//!
//! All of a connection lives in one task of one thread. [`Pump::run`] polls, in this order, [`watch`] (time and
//! reload), [`requests`] (client to broker) and [`responses`] (broker to client). The order carries meaning: what
//! `requests` notes as owed is seen by `responses` in the same poll, so that it needs no wake-up.

mod elsewhere;
mod judge;
mod mend;
mod requests;
mod responses;
mod silence;
mod watch;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use self::mend::{Mending, Writing, Wrote};

use crate::alarm::Alarm;
use crate::beside::Beside;
use crate::conn::Session;
use crate::ended::{Ended, Side, Why};
use crate::in_flight::InFlight;
use crate::moment::Moment;
use crate::stream::Stream;

/// One connection's pump.
pub struct Pump {
    session: Session,
    client: Stream,
    /// The broker's half; absent until the first request that needs it.
    broker: RefCell<Option<Rc<Stream>>>,
    in_flight: InFlight,
    /// Brokers' halves that were lost,
    losses: Cell<u32>,
    /// and whether another one is looked for.
    mending: Cell<Mending>,
    /// Whether requests that wait to leave were answered meanwhile.
    sift: Cell<bool>,
    /// Whether something has changed that a part of the connection waits for which was polled before.
    stir: Cell<bool>,
    /// Bytes of frames that have begun to pass and not left yet,
    due: Cell<usize>,
    /// and of them those of the frame whose beginning has left.
    rest: Cell<usize>,
    /// Whether a broker owes the answer to that frame.
    rest_is_owed: Cell<bool>,
    /// Whether a broker owes the answer to the last frame that began to pass.
    is_owed: Cell<bool>,
    /// The first question that has not left, by its name.
    first_unsent: Cell<u64>,
    /// Whether bytes for the broker are being written, or wait for one,
    writing: Cell<Writing>,
    /// and whether more of the last frame among them is to come.
    is_open: Cell<bool>,
    /// Whether the rest of the frame that passes is of no use: its broker is gone,
    cut: Cell<bool>,
    /// and whether that rest is being read.
    is_swallowing: Cell<bool>,
    /// When bytes last moved in either direction.
    moved_at: Cell<Moment>,
    /// When the broker was last heard, or could not be heard for want of a client that reads.
    heard_at: Cell<Moment>,
    /// Since when a peer has taken none of the bytes held for it.
    stalled: [Cell<Option<Moment>>; 2],
    /// Set once: no further request is taken, what is owed is answered, then the end with this reason.
    draining: Cell<Option<(Side, Why)>>,
    /// Whether others are being asked.
    asks_others: Cell<bool>,
    /// A connection to the coordinator of the client's group, where its own broker is not that.
    beside: Cell<Option<Box<Beside>>>,
    /// The group that it was asked about last, and coordinates.
    led_beside: RefCell<Option<Box<[u8]>>>,
    /// Until when an answer at hand is held back.
    held_until: Cell<Option<Moment>>,
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
            losses: Cell::new(0),
            mending: Cell::new(Mending::Not),
            sift: Cell::new(false),
            stir: Cell::new(false),
            due: Cell::new(0),
            rest: Cell::new(0),
            rest_is_owed: Cell::new(false),
            is_owed: Cell::new(false),
            first_unsent: Cell::new(0),
            writing: Cell::new(Writing::Not),
            is_open: Cell::new(false),
            cut: Cell::new(false),
            is_swallowing: Cell::new(false),
            moved_at: Cell::new(Moment::now()),
            heard_at: Cell::new(Moment::now()),
            stalled: [Cell::new(None), Cell::new(None)],
            draining: Cell::new(None),
            asks_others: Cell::new(false),
            beside: Cell::new(None),
            led_beside: RefCell::new(None),
            held_until: Cell::new(None),
            rejecting: Cell::new(None),
            bytes: Bytes::default(),
        }
    }

    /// Carries requests and answers until either side ends or the gateway lets go.
    pub async fn run(self: Box<Self>, early: Vec<u8>) -> Report {
        let ended = {
            let mut alarm = Alarm::default();
            let mut watch = pin!(self.watch());
            let mut requests = pin!(self.requests(early));
            let mut responses = pin!(self.responses());
            let (mut mend, mut others) = (None, None);
            // In this order with a reason: see the module's words. The first that ends, ends the connection.
            std::future::poll_fn(|cx| {
                loop {
                    if let Poll::Ready(ended) = alarm.poll(cx, watch.as_mut()) {
                        return Poll::Ready(ended);
                    }
                    if let Poll::Ready(ended) = requests.as_mut().poll(cx) {
                        return Poll::Ready(ended);
                    }
                    if self.mending.get() == Mending::Wanted {
                        // Boxed, so that a connection whose broker is there does not carry it.
                        let mending = mend.get_or_insert_with(|| Box::pin(self.mend()));
                        match mending.as_mut().poll(cx) {
                            Poll::Ready(Ok(())) => {
                                mend = None;
                                self.stir.set(true);
                            }
                            Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                            Poll::Pending => {}
                        }
                    }
                    if self.seeks_others() {
                        let others = others.get_or_insert_with(|| Box::pin(self.ask_others()));
                        if let Poll::Ready(ended) = others.as_mut().poll(cx) {
                            return Poll::Ready(ended);
                        }
                    } else {
                        others = None;
                        self.asks_others.set(false);
                    }
                    if self.stir.replace(false) {
                        // What was answered is taken out of what waits to leave before the answer goes.
                        continue;
                    }
                    if let Poll::Ready(ended) = responses.as_mut().poll(cx) {
                        return Poll::Ready(ended);
                    }
                    // What came to the front meanwhile may be for others, of whom nothing was asked before.
                    let is_for_others = !self.asks_others.get() && self.in_flight.front_is_elsewhere();
                    if !self.stir.replace(false) && !is_for_others {
                        return Poll::Pending;
                    }
                }
            })
            .await
        };
        self.session.counts.given_up(self.in_flight.owed_by_broker());
        self.part(&ended).await;
        let Self { session, bytes, .. } = *self;
        Report {
            session,
            bytes_in: bytes.from_client.get(),
            bytes_out: bytes.to_client.get(),
            requests: bytes.requests.get(),
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
    async fn write(&self, peer: &Stream, towards: Towards, bytes: &[u8]) -> std::io::Result<()> {
        self.write_some(peer, towards, bytes).await.map_err(|(_, error)| error)
    }

    /// As [`Self::write`]; where it fails, it says how many bytes had left.
    async fn write_some(
        &self,
        peer: &Stream,
        towards: Towards,
        mut bytes: &[u8],
    ) -> Result<(), (usize, std::io::Error)> {
        let all = bytes.len();
        // Nearly always that is all.
        bytes = &bytes[peer.write_at_once(bytes)..];
        if bytes.is_empty() {
            return Ok(());
        }
        let losses = self.losses.get();
        let stalled = &self.stalled[towards as usize];
        while !bytes.is_empty() {
            let wrote = std::future::poll_fn(|cx| {
                if matches!(towards, Towards::Broker) && self.losses.get() != losses {
                    return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
                }
                let polled = peer.poll_write(cx, bytes);
                if polled.is_pending() && stalled.get().is_none() {
                    stalled.set(Some(Moment::now()));
                }
                polled
            })
            .await;
            let n = match wrote {
                Ok(0) => return Err((all - bytes.len(), std::io::ErrorKind::WriteZero.into())),
                Ok(n) => n,
                Err(error) => return Err((all - bytes.len(), error)),
            };
            if stalled.get().is_some() {
                stalled.set(None);
                let now = Moment::now();
                self.moved_at.set(now);
                self.heard_at.set(now);
            }
            bytes = &bytes[n..];
        }
        // TLS holds bytes back until they are flushed: not taking those is a stall as well.
        let flushed = std::future::poll_fn(|cx| {
            let polled = peer.poll_flush(cx);
            if polled.is_pending() && stalled.get().is_none() {
                stalled.set(Some(Moment::now()));
            }
            polled
        })
        .await;
        stalled.set(None);
        flushed.map_err(|error| (all, error))
    }

    /// Writes to the client and counts.
    async fn to_client(&self, bytes: &[u8]) -> Result<(), Ended> {
        self.bytes.to_client.set(self.bytes.to_client.get() + bytes.len() as u64);
        self.session.counts.to_client(bytes.len());
        self.write(&self.client, Towards::Client, bytes)
            .await
            .map_err(|error| Ended::client(Why::Io).because(error))
    }

    /// Writes to the broker, and counts.
    async fn to_broker(&self, broker: &Rc<Stream>, bytes: &[u8]) -> Wrote {
        self.session.counts.to_broker(bytes.len());
        self.writing.set(Writing::On);
        let wrote = self.write_some(broker, Towards::Broker, bytes).await;
        self.writing.set(Writing::Not);
        match wrote {
            Ok(()) => Wrote::All,
            Err((n, error)) => {
                self.lose_if(broker, &Ended::broker(Why::Io).because(error));
                Wrote::Broke(n)
            }
        }
    }

    /// Loses the broker, unless it is another one by now.
    fn lose_if(&self, gone: &Rc<Stream>, ended: &Ended) {
        let is_it = self.broker.borrow().as_ref().is_some_and(|broker| Rc::ptr_eq(broker, gone));
        if is_it {
            self.lose(ended);
        }
    }
}
