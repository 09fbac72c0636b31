//! Many questions, or their answers, at once.

use super::{Asked, HELD_BYTES_MAX, InFlight, Owed};
use crate::kept::{KEPT_BYTES_MAX, Keep};

impl InFlight {
    /// Notes what brokers owe for one question after the other, as `next` gives them with their first bytes, of which is kept
    /// what they say; until there is none, or no room. Says how many they were.
    pub fn push_while<'a>(&self, mut next: impl FnMut() -> Option<(Asked, &'a [u8])>) -> u64 {
        let (mut owed, mut kept) = (self.owed.borrow_mut(), self.kept.borrow_mut());
        let room = if self.held.get() < HELD_BYTES_MAX { self.max.saturating_sub(owed.len()) } else { 0 };
        let mut n = 0;
        while n < room
            && kept.bytes() < KEPT_BYTES_MAX
            && let Some((asked, bytes)) = next()
        {
            if let Keep::Whole(size) | Keep::Front(size) = asked.keep {
                kept.push_bytes([bytes.get(..size).unwrap_or(bytes)]);
            }
            owed.push_back(Owed::ByBroker(asked));
            n += 1;
        }
        n as u64
    }

    /// Takes from the front what brokers owe, as long as it is answered: the answer has begun.
    pub fn pop_while(&self, mut is_answered: impl FnMut(&Asked) -> bool) {
        let (mut owed, mut kept) = (self.owed.borrow_mut(), self.kept.borrow_mut());
        let before = owed.len();
        while let Some(Owed::ByBroker(asked)) = owed.front()
            && is_answered(asked)
        {
            kept.pop(asked.keep);
            owed.pop_front();
        }
        let popped = before - owed.len();
        drop(owed);
        self.have_popped(popped);
    }
}
