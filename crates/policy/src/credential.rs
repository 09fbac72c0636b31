//! What passwords are verified against: SCRAM-SHA-512 credentials (RFC 5802 with SHA-512, as Kafka stores them).
//!
//! One verification costs thousands of hash rounds: never run it on a thread that serves connections.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use config::{Credential, ITERATIONS_DEFAULT, ScramCredential, Users};

/// Bytes of salt that new credentials get.
pub const SALT_BYTES: usize = 16;

/// Makes the credential of a password. `iterations` of 0 count as 1.
pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> ScramCredential {
    let mut salted = [0; 64];
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, password, &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA512, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA512, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    ScramCredential {
        salt: salt.to_vec(),
        iterations,
        stored_key: sixty_four(stored_key.as_ref()),
        server_key: sixty_four(server_key.as_ref()),
    }
}

/// SHA-512 makes 64 bytes; anything else would leave zeros that no password matches.
fn sixty_four(bytes: &[u8]) -> [u8; 64] {
    bytes.try_into().unwrap_or([0; 64])
}

/// Whether a password is the one that the credential was made of. The comparison takes the same time for every wrong one.
pub fn verify(credential: &ScramCredential, password: &[u8]) -> bool {
    let tried = derive(password, &credential.salt, credential.iterations);
    constant_time::verify_slices_are_equal(&tried.stored_key, &credential.stored_key).is_ok()
}

/// Everyone who may log in, with clear text passwords already hashed: what logins are verified against at run time.
#[derive(Clone, Debug)]
pub struct Settled {
    credentials: BTreeMap<Arc<str>, ScramCredential>,
    /// Unknown users are verified against this, so that they take as long as known ones.
    decoy: ScramCredential,
}

impl Settled {
    /// The credential of a user.
    pub fn get(&self, user: &str) -> Option<&ScramCredential> {
        self.credentials.get(user)
    }

    /// Verifies a login, slowly: the principal if the password is the user's. A user that does not exist costs the same.
    pub fn verify(&self, user: &str, password: &[u8]) -> Option<Arc<str>> {
        let found = self.credentials.get_key_value(user);
        let good = verify(found.map_or(&self.decoy, |(_, credential)| credential), password);
        found.filter(|_| good).map(|(name, _)| Arc::clone(name))
    }

    /// The name of a user, shared, for one whose password is [remembered](crate::remembered).
    pub fn principal(&self, user: &str) -> Option<Arc<str>> {
        self.credentials.get_key_value(user).map(|(name, _)| Arc::clone(name))
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }
}

/// Hashes the clear text passwords of a configuration, each with the next salt. Slow where there are many.
pub fn settle(users: &Users, salt: impl FnMut() -> [u8; SALT_BYTES]) -> Settled {
    settle_again(users, None, salt)
}

/// As [`settle`], at a reload: a clear text password that has not changed keeps the credential that it had, so that
/// those who are remembered stay remembered.
pub fn settle_again(
    users: &Users,
    before: Option<&Settled>,
    mut salt: impl FnMut() -> [u8; SALT_BYTES],
) -> Settled {
    let mut credentials = BTreeMap::new();
    for user in users.iter() {
        let credential = match &user.credential {
            Credential::Scram(credential) => credential.clone(),
            Credential::Clear(secret) => {
                let password = secret.expose().as_bytes();
                match before.and_then(|settled| settled.get(&user.name)).filter(|had| verify(had, password)) {
                    Some(had) => had.clone(),
                    None => derive(password, &salt(), ITERATIONS_DEFAULT),
                }
            }
        };
        credentials.insert(Arc::clone(&user.name), credential);
    }
    let decoy = decoy(&credentials, salt());
    Settled { credentials, decoy }
}

/// A credential that no password fits, as slow as most of the users' own.
fn decoy(credentials: &BTreeMap<Arc<str>, ScramCredential>, salt: [u8; SALT_BYTES]) -> ScramCredential {
    let mut users_by_iterations: BTreeMap<u32, usize> = BTreeMap::new();
    for credential in credentials.values() {
        *users_by_iterations.entry(credential.iterations).or_default() += 1;
    }
    let usual = users_by_iterations.into_iter().max_by_key(|(_, users)| *users);
    ScramCredential {
        salt: salt.to_vec(),
        iterations: usual.map_or(ITERATIONS_DEFAULT, |(iterations, _)| iterations),
        stored_key: [0; 64],
        server_key: [0; 64],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use config::{Secret, User};

    fn user(name: &str, credential: Credential) -> User {
        User { name: name.into(), credential }
    }

    /// Made with Python's hashlib and hmac: see the text of the test.
    #[test]
    fn a_credential_is_the_one_that_another_implementation_of_rfc_5802_makes() {
        // s = hashlib.pbkdf2_hmac("sha512", b"pencil", b"salt of 16 bytes", 4096); H(HMAC(s, "Client Key")), HMAC(s, "Server Key")
        let expected = include_str!("../testdata/pencil.credential").trim();
        let credential = derive(b"pencil", b"salt of 16 bytes", 4096);
        assert_eq!(credential.to_string(), expected);
        assert!(verify(&ScramCredential::parse(expected).unwrap(), b"pencil"));
        assert!(!verify(&credential, b"pencils"));
    }

    #[test]
    fn clear_text_is_hashed_once_and_again_only_when_it_changed() {
        let users = |password: &str| {
            Users::new([
                user("clear", Credential::Clear(Secret::new(password))),
                user("hashed", Credential::Scram(derive(b"there", &[1; 16], 5000))),
            ])
        };
        let mut salts = 0_u8;
        let mut salt = || {
            salts += 1;
            [salts; SALT_BYTES]
        };
        let first = settle(&users("here"), &mut salt);
        let same = settle_again(&users("here"), Some(&first), &mut salt);
        let changed = settle_again(&users("gone"), Some(&first), &mut salt);
        assert_eq!(first.get("clear"), same.get("clear"));
        assert_ne!(first.get("clear"), changed.get("clear"));
        assert_eq!(first.verify("clear", b"here").as_deref(), Some("clear"));
        assert_eq!(changed.verify("clear", b"here"), None);
        assert_eq!(changed.verify("hashed", b"there").as_deref(), Some("hashed"));
        assert_eq!(changed.verify("nobody", b"there"), None);
    }

    #[test]
    fn what_an_unknown_user_is_verified_against_is_as_slow_as_most_users() {
        let users = Users::new([
            user("a", Credential::Scram(derive(b"a", &[1; 16], 5000))),
            user("b", Credential::Scram(derive(b"b", &[1; 16], 5000))),
            user("c", Credential::Scram(derive(b"c", &[1; 16], 4096))),
        ]);
        assert_eq!(settle(&users, || [0; SALT_BYTES]).decoy.iterations, 5000);
        assert_eq!(settle(&Users::default(), || [0; SALT_BYTES]).decoy.iterations, ITERATIONS_DEFAULT);
    }
}
