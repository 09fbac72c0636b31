//! The stored form of a password: a SCRAM-SHA-512 credential (RFC 5802 §3) and its text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Fewest iterations accepted; RFC 7677 and Kafka's clients refuse fewer.
pub const ITERATIONS_MIN: u32 = 4096;
/// Most iterations accepted; Kafka's brokers refuse more, and each login costs this much.
pub const ITERATIONS_MAX: u32 = 16384;
/// What `hash-password` uses when nothing else is asked for.
pub const ITERATIONS_DEFAULT: u32 = 4096;
/// First field of the text form.
const PREFIX: &str = "SCRAM-SHA-512";

/// What PLAIN is verified against, and SCRAM later. The password cannot be computed from it, only guessed.
///
/// `Display` prints the text form `SCRAM-SHA-512$<iterations>$<salt>$<stored key>$<server key>` (base64), which is what
/// the file holds; `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Salt, 8 to 64 bytes.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations, [`ITERATIONS_MIN`] to [`ITERATIONS_MAX`].
    pub iterations: u32,
    /// H(HMAC(salted password, "Client Key")).
    pub stored_key: [u8; 64],
    /// HMAC(salted password, "Server Key").
    pub server_key: [u8; 64],
}

/// Why a text is no credential. Says nothing of the text itself, which might be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// Not five fields divided by `$`, the first of them the mechanism.
    #[error("is not five fields divided by $")]
    Fields,
    /// Iterations are no number, or outside of what is accepted.
    #[error("has iterations outside of {ITERATIONS_MIN} to {ITERATIONS_MAX}")]
    Iterations,
    /// The salt is not base64, or shorter than 8 or longer than 64 bytes.
    #[error("has a salt that is not 8 to 64 bytes in base64")]
    Salt,
    /// A key is not base64 of 64 bytes.
    #[error("has a key that is not 64 bytes in base64")]
    Key,
}

impl ScramCredential {
    /// Whether a text means to be a credential, as opposed to a clear text password.
    pub fn claims(text: &str) -> bool {
        text.starts_with("SCRAM-SHA-512$")
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        let mut fields = text.split('$');
        let (Some(PREFIX), Some(iterations), Some(salt), Some(stored), Some(server), None) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(InvalidCredential::Fields);
        };
        let iterations: u32 = iterations.parse().map_err(|_| InvalidCredential::Iterations)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(InvalidCredential::Iterations);
        }
        let salt = BASE64.decode(salt).map_err(|_| InvalidCredential::Salt)?;
        if !(8..=64).contains(&salt.len()) {
            return Err(InvalidCredential::Salt);
        }
        Ok(Self { salt, iterations, stored_key: key(stored)?, server_key: key(server)? })
    }
}

fn key(text: &str) -> Result<[u8; 64], InvalidCredential> {
    let bytes = BASE64.decode(text).map_err(|_| InvalidCredential::Key)?;
    <[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| InvalidCredential::Key)
}

impl fmt::Display for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}${}${}${}${}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key)
        )
    }
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramCredential(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_text_of_a_credential_reads_back_as_the_same_credential() {
        let credential =
            ScramCredential { salt: vec![7; 16], iterations: 5000, stored_key: [1; 64], server_key: [2; 64] };
        assert_eq!(ScramCredential::parse(&credential.to_string()).unwrap(), credential);
        assert_eq!(format!("{credential:?}"), "ScramCredential(***)");
    }

    #[test]
    fn a_damaged_credential_is_refused_by_the_field_that_is_damaged() {
        let good =
            ScramCredential { salt: vec![7; 16], iterations: 4096, stored_key: [1; 64], server_key: [2; 64] }
                .to_string();
        let fields: Vec<&str> = good.split('$').collect();
        let with = |index: usize, field: &str| {
            let mut fields = fields.clone();
            fields[index] = field;
            ScramCredential::parse(&fields.join("$"))
        };
        assert_eq!(with(0, "SCRAM-SHA-256"), Err(InvalidCredential::Fields));
        assert_eq!(with(1, "1"), Err(InvalidCredential::Iterations));
        assert_eq!(with(1, "16385"), Err(InvalidCredential::Iterations));
        assert_eq!(with(2, "AAAA"), Err(InvalidCredential::Salt));
        assert_eq!(with(3, "AAAA"), Err(InvalidCredential::Key));
        assert_eq!(with(4, "*"), Err(InvalidCredential::Key));
        assert_eq!(ScramCredential::parse("SCRAM-SHA-512$4096"), Err(InvalidCredential::Fields));
    }
}
