//! What an exchange hands out and takes back.

use std::fmt;
use std::sync::Arc;

use config::Secret;
use wire::error::Malformed;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Write this (a whole frame, with its size) and read on.
    Answer(Vec<u8>),
    /// The request was `ApiVersions`: answer it, with an error where it deserves one, and read on.
    ApiVersions,
    /// Verify this, off the threads that serve connections, then call [`super::Exchange::verified`].
    Verify(Plain),
    /// Wait the listener's `failed_login_delay`, write the answer where it is not empty, close.
    Refuse {
        /// A whole frame, with its size, or nothing.
        answer: Vec<u8>,
        /// For log and counter.
        why: Refused,
    },
    /// Close without an answer.
    Close(Refused),
    /// Write the answer: the client is logged in, or still is.
    Welcome {
        /// A whole frame, with its size.
        answer: Vec<u8>,
        /// Who it is.
        principal: Arc<str>,
    },
}

/// What a client claims to be, and its proof.
#[derive(Debug)]
pub struct Plain {
    /// Not empty.
    pub user: String,
    /// Not empty; wiped when dropped.
    pub password: Secret,
}

/// What came of verifying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is this principal's.
    Known(Arc<str>),
    /// It is not, or there is no such user.
    Unknown,
    /// It cannot be told, for a fault of our own. The client is not told 58: it would give up for good.
    Unavailable,
}

/// Why a client is not let in. `Display` is for the log; it never contains a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A frame that is not what it claims to be.
    Malformed(Malformed),
    /// A request, by its key, that has no place here.
    Unexpected(i16),
    /// A version that is not spoken.
    Version {
        /// API key.
        key: i16,
        /// As sent.
        version: i16,
    },
    /// A second `ApiVersions` within one exchange.
    SecondApiVersions,
    /// A mechanism that the listener does not have: the beginning of its name, escaped.
    Mechanism(Box<str>),
    /// A token that is not what the mechanism asks for.
    Token(Malformed),
    /// No such user, or not its password.
    Password,
    /// Authenticating again, as somebody else.
    PrincipalChanged,
    /// Authenticating again, by another mechanism.
    MechanismChanged,
    /// The password could not be verified, for a fault of our own.
    Unavailable,
    /// A frame after a refusal or amid a verification: a defect of the caller.
    OutOfTurn,
}

impl Refused {
    /// Bounds and escapes a name off the wire.
    pub(super) fn mechanism(name: &str) -> Self {
        Refused::Mechanism(name.chars().take(32).flat_map(char::escape_debug).collect::<String>().into())
    }

    /// For metrics: one word of a fixed set.
    pub const fn label(&self) -> &'static str {
        match self {
            Refused::Malformed(_) => "malformed",
            Refused::Unexpected(_) => "unexpected_request",
            Refused::Version { .. } => "unsupported_version",
            Refused::SecondApiVersions => "second_api_versions",
            Refused::Mechanism(_) => "unsupported_mechanism",
            Refused::Token(_) => "malformed_token",
            Refused::Password => "wrong_password",
            Refused::PrincipalChanged => "principal_changed",
            Refused::MechanismChanged => "mechanism_changed",
            Refused::Unavailable => "unavailable",
            Refused::OutOfTurn => "out_of_turn",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Malformed(malformed) => write!(f, "malformed request: {malformed}"),
            Refused::Unexpected(key) => write!(f, "request with key {key} where SASL was expected"),
            Refused::Version { key, version } => {
                write!(f, "key {key} in version {version}, which is not spoken")
            }
            Refused::SecondApiVersions => f.write_str("a second ApiVersions before SASL"),
            Refused::Mechanism(name) => write!(f, "mechanism `{name}` is not enabled"),
            Refused::Token(malformed) => write!(f, "malformed token: {malformed}"),
            Refused::Password => f.write_str("unknown user or wrong password"),
            Refused::PrincipalChanged => f.write_str("authenticated again as somebody else"),
            Refused::MechanismChanged => f.write_str("authenticated again by another mechanism"),
            Refused::Unavailable => f.write_str("the password could not be verified"),
            Refused::OutOfTurn => f.write_str("a frame out of turn"),
        }
    }
}
