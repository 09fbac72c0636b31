//! Logins that succeeded, so that the next one of the same client costs a microsecond and not a thousand.
//!
//! What is remembered is one HMAC per user, over the user, the credential and the password, under a key that lives only in
//! this process: a stolen memory page shows no password, and a changed credential no longer matches.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use config::ScramCredential;

use crate::credential::Settled;

/// The memory. Shared by all threads; its lock is held for one look at a map, at logins only.
pub struct Remembered {
    key: hmac::Key,
    /// Bounded by the number of users: only a verified login is remembered, and one per user is enough, because a
    /// credential has one password.
    by_user: RwLock<HashMap<Box<str>, hmac::Tag>>,
}

impl Remembered {
    /// `key` is random, made anew at every start.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), by_user: RwLock::default() }
    }

    /// Whether this password was verified against this credential of this user before.
    pub fn knows(&self, user: &str, credential: &ScramCredential, password: &[u8]) -> bool {
        let tag = {
            let by_user = self.by_user.read().unwrap_or_else(PoisonError::into_inner);
            match by_user.get(user) {
                Some(tag) => *tag,
                None => return false,
            }
        };
        let tried = self.fingerprint(user, credential, password);
        aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), tried.as_ref()).is_ok()
    }

    /// Call only after the password was verified against the credential.
    pub fn remember(&self, user: &str, credential: &ScramCredential, password: &[u8]) {
        let tag = self.fingerprint(user, credential, password);
        self.by_user.write().unwrap_or_else(PoisonError::into_inner).insert(user.into(), tag);
    }

    /// Forgets everyone who is not among the users any more. (A changed credential is forgotten by not matching.)
    pub fn retain(&self, users: &Settled) {
        self.by_user
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|user, _| users.get(user).is_some());
    }

    /// Fields of variable length are preceded by their length, so that no two logins have the same bytes.
    fn fingerprint(&self, user: &str, credential: &ScramCredential, password: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), &credential.salt, &credential.stored_key, password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        context.sign()
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{derive, settle};
    use config::{Credential, User, Users};

    #[test]
    fn a_login_is_remembered_until_its_password_changes_or_its_user_is_gone() {
        let memory = Remembered::new([7; 32]);
        let old = derive(b"old", &[1; 16], 4096);
        let new = derive(b"new", &[2; 16], 4096);
        assert!(!memory.knows("alice", &old, b"old"));
        memory.remember("alice", &old, b"old");
        assert!(memory.knows("alice", &old, b"old"));
        assert!(!memory.knows("alice", &old, b"older"));
        assert!(!memory.knows("alic", &old, b"eold"));
        assert!(!memory.knows("alice", &new, b"old"));

        let users =
            |name: &str| Users::new([User { name: name.into(), credential: Credential::Scram(old.clone()) }]);
        memory.retain(&settle(&users("alice"), || [0; 16]));
        assert!(memory.knows("alice", &old, b"old"));
        memory.retain(&settle(&users("bob"), || [0; 16]));
        assert!(!memory.knows("alice", &old, b"old"));
    }
}
