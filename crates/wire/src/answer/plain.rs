//! Whole answers of Produce and Fetch in which nothing is told but success: nearly all of them, read in one go.

use crate::api::Api;

/// Where the tail of a whole answer to a Produce or a Fetch begins, if all that comes before it is ordinary: no error, no
/// tags, no aborted transactions. `frame` begins with the correlation id. `None` says nothing: a
/// [`Walker`](crate::walk::Walker) tells what there is, at ten times the cost.
pub fn plain_tail(api: Api, version: i16, frame: &[u8]) -> Option<usize> {
    if !api.speaks(version) {
        return None;
    }
    let mut plain = Plain { rest: frame.get(4..)?, is_flexible: api.request_is_flexible(version) };
    if api == Api::Produce {
        plain.produce(version)?;
    } else if api == Api::Fetch {
        plain.fetch(version)?;
    } else {
        return None;
    }
    frame.len().checked_sub(plain.rest.len())
}

struct Plain<'a> {
    rest: &'a [u8],
    is_flexible: bool,
}

impl Plain<'_> {
    fn produce(&mut self, version: i16) -> Option<()> {
        self.no_tags()?;
        // Base offset; time of append, start of the log.
        let fixed = match version {
            5.. => 24,
            2.. => 16,
            ..=1 => 8,
        };
        for _ in 0..self.count()? {
            self.topic(version >= 13)?;
            for _ in 0..self.count()? {
                self.partition()?;
                self.skip(fixed)?;
                if version >= 8 {
                    // Records with errors, and what is wrong with all of them.
                    self.nothing()?;
                    self.null()?;
                }
                self.no_tags()?;
            }
            self.no_tags()?;
        }
        self.skip(if version >= 1 { 4 } else { 0 })
    }

    fn fetch(&mut self, version: i16) -> Option<()> {
        self.no_tags()?;
        self.skip(if version >= 1 { 4 } else { 0 })?;
        if version >= 7 {
            self.success()?;
            self.skip(4)?;
        }
        // High watermark; last stable offset, start of the log.
        let fixed = match version {
            5.. => 24,
            4 => 16,
            ..=3 => 8,
        };
        for _ in 0..self.count()? {
            self.topic(version >= 13)?;
            for _ in 0..self.count()? {
                self.partition()?;
                self.skip(fixed)?;
                if version >= 4 {
                    // Aborted transactions.
                    self.nothing_or_null()?;
                }
                // Preferred replica.
                self.skip(if version >= 11 { 4 } else { 0 })?;
                self.records()?;
                self.no_tags()?;
            }
            self.no_tags()?;
        }
        Some(())
    }

    /// A topic's name or id.
    fn topic(&mut self, by_id: bool) -> Option<()> {
        if by_id {
            return self.skip(16);
        }
        let length = if self.is_flexible {
            self.uvarint()?.checked_sub(1)?
        } else {
            let length = *self.take::<2>()?;
            u32::from(u16::try_from(i16::from_be_bytes(length)).ok()?)
        };
        self.skip(usize::try_from(length).ok()?)
    }

    /// A partition's number, and its success.
    fn partition(&mut self) -> Option<()> {
        self.skip(4)?;
        self.success()
    }

    fn success(&mut self) -> Option<()> {
        (*self.take::<2>()? == [0; 2]).then_some(())
    }

    /// How many there are in an array that is not null.
    fn count(&mut self) -> Option<u32> {
        if self.is_flexible {
            self.uvarint()?.checked_sub(1)
        } else {
            u32::try_from(i32::from_be_bytes(*self.take::<4>()?)).ok()
        }
    }

    /// An empty array.
    fn nothing(&mut self) -> Option<()> {
        (self.count()? == 0).then_some(())
    }

    /// An empty array, or null.
    fn nothing_or_null(&mut self) -> Option<()> {
        if self.is_flexible {
            return (*self.take::<1>()?.first()? <= 1).then_some(());
        }
        matches!(i32::from_be_bytes(*self.take::<4>()?), 0 | -1).then_some(())
    }

    /// A string that is null.
    fn null(&mut self) -> Option<()> {
        if self.is_flexible {
            return (*self.take::<1>()? == [0]).then_some(());
        }
        (*self.take::<2>()? == [0xff; 2]).then_some(())
    }

    /// Records, or null.
    fn records(&mut self) -> Option<()> {
        let length = if self.is_flexible {
            self.uvarint()?.saturating_sub(1)
        } else {
            match i32::from_be_bytes(*self.take::<4>()?) {
                -1 => 0,
                length => u32::try_from(length).ok()?,
            }
        };
        self.skip(usize::try_from(length).ok()?)
    }

    /// The end of a structure that has no tags.
    fn no_tags(&mut self) -> Option<()> {
        if self.is_flexible { (*self.take::<1>()? == [0]).then_some(()) } else { Some(()) }
    }

    fn uvarint(&mut self) -> Option<u32> {
        let [first] = *self.take::<1>()?;
        let mut value = u32::from(first & 0x7f);
        let mut is_last = first < 0x80;
        for shift in [7, 14, 21] {
            if is_last {
                break;
            }
            let [byte] = *self.take::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            is_last = byte < 0x80;
        }
        // What is longer is for the walk to read.
        is_last.then_some(value)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }
}
