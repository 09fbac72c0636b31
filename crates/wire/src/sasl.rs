//! `SaslHandshake` 0-1 and `SaslAuthenticate` 0-2, from both sides, and the token of SASL/PLAIN (RFC 4616).
//!
//! What is composed here is ready to send, size included.

use crate::address::CorrelationId;
use crate::api::Api;
use crate::ask::request_writer;
use crate::error::Malformed;
use crate::head::{answer_head, answer_writer};
use crate::reader::{Encoding, Reader};

/// Reads a client's handshake: the name of the mechanism. Both versions are alike.
pub fn read_handshake(body: &[u8]) -> Result<&str, Malformed> {
    Reader::new(body, Encoding::Classic).string("mechanism")
}

/// Answers a handshake. The enabled mechanisms are listed in every answer, also when the client's is none of them.
pub fn handshake_frame(correlation: CorrelationId, error: i16, mechanisms: &[&str]) -> Vec<u8> {
    let mut answer = answer_writer(correlation, false, Encoding::Classic);
    answer.i16(error);
    answer.array_len(mechanisms.len());
    for mechanism in mechanisms {
        answer.string(mechanism);
    }
    answer.into_frame()
}

/// Reads the token of a client.
pub fn read_authenticate(version: i16, body: &[u8]) -> Result<&[u8], Malformed> {
    Reader::new(body, authenticate_encoding(version)).bytes("SASL token")
}

/// Answers a token. `lifetime_ms` is how long the session may live before it must authenticate again (KIP-368), 0 for
/// as long as it likes; version 0 cannot say it.
pub fn authenticate_frame(
    version: i16,
    correlation: CorrelationId,
    error: i16,
    message: Option<&str>,
    token: &[u8],
    lifetime_ms: i64,
) -> Vec<u8> {
    let flexible = Api::SaslAuthenticate.answer_header_is_flexible(version);
    let mut answer = answer_writer(correlation, flexible, authenticate_encoding(version));
    answer.i16(error);
    answer.nullable_string(message);
    answer.bytes(token);
    if version >= 1 {
        answer.i64(lifetime_ms);
    }
    answer.no_tags();
    answer.into_frame()
}

/// Asks a broker for a mechanism, in version 1: tokens follow in `SaslAuthenticate`.
pub fn handshake_request(correlation: CorrelationId, client_id: &str, mechanism: &str) -> Vec<u8> {
    let mut request = request_writer(Api::SaslHandshake, 1, correlation, client_id);
    request.string(mechanism);
    request.into_frame()
}

/// Sends a broker a token.
pub fn authenticate_request(
    version: i16,
    correlation: CorrelationId,
    client_id: &str,
    token: &[u8],
) -> Vec<u8> {
    let mut request = request_writer(Api::SaslAuthenticate, version, correlation, client_id);
    request.bytes(token);
    request.no_tags();
    request.into_frame()
}

/// Reads a broker's answer to a handshake: the error, and the mechanisms that it has enabled.
pub fn read_handshake_answer(frame: &[u8]) -> Result<(i16, Vec<String>), Malformed> {
    let mut reader = Reader::new(frame, Encoding::Classic);
    answer_head(&mut reader, false)?;
    let error = reader.i16("error")?;
    let mut mechanisms = Vec::new();
    for _ in 0..reader.array_len("mechanisms")? {
        mechanisms.push(reader.string("mechanism")?.to_owned());
    }
    Ok((error, mechanisms))
}

/// What a broker answers to a token.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticateAnswer {
    /// 0, or why not.
    pub error: i16,
    /// The reason in words.
    pub message: Option<String>,
    /// The mechanism's next challenge or last word.
    pub token: Vec<u8>,
    /// Milliseconds until the session must authenticate again; 0 for never, and in version 0.
    pub lifetime_ms: i64,
}

impl std::fmt::Debug for AuthenticateAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateAnswer")
            .field("error", &self.error)
            .field("message", &self.message)
            .field("lifetime_ms", &self.lifetime_ms)
            .finish_non_exhaustive()
    }
}

/// Reads a broker's answer to a token.
pub fn read_authenticate_answer(version: i16, frame: &[u8]) -> Result<AuthenticateAnswer, Malformed> {
    let mut reader = Reader::new(frame, authenticate_encoding(version));
    answer_head(&mut reader, Api::SaslAuthenticate.answer_header_is_flexible(version))?;
    let error = reader.i16("error")?;
    let message = reader.nullable_string("error message")?.map(str::to_owned);
    let token = reader.bytes("SASL token")?.to_vec();
    let lifetime_ms = if version >= 1 { reader.i64("session lifetime")? } else { 0 };
    reader.skip_tags()?;
    Ok(AuthenticateAnswer { error, message, token, lifetime_ms })
}

fn authenticate_encoding(version: i16) -> Encoding {
    Encoding::of(Api::SaslAuthenticate.request_is_flexible(version))
}

/// What a client says in SASL/PLAIN. Not `Debug`: it holds the password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlainToken<'a> {
    /// Empty, or the same as `user`.
    pub authzid: &'a str,
    /// Who it claims to be; not empty.
    pub user: &'a str,
    /// Its proof; not empty.
    pub password: &'a str,
}

/// Reads `[authzid] NUL user NUL password`: three parts, not more, in UTF-8; user and password not empty. Acting for
/// somebody else (an authzid other than the user) is refused: Kafka has no such thing, and once let it pass unchecked.
pub fn read_plain(token: &[u8]) -> Result<PlainToken<'_>, Malformed> {
    let invalid = |what| Malformed::Invalid { what, at: 0 };
    let text = std::str::from_utf8(token).map_err(|_| Malformed::Text { what: "PLAIN token", at: 0 })?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid("number of parts of a PLAIN token"));
    };
    if user.is_empty() {
        return Err(invalid("empty user of a PLAIN token"));
    }
    if password.is_empty() {
        return Err(invalid("empty password of a PLAIN token"));
    }
    if !authzid.is_empty() && authzid != user {
        return Err(invalid("authzid of a PLAIN token"));
    }
    Ok(PlainToken { authzid, user, password })
}

/// Composes a token of SASL/PLAIN. Neither part may hold a NUL; a configuration with one is refused before.
pub fn plain_token(user: &str, password: &str) -> Vec<u8> {
    [b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plain_token_has_three_parts_and_one_identity() {
        let whole = read_plain(b"\0alice\0secret").unwrap();
        assert_eq!((whole.authzid, whole.user, whole.password), ("", "alice", "secret"));
        assert_eq!(read_plain(b"alice\0alice\0secret").unwrap().authzid, "alice");
        assert_eq!(read_plain(&plain_token("ü", "p w")).unwrap().password, "p w");
        for refused in [
            &b""[..],
            b"alice",
            b"alice\0secret",
            b"\0\0secret",
            b"\0alice\0",
            b"\0alice\0sec\0ret",
            b"\0alice\0secret\0",
            b"root\0alice\0secret",
            b"\0alice\0\xff",
        ] {
            assert!(read_plain(refused).is_err(), "{refused:?}");
        }
    }
}
