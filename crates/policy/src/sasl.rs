//! Who a client is: the exchange of `ApiVersions`, `SaslHandshake`, `SaslAuthenticate` and raw tokens, step by step, as
//! Kafka's brokers have it (`SaslServerAuthenticator`; KIP-43, KIP-152, KIP-368).
//!
//! The caller hands over frames without their size and writes back what it is given, size included. Verifying a password
//! is slow, and so is the caller's: [`Step::Verify`], then [`Exchange::verified`].

mod step;

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Mechanism, Secret};
use wire::address::CorrelationId;
use wire::api::Api;
use wire::error::{Malformed, code};
use wire::head::{RequestPrefix, request_head, request_prefix};
use wire::versions::{self, InvalidSoftware};

pub use step::{Plain, Refused, Step, Verified};

/// Frames of clients that are not known yet are refused above this, in bytes without the size: PLAIN needs far less.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// A connection may begin to authenticate again this long after it last did so.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What a client is told of a failed login, whatever failed.
const FAILED: &str = "Authentication failed";

/// The exchange with one client. It goes on after the login: the same value answers attempts to authenticate again.
#[derive(Debug)]
pub struct Exchange {
    mechanisms: Box<[Mechanism]>,
    lifetime: Option<Duration>,
    state: State,
    session: Option<Session>,
}

/// Who the client is already.
#[derive(Debug)]
struct Session {
    principal: Arc<str>,
    /// `None`: the listener asked for nothing.
    mechanism: Option<Mechanism>,
    /// When it last began to authenticate again.
    began_again: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Waiting for `SaslHandshake`; one successful `ApiVersions` may come before.
    Greeting { versions_told: bool },
    /// Waiting for a token.
    Token { mechanism: Mechanism, framing: Framing },
    /// The caller verifies.
    Verifying { mechanism: Mechanism, reply: Reply },
    /// Logged in.
    Live,
    /// Refused; nothing follows.
    Over,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// Handshake v0: bare tokens.
    Raw,
    /// Handshake v1: tokens in `SaslAuthenticate`.
    Framed,
}

/// How a token is answered.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Raw,
    Framed { version: i16, correlation: CorrelationId },
}

impl Exchange {
    /// For a client that just connected. `lifetime`: how long a login is good for.
    pub fn new(mechanisms: &[Mechanism], lifetime: Option<Duration>) -> Self {
        Self {
            mechanisms: mechanisms.into(),
            lifetime,
            state: State::Greeting { versions_told: false },
            session: None,
        }
    }

    /// For a connection that is live already; use [`Self::renew`] with it. Without a mechanism (an anonymous listener)
    /// every attempt is answered with 34, as a broker does.
    pub fn again(
        principal: Arc<str>,
        mechanism: Option<Mechanism>,
        mechanisms: &[Mechanism],
        lifetime: Option<Duration>,
    ) -> Self {
        let session = Some(Session { principal, mechanism, began_again: None });
        Self { mechanisms: mechanisms.into(), lifetime, state: State::Live, session }
    }

    /// How long a login is good for. Clients of `SaslAuthenticate` v0 and raw tokens are not told; it holds for them too.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Whether a handshake has been answered and its token is awaited. On a live connection the next frame, whatever it
    /// is, belongs to [`Self::renew`] then.
    pub fn awaits_token(&self) -> bool {
        matches!(self.state, State::Token { .. })
    }

    /// Takes a request of a client that is not logged in; in raw mode the token itself.
    pub fn request(&mut self, frame: &[u8]) -> Step {
        match self.state {
            State::Greeting { versions_told } => self.greeting(frame, versions_told),
            State::Token { mechanism, framing: Framing::Raw } => self.token(mechanism, frame, Reply::Raw),
            State::Token { mechanism, framing: Framing::Framed } => self.framed_token(mechanism, frame),
            State::Verifying { .. } | State::Live | State::Over => self.close(Refused::OutOfTurn),
        }
    }

