//! Who a client is: the login before the pump, and the answers that the gateway gives itself during it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use policy::sasl::{Exchange, Plain, Refused, Step, Verified};
use wire::Api;
use wire::head::{self, RequestPrefix};
use wire::versions::{self, InvalidSoftware};

use crate::conn::{Session, until_closing};
use crate::ended::{Ended, Side, Why};
use crate::frames::{FrameError, Frames, HEAD_CUT};
use crate::moment::Moment;
use crate::stream::Stream;
use crate::timer;

/// Kafka's error for a request that makes no sense.
const INVALID_REQUEST: i16 = 42;

/// What a connection remembers of its login.
#[derive(Default)]
pub struct Login {
    /// When the session must be renewed (KIP-368).
    expires_at: Cell<Option<Moment>>,
    /// The exchange of the login, which goes on with later ones.
    exchange: RefCell<Option<Box<Exchange>>>,
    /// Set between the handshake and the token of a new login: the next frame belongs to it, whatever it is.
    awaits_token: Cell<bool>,
}

impl Login {
    /// Whether the session's lifetime has passed.
    pub fn has_expired(&self, now: Moment) -> bool {
        self.expires_at.get().is_some_and(|end| end < now)
    }

    /// Whether the next frame belongs to a new login that has begun.
    pub fn awaits_token(&self) -> bool {
        self.awaits_token.get()
    }
}

/// What the gateway answers to a request of the login's APIs once the connection is in use.
pub enum Reply {
    /// This frame, and the connection goes on.
    Answer(Vec<u8>),
    /// This frame, if there is one, and the connection ends with it.
    Last(Vec<u8>, Ended),
}

/// The whole login of a client, up to the moment it is known.
pub async fn welcome(session: &Session, stream: &Stream, frames: &mut Frames) -> Result<(), Ended> {
    let listener = &session.listener;
    let mut exchange = Box::new(Exchange::new(&listener.sasl, listener.session_lifetime));
    let write = async |bytes: &[u8]| {
        stream.write_all(bytes).await.map_err(|error| Ended::client(Why::Io).because(error))
    };
    loop {
        let next = frames.next(stream, policy::sasl::FRAME_BYTES_MAX as usize);
        let frame = match until_closing(session, next).await {
            Ok(frame) => frame.map_err(unread)?,
            Err(ended) => {
                stream.part().await;
                return Err(ended);
            }
        };
        let mut step = exchange.request(&frame);
        if let Step::Verify(plain) = step {
            step = exchange.verified(verify(session, plain).await);
        }
        match step {
            Step::Answer(answer) => write(&answer).await?,
            Step::ApiVersions => {
                let prefix = head::request_prefix(&frame).ok_or_else(|| malformed(HEAD_CUT))?;
                write(&api_versions(session, prefix, &frame).await?).await?;
            }
            Step::Verify(_) => return Err(Ended::gateway(Why::Login)),
            Step::Refuse { answer, why } => {
                session.gateway.metrics.login(&session.place.cluster.name, Some(&why));
                // The delay comes first: a client that guesses learns nothing sooner by not reading the answer.
                timer::sleep(listener.failed_login_delay).await;
                write(&answer).await?;
                stream.part().await;
                return Err(refused(&why));
            }
            Step::Close(why) => {
                session.gateway.metrics.login(&session.place.cluster.name, Some(&why));
                return Err(refused(&why));
            }
            Step::Welcome { answer, principal } => {
                admit(session, &exchange, principal);
                *session.login.exchange.borrow_mut() = Some(exchange);
                return write(&answer).await;
            }
        }
    }
}

fn admit(session: &Session, exchange: &Exchange, principal: Arc<str>) {
    session.gateway.metrics.login(&session.place.cluster.name, None);
    session.set_principal(principal);
    session.login.expires_at.set(exchange.lifetime().map(|lifetime| Moment::now().after(lifetime)));
}

