//! What is kept of requests until they are answered: enough to ask a broker again, or to answer in its place.

use std::collections::VecDeque;

use wire::meter::Echo;

/// Bytes that one connection keeps; with more it is not read further.
pub const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The largest request that is kept whole.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are moved to the front once so many before them are gone.
const GONE_BYTES_MAX: usize = 64 * 1024;

/// What is kept of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, with its size: so many bytes.
    Whole(usize),
    /// The beginning of a Produce request with one partition, up to its records: so many bytes.
    Front(usize),
    /// What a Produce request has named.
    Names,
    /// Nothing: it is too large.
    Nothing,
}

/// Something kept, to be looked at.
#[derive(Clone, Copy, Debug)]
pub enum Look<'a> {
    /// A frame, or a part of one.
    Bytes(&'a [u8]),
    /// Names; none while the request is on its way.
    Names(Option<&'a Echo>),
    /// Nothing.
    Nothing,
}

/// What is kept of the requests in flight, in their order.
#[derive(Default)]
pub struct Kept {
    bytes: Vec<u8>,
    gone: usize,
    names: VecDeque<Option<Box<Echo>>>,
    /// Bytes of all names.
    named: usize,
}

impl Kept {
    /// Bytes that are kept.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes.len() - self.gone + self.named
    }

    /// Keeps what is in `parts`, one behind the other.
    #[inline]
    pub fn push_bytes<const N: usize>(&mut self, parts: [&[u8]; N]) {
        if self.gone == self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
        } else if self.gone > GONE_BYTES_MAX {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Keeps names, or room for those that are to come.
    pub fn push_names(&mut self, names: Option<Box<Echo>>) {
        self.named += names.as_deref().map_or(0, Echo::bytes);
        self.names.push_back(names);
    }

    /// The names that room was kept for last.
    pub fn fill_names(&mut self, names: Box<Echo>) {
        if let Some(last) = self.names.back_mut() {
            self.named += names.bytes();
            *last = Some(names);
        }
    }

    /// Forgets what was kept first.
    #[inline]
    pub fn pop(&mut self, keep: Keep) {
        match keep {
            Keep::Whole(n) | Keep::Front(n) => self.gone = (self.gone + n).min(self.bytes.len()),
            Keep::Names => {
                let names = self.names.pop_front().flatten();
                self.named -= names.map_or(0, |names| names.bytes());
            }
            Keep::Nothing => {}
        }
    }

    /// Gives back memory that a burst has taken. Only while nothing is kept.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// Looks through all of it.
    pub fn reader(&self) -> Looks<'_> {
        Looks { bytes: &self.bytes[self.gone..], names: self.names.iter() }
    }
}

/// What is kept, one after the other.
pub struct Looks<'a> {
    bytes: &'a [u8],
    names: std::collections::vec_deque::Iter<'a, Option<Box<Echo>>>,
}

impl<'a> Looks<'a> {
    /// What was kept of the next request.
    pub fn next(&mut self, keep: Keep) -> Look<'a> {
        match keep {
            Keep::Whole(n) | Keep::Front(n) => {
                let (own, rest) = self.bytes.split_at(n.min(self.bytes.len()));
                self.bytes = rest;
                Look::Bytes(own)
            }
            Keep::Names => Look::Names(self.names.next().and_then(Option::as_deref)),
            Keep::Nothing => Look::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_in_its_order_and_goes_in_its_order() {
        let mut kept = Kept::default();
        kept.push_bytes([b"one", b"1"]);
        kept.push_names(None);
        kept.push_bytes([b"three"]);
        kept.fill_names(Box::default());
        assert_eq!(kept.bytes(), 9 + size_of::<Echo>());
        kept.pop(Keep::Whole(4));
        let mut looks = kept.reader();
        assert!(matches!(looks.next(Keep::Names), Look::Names(Some(_))));
        assert!(matches!(looks.next(Keep::Nothing), Look::Nothing));
        assert!(matches!(looks.next(Keep::Front(5)), Look::Bytes(b"three")));
        kept.pop(Keep::Names);
        kept.pop(Keep::Front(5));
        assert_eq!(kept.bytes(), 0);
        kept.push_bytes([b"four"]);
        assert_eq!(kept.bytes.len(), 4);
    }
}