    /// Takes a `SaslHandshake` or `SaslAuthenticate` of a live connection, once everything before it has been answered.
    /// What is no valid attempt to authenticate again is answered with 34, and the connection lives on.
    pub fn renew(&mut self, frame: &[u8], now: Instant) -> Step {
        if !matches!(self.state, State::Live) {
            return self.request(frame);
        }
        let (api, prefix) = match spoken(frame) {
            Ok(request) => request,
            Err(why) => return self.close(why),
        };
        if api == Api::SaslHandshake && prefix.version >= 1 && self.may_begin_again(now) {
            return self.handshake(frame, prefix);
        }
        if api != Api::SaslHandshake && api != Api::SaslAuthenticate {
            return self.close(Refused::Unexpected(prefix.key));
        }
        match illegal_state(frame, api, prefix) {
            Ok(answer) => Step::Answer(answer),
            Err(malformed) => self.close(Refused::Malformed(malformed)),
        }
    }

    /// At most one attempt a second, and none where nobody logs in.
    fn may_begin_again(&mut self, now: Instant) -> bool {
        let Some(session) = self.session.as_mut().filter(|session| session.mechanism.is_some()) else {
            return false;
        };
        let soon = session.began_again.is_some_and(|then| now.saturating_duration_since(then) < AGAIN_EVERY);
        if !soon {
            session.began_again = Some(now);
        }
        !soon
    }

    fn greeting(&mut self, frame: &[u8], versions_told: bool) -> Step {
        let Some(prefix) = request_prefix(frame) else {
            return self.close(Refused::Malformed(Malformed::Truncated { what: "request head", at: 0 }));
        };
        match Api::from_key(prefix.key) {
            Some(Api::ApiVersions) if versions_told => self.close(Refused::SecondApiVersions),
            Some(Api::ApiVersions) => self.api_versions(frame, prefix),
            Some(Api::SaslHandshake) if Api::SaslHandshake.speaks(prefix.version) => {
                self.handshake(frame, prefix)
            }
            Some(Api::SaslHandshake) => {
                self.close(Refused::Version { key: prefix.key, version: prefix.version })
            }
            Some(_) | None => self.close(Refused::Unexpected(prefix.key)),
        }
    }

    /// Only an answer that succeeds counts as the one that is allowed: not 35, and not 42.
    fn api_versions(&mut self, frame: &[u8], prefix: RequestPrefix) -> Step {
        if Api::ApiVersions.speaks(prefix.version) {
            let body = match body(frame, Api::ApiVersions, prefix) {
                Ok(body) => body,
                Err(malformed) => return self.close(Refused::Malformed(malformed)),
            };
            match versions::read_request(prefix.version, body) {
                Ok(_) => self.state = State::Greeting { versions_told: true },
                Err(InvalidSoftware::BadName) => {}
                Err(InvalidSoftware::Malformed(malformed)) => {
                    return self.close(Refused::Malformed(malformed));
                }
            }
        }
        Step::ApiVersions
    }

    fn handshake(&mut self, frame: &[u8], prefix: RequestPrefix) -> Step {
        let name = match body(frame, Api::SaslHandshake, prefix).and_then(wire::sasl::read_handshake) {
            Ok(name) => name,
            Err(malformed) => return self.close(Refused::Malformed(malformed)),
        };
        let names: Vec<&str> = self.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        let answer = |error| wire::sasl::handshake_frame(prefix.correlation, error, &names);
        let Some(mechanism) = Mechanism::from_name(name).filter(|found| self.mechanisms.contains(found))
        else {
            let answer = answer(code::UNSUPPORTED_SASL_MECHANISM);
            return self.refuse(answer, Refused::mechanism(name));
        };
        if self.session.as_ref().is_some_and(|session| session.mechanism != Some(mechanism)) {
            let answer = answer(code::SASL_AUTHENTICATION_FAILED);
            return self.refuse(answer, Refused::MechanismChanged);
        }
        let answer = answer(code::NONE);
        let framing = if prefix.version == 0 { Framing::Raw } else { Framing::Framed };
        self.state = State::Token { mechanism, framing };
        Step::Answer(answer)
    }

    fn framed_token(&mut self, mechanism: Mechanism, frame: &[u8]) -> Step {
        let (api, prefix) = match spoken(frame) {
            Ok(request) => request,
            Err(why) => return self.close(why),
        };
        if api != Api::SaslAuthenticate {
            let why = Refused::Unexpected(prefix.key);
            return match illegal_state(frame, api, prefix) {
                Ok(answer) => self.refuse(answer, why),
                Err(_) => self.close(why),
            };
        }
        let read = |body| wire::sasl::read_authenticate(prefix.version, body);
        match body(frame, api, prefix).and_then(read) {
            Ok(token) => {
                let reply = Reply::Framed { version: prefix.version, correlation: prefix.correlation };
                self.token(mechanism, token, reply)
            }
            Err(malformed) => self.close(Refused::Malformed(malformed)),
        }
    }

