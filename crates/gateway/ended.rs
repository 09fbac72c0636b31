//! The end of a connection, as a value: it decides the log level, the closing log line and the metric's label.

use std::fmt;

/// Whose doing an end was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client left or broke a rule.
    Client,
    /// The broker left, refused or broke the protocol.
    Broker,
    /// The gateway let go: drain, limits of its own, a fault of its own.
    Gateway,
}

impl Side {
    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Broker => "broker",
            Self::Gateway => "gateway",
        }
    }
}

/// Why a connection ended: a bounded set, fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The peer closed its stream between frames.
    Closed,
    /// The peer closed its stream inside a frame.
    CutOff,
    /// The broker closed its stream between frames, but owed answers.
    Unanswered,
    /// Reading or writing failed.
    Io,
    /// TLS could not be agreed on.
    Tls,
    /// The client spoke TLS to a plain port.
    TlsOnPlain,
    /// The client spoke HTTP to a Kafka port.
    Http,
    /// The first bytes were no Kafka request.
    NotKafka,
    /// Bytes did not hold what they claimed.
    Malformed,
    /// A frame was larger than the listener's limit, or a request larger than the gateway reads whole.
    TooLarge,
    /// An API key that is unknown or hidden.
    UnknownApi,
    /// A version that was not promised to this connection.
    UnsupportedVersion,
    /// The login failed or broke the rules of SASL.
    Login,
    /// The login did not end in time.
    LoginTimeout,
    /// The session's lifetime passed without a new login.
    SessionExpired,
    /// Nothing moved for as long as the listener allows.
    Idle,
    /// The peer took no bytes for as long as the listener allows.
    Stalled,
    /// The connection reached its maximum age.
    Age,
    /// A limit of connections was exceeded for longer than it lets wait.
    Limited,
    /// The topology was not learned in time.
    NoTopology,
    /// The broker could not be reached in time.
    Unreachable,
    /// The broker refused the gateway's own login.
    BrokerLogin,
    /// The broker offers less than this connection was promised.
    Downgraded,
    /// A broker's answer did not belong to the question.
    BadAnswer,
    /// The connection's broker is being drained.
    NodeDrained,
    /// What the connection stood on was removed by a reload.
    Removed,
    /// The gateway shuts down.
    Shutdown,
    /// A drain's time was over before everything was answered.
    DrainTimeout,
}

impl Why {
    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::CutOff => "cut-off",
            Self::Unanswered => "unanswered",
            Self::Io => "io",
            Self::Tls => "tls",
            Self::TlsOnPlain => "tls-on-plain-port",
            Self::Http => "http",
            Self::NotKafka => "not-kafka",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::UnknownApi => "unknown-api",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Login => "login",
            Self::LoginTimeout => "login-timeout",
            Self::SessionExpired => "session-expired",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Age => "age",
            Self::Limited => "limited",
            Self::NoTopology => "no-topology",
            Self::Unreachable => "unreachable",
            Self::BrokerLogin => "broker-login",
            Self::Downgraded => "downgraded",
            Self::BadAnswer => "bad-answer",
            Self::NodeDrained => "node-drained",
            Self::Removed => "removed",
            Self::Shutdown => "shutdown",
            Self::DrainTimeout => "drain-timeout",
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub struct Ended {
    /// Whose doing it was.
    pub side: Side,
    /// The reason, out of a bounded set.
    pub why: Why,
    /// What an operator wants to know beyond it. Never holds a secret; may name a broker, so it is for the log only.
    pub detail: Option<Box<str>>,
}

impl Ended {
    /// An end with nothing to add.
    pub fn new(side: Side, why: Why) -> Self {
        Self { side, why, detail: None }
    }

    /// The client broke a rule or left.
    pub fn client(why: Why) -> Self {
        Self::new(Side::Client, why)
    }

    /// The broker broke the protocol or left.
    pub fn broker(why: Why) -> Self {
        Self::new(Side::Broker, why)
    }

    /// The gateway let go.
    pub fn gateway(why: Why) -> Self {
        Self::new(Side::Gateway, why)
    }

    /// The same end with a word for the log.
    #[must_use]
    pub fn because(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into_boxed_str());
        self
    }

    /// True for ends that an operator need not look at.
    pub fn is_ordinary(&self) -> bool {
        match self.why {
            Why::Closed
            | Why::Idle
            | Why::Age
            | Why::Limited
            | Why::NodeDrained
            | Why::Removed
            | Why::Shutdown => true,
            Why::Io | Why::CutOff => self.side != Side::Broker,
            Why::Unanswered
            | Why::Tls
            | Why::TlsOnPlain
            | Why::Http
            | Why::NotKafka
            | Why::Malformed
            | Why::TooLarge
            | Why::UnknownApi
            | Why::UnsupportedVersion
            | Why::Login
            | Why::LoginTimeout
            | Why::SessionExpired
            | Why::Stalled
            | Why::NoTopology
            | Why::Unreachable
            | Why::BrokerLogin
            | Why::Downgraded
            | Why::BadAnswer
            | Why::DrainTimeout => false,
        }
    }
}
