//! What requests and answers in a row may use at once: it is asked for once, and charged once.

use std::cell::Ref;
use std::rc::Rc;

use wire::Api;

use super::{Charged, Limits};
use crate::moment::Moment;

/// What limits let go at once.
pub struct Allowance<'a> {
    /// So many messages,
    messages: u64,
    /// and bytes,
    bytes: u64,
    /// which these buckets are charged for.
    charged: Option<Ref<'a, Charged>>,
}

impl Allowance<'_> {
    /// Where nothing is limited.
    const BOUNDLESS: Self = Self { messages: u64::MAX, bytes: u64::MAX, charged: None };

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

    /// So many requests go, which were covered, of so many bytes in all.
    #[inline]
    pub fn pass(&self, n: u64, bytes: u64) {
        if let Some(charged) = &self.charged {
            charged.pass_row(n, bytes);
        }
    }

    /// Answers go, which were covered, of so many bytes in all.
    #[inline]
    pub fn pass_back(&self, bytes: u64) {
        if let Some(charged) = &self.charged {
            charged.pass_row_back(bytes);
        }
    }
}

impl Limits {
    /// How much may go at once of the requests of an API, whose client is the same as before, where nothing is changed in them.
    /// `None` where each has to be looked at.
    #[inline]
    pub fn allowance(&self, api: Api, now: Moment) -> Option<Allowance<'_>> {
        if self.is_off() {
            return Some(Allowance::BOUNDLESS);
        }
        if self.admitted.get() || !self.pause.waited.get().is_zero() || self.pause.until().is_some() {
            return None;
        }
        let charged = Ref::map(self.known(api)?, Rc::as_ref);
        let (messages, bytes) = charged.allowance(self.clock.at(now))?;
        Some(Allowance { messages, bytes, charged: Some(charged) })
    }

    /// How much may go at once of the answers of an API. `None` where each has to be looked at.
    #[inline]
    pub fn allowance_back(&self, api: Api, now: Moment) -> Option<Allowance<'_>> {
        if self.is_off() {
            return Some(Allowance::BOUNDLESS);
        }
        if self.pause.until().is_some() {
            return None;
        }
        if !api.brings_records() {
            return Some(Allowance::BOUNDLESS);
        }
        let charged = Ref::map(self.known(api)?, Rc::as_ref);
        let bytes = charged.allowance_back(self.clock.at(now))?;
        Some(Allowance { messages: u64::MAX, bytes, charged: Some(charged) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_covers_messages_until_either_is_used_up() {
        let mut allowance = Allowance { messages: 3, bytes: 10, charged: None };
        assert!(allowance.covers(6));
        assert!(!allowance.covers(5));
        assert!(allowance.covers(4));
        assert!(allowance.covers(0));
        assert!(!allowance.covers(0));
        assert_eq!((allowance.messages, allowance.bytes), (0, 0));
    }
}