/// Answers a request of the login's APIs on a connection that is in use: `ApiVersions`, or a new login.
pub async fn answer(
    session: &Session,
    api: Api,
    prefix: RequestPrefix,
    frame: &[u8],
    now: Instant,
) -> Result<Reply, Ended> {
    if api == Api::ApiVersions && !session.login.awaits_token() {
        return api_versions(session, prefix, frame).await.map(Reply::Answer);
    }
    let listener = &session.listener;
    // Taken out for the time of the wait, put back below.
    let running = session.login.exchange.borrow_mut().take();
    let mut exchange =
        running.unwrap_or_else(|| Box::new(Exchange::again(session.principal(), None, &[], None)));
    let mut step = exchange.renew(frame, now);
    if let Step::Verify(plain) = step {
        step = exchange.verified(verify(session, plain).await);
    }
    let reply = match step {
        Step::Answer(answer) => Reply::Answer(answer),
        Step::Welcome { answer, principal } => {
            admit(session, &exchange, principal);
            Reply::Answer(answer)
        }
        Step::Refuse { answer, why } => {
            session.gateway.metrics.login(&session.place.cluster.name, Some(&why));
            timer::sleep(listener.failed_login_delay).await;
            Reply::Last(answer, refused(&why))
        }
        Step::Close(why) => {
            session.gateway.metrics.login(&session.place.cluster.name, Some(&why));
            Reply::Last(Vec::new(), refused(&why))
        }
        Step::ApiVersions | Step::Verify(_) => return Err(Ended::gateway(Why::Login)),
    };
    session.login.awaits_token.set(exchange.awaits_token());
    *session.login.exchange.borrow_mut() = Some(exchange);
    Ok(reply)
}

/// Whether this is the user's password.
async fn verify(session: &Session, plain: Plain) -> Verified {
    let gateway = &session.gateway;
    let Plain { user, password } = plain;
    let users = Arc::clone(&gateway.live().users);
    gateway.verifier.verify(session.peer.ip(), users, user, password).await
}

/// The answer to an `ApiVersions` request: what the cluster offers, promised to this connection from now on.
async fn api_versions(session: &Session, prefix: RequestPrefix, frame: &[u8]) -> Result<Vec<u8>, Ended> {
    let RequestPrefix { version, correlation, .. } = prefix;
    if !(0..=Api::ApiVersions.row().max).contains(&version) {
        return Ok(versions::unsupported_frame(correlation));
    }
    let flexible = Api::ApiVersions.request_is_flexible(version);
    let head = head::request_head(frame, flexible).map_err(malformed)?.ok_or_else(|| malformed(HEAD_CUT))?;
    match versions::read_request(version, &frame[head.body_at..]) {
        Ok(Some(software)) => session.set_software(software),
        Ok(None) => {}
        Err(InvalidSoftware::BadName) => {
            return Ok(versions::error_frame(version, correlation, INVALID_REQUEST));
        }
        Err(InvalidSoftware::Malformed(error)) => return Err(malformed(error)),
    }
    let offer = session.offer().await?;
    let body = usize::try_from(version).ok().and_then(|version| offer.bodies.get(version));
    let answer = body.map(|body| head::answer_frame(correlation, false, body));
    session.promise(offer);
    answer.ok_or_else(|| Ended::gateway(Why::UnsupportedVersion))
}

fn refused(why: &Refused) -> Ended {
    let ours = matches!(why, Refused::Unavailable | Refused::OutOfTurn);
    let side = if ours { Side::Gateway } else { Side::Client };
    Ended::new(side, Why::Login).because(why)
}

fn unread(error: FrameError) -> Ended {
    match error {
        FrameError::Closed => Ended::client(Why::Closed),
        FrameError::CutOff => Ended::client(Why::CutOff),
        FrameError::Size(size) if size < 0 => Ended::client(Why::Malformed).because(error),
        FrameError::Size(_) => Ended::client(Why::TooLarge).because(error),
        FrameError::Foreign(why) => Ended::client(why),
        FrameError::Io(error) => Ended::client(Why::Io).because(error),
    }
}

fn malformed(error: wire::Malformed) -> Ended {
    Ended::client(Why::Malformed).because(error)
}