    fn token(&mut self, mechanism: Mechanism, token: &[u8], reply: Reply) -> Step {
        match mechanism {
            Mechanism::Plain => match wire::sasl::read_plain(token) {
                Ok(plain) => {
                    self.state = State::Verifying { mechanism, reply };
                    Step::Verify(Plain { user: plain.user.to_owned(), password: Secret::new(plain.password) })
                }
                Err(malformed) => self.fail(reply, Refused::Token(malformed)),
            },
        }
    }

    /// Goes on after [`Step::Verify`].
    pub fn verified(&mut self, outcome: Verified) -> Step {
        let State::Verifying { mechanism, reply } = self.state else {
            return self.close(Refused::OutOfTurn);
        };
        let principal = match outcome {
            Verified::Known(principal) => principal,
            Verified::Unknown => return self.fail(reply, Refused::Password),
            Verified::Unavailable => return self.close(Refused::Unavailable),
        };
        match &mut self.session {
            Some(session) if session.principal != principal => {
                return self.fail(reply, Refused::PrincipalChanged);
            }
            Some(_) => {}
            None => {
                let principal = Arc::clone(&principal);
                self.session = Some(Session { principal, mechanism: Some(mechanism), began_again: None });
            }
        }
        self.state = State::Live;
        let lifetime_ms = self.lifetime.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let answer = match reply {
            Reply::Raw => vec![0; 4],
            Reply::Framed { version, correlation } => {
                wire::sasl::authenticate_frame(version, correlation, code::NONE, None, &[], lifetime_ms)
            }
        };
        Step::Welcome { answer, principal }
    }

    /// A failed login: 58 with words that tell nothing; in raw mode nothing at all.
    fn fail(&mut self, reply: Reply, why: Refused) -> Step {
        let answer = match reply {
            Reply::Raw => Vec::new(),
            Reply::Framed { version, correlation } => {
                let error = code::SASL_AUTHENTICATION_FAILED;
                wire::sasl::authenticate_frame(version, correlation, error, Some(FAILED), &[], 0)
            }
        };
        self.refuse(answer, why)
    }

    fn refuse(&mut self, answer: Vec<u8>, why: Refused) -> Step {
        self.state = State::Over;
        Step::Refuse { answer, why }
    }

    fn close(&mut self, why: Refused) -> Step {
        self.state = State::Over;
        Step::Close(why)
    }
}

/// The API and prefix of a request in a version that is spoken.
fn spoken(frame: &[u8]) -> Result<(Api, RequestPrefix), Refused> {
    let prefix = request_prefix(frame)
        .ok_or(Refused::Malformed(Malformed::Truncated { what: "request head", at: 0 }))?;
    let api = Api::from_key(prefix.key).ok_or(Refused::Unexpected(prefix.key))?;
    if api.speaks(prefix.version) {
        Ok((api, prefix))
    } else {
        Err(Refused::Version { key: prefix.key, version: prefix.version })
    }
}

fn body(frame: &[u8], api: Api, prefix: RequestPrefix) -> Result<&[u8], Malformed> {
    let truncated = Malformed::Truncated { what: "request head", at: 0 };
    let head = request_head(frame, api.request_is_flexible(prefix.version))?.ok_or(truncated)?;
    frame.get(head.body_at..).ok_or(truncated)
}

/// Error 34 in the request's own schema, where there is one that the gateway can compose.
fn illegal_state(frame: &[u8], api: Api, prefix: RequestPrefix) -> Result<Vec<u8>, Malformed> {
    let (error, message) = (code::ILLEGAL_SASL_STATE, "This request is not valid in the current SASL state");
    let RequestPrefix { version, correlation, .. } = prefix;
    if api == Api::SaslHandshake {
        Ok(wire::sasl::handshake_frame(correlation, error, &[]))
    } else if api == Api::SaslAuthenticate {
        Ok(wire::sasl::authenticate_frame(version, correlation, error, Some(message), &[], 0))
    } else if api == Api::ApiVersions {
        Ok(versions::error_frame(version, correlation, error))
    } else {
        wire::refuse::refuse(api, version, correlation, body(frame, api, prefix)?, error, message)
    }
}

#[cfg(test)]
mod tests;
