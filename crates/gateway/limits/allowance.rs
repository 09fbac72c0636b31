//! What requests and answers in a row may use at once: it is asked for once, and charged once.

use std::time::Instant;

use wire::Api;

use super::{Limits, known};

/// What limits let go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many messages,
    pub messages: u64,
    /// and bytes.
    pub bytes: u64,
}

impl Allowance {
    /// Where nothing is limited.
    pub const BOUNDLESS: Self = Self { messages: u64::MAX, bytes: u64::MAX };

    /// Whether a message of so many bytes may go as well.
    #[inline]
    pub fn covers(&mut self, bytes: usize) -> bool {
        let covers = self.messages > 0 && bytes as u64 <= self.bytes;
        if covers {
            self.messages -= 1;
            self.bytes -= bytes as u64;
        }
        covers
    }
}

impl Limits {
    /// How much may go at once of the requests of an API, whose client is the same as before, where nothing is changed in them.
    /// `None` where each has to be looked at.
    #[inline]
    pub fn allowance(&self, api: Api, now: Instant) -> Option<Allowance> {
        if self.is_off() {
            return Some(Allowance::BOUNDLESS);
        }
        if self.admitted.get() || !self.pause.waited.get().is_zero() || self.pause.until().is_some() {
            return None;
        }
        known(&self.by_api.borrow(), api)?.allowance(self.at(now))
    }

    /// So many requests go, which were allowed, of so many bytes in all.
    #[inline]
    pub fn pass_row(&self, api: Api, n: u64, bytes: u64) {
        if !self.is_off()
            && let Some(charged) = known(&self.by_api.borrow(), api)
        {
            charged.pass_row(n, bytes);
        }
    }

    /// How much may go at once of the answers of an API. `None` where each has to be looked at.
    #[inline]
    pub fn allowance_back(&self, api: Api, now: Instant) -> Option<Allowance> {
        if self.is_off() {
            return Some(Allowance::BOUNDLESS);
        }
        if self.pause.until().is_some() {
            return None;
        }
        if !api.brings_records() {
            return Some(Allowance::BOUNDLESS);
        }
        known(&self.by_api.borrow(), api)?.allowance_back(self.at(now))
    }

    /// Answers go, which were allowed, of so many bytes in all.
    #[inline]
    pub fn pass_row_back(&self, api: Api, bytes: u64) {
        if !self.is_off()
            && api.brings_records()
            && let Some(charged) = known(&self.by_api.borrow(), api)
        {
            charged.pass_row_back(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_covers_messages_until_either_is_used_up() {
        let mut allowance = Allowance { messages: 3, bytes: 10 };
        assert!(allowance.covers(6));
        assert!(!allowance.covers(5));
        assert!(allowance.covers(4));
        assert!(allowance.covers(0));
        assert!(!allowance.covers(0));
        assert_eq!(allowance, Allowance { messages: 0, bytes: 0 });
    }
}
