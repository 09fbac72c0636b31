//! Copies a frame with some of its bytes replaced. What is not replaced is copied as it is, so unknown tags survive.

use std::ops::Range;

use crate::answer::Splice;

/// Replacements must come in the order of the frame.
pub(crate) struct Splicer<'a> {
    frame: &'a [u8],
    out: Vec<u8>,
    copied: usize,
}

impl<'a> Splicer<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Splicer<'a> {
        Splicer { frame, out: Vec::new(), copied: 0 }
    }

    /// Puts `bytes` where `place` was.
    pub(crate) fn replace(&mut self, place: Range<usize>, bytes: &[u8]) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.frame.len().saturating_add(bytes.len()));
        }
        self.out.extend_from_slice(self.frame.get(self.copied..place.start).unwrap_or_default());
        self.out.extend_from_slice(bytes);
        self.copied = place.end;
    }

    /// The frame, copied to its end; nothing where nothing was replaced.
    pub(crate) fn finish(mut self) -> Splice {
        if self.copied == 0 {
            return Splice::Unchanged;
        }
        self.out.extend_from_slice(self.frame.get(self.copied..).unwrap_or_default());
        Splice::Replaced(self.out)
    }
}
