//! The error codes of partitions, found among bytes that are counted down.

use crate::error::code::NOT_LEADER_OR_FOLLOWER;

/// What a walk has met of error codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    /// How many of the bytes to count down come before a code,
    before: u32,
    /// how many of its bytes are to come,
    left: u8,
    /// the last two bytes that have come,
    code: [u8; 2],
    /// and whether its partition was counted already.
    counted: bool,
    /// Partitions that failed so far.
    pub(super) errors: u32,
    /// Whether any of them is led by another broker.
    pub(super) is_misled: bool,
}

impl Codes {
    /// A code comes behind so many bytes; whether it is the first of its partition.
    pub(super) fn expect(&mut self, behind: u64, first: bool) {
        self.before = u32::try_from(behind).unwrap_or(u32::MAX);
        self.left = 2;
        self.counted &= !first;
    }

    /// Whether one is expected.
    #[inline]
    pub(super) fn are_expected(&self) -> bool {
        self.left > 0
    }

    /// Looks at the next of the bytes that are counted down.
    pub(super) fn look(&mut self, passing: &[u8]) {
        let before = usize::try_from(self.before).unwrap_or(usize::MAX);
        let Some(code) = passing.get(before..) else {
            self.before = self.before.saturating_sub(u32::try_from(passing.len()).unwrap_or(u32::MAX));
            return;
        };
        self.before = 0;
        for byte in code.iter().take(usize::from(self.left)) {
            self.code = [self.code[1], *byte];
            self.left = self.left.saturating_sub(1);
        }
        if self.left == 0 && self.code != [0; 2] {
            self.is_misled |= i16::from_be_bytes(self.code) == NOT_LEADER_OR_FOLLOWER;
            self.errors = self.errors.saturating_add(u32::from(!self.counted));
            self.counted = true;
        }
    }
}
