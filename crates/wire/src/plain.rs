//! Ordinary messages, read straight through: whatever is out of the ordinary ends the reading, and is for a
//! [`Walker`](crate::walk::Walker), at ten times the cost.

/// What is left of a message.
pub(crate) struct Plain<'a> {
    /// The bytes that were not read yet.
    pub(crate) rest: &'a [u8],
    /// Whether lengths are varints and structures end with tags.
    pub(crate) is_flexible: bool,
}

impl Plain<'_> {
    /// A topic's name or id.
    #[inline]
    pub(crate) fn topic(&mut self, by_id: bool) -> Option<()> {
        if by_id { self.skip(16) } else { self.string() }
    }

    /// A string that is not null.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<()> {
        let length = if self.is_flexible {
            self.uvarint()?.checked_sub(1)?
        } else {
            let length = *self.take::<2>()?;
            u32::from(u16::try_from(i16::from_be_bytes(length)).ok()?)
        };
        self.skip(usize::try_from(length).ok()?)
    }

    /// A partition's number, and its success.
    #[inline]
    pub(crate) fn partition(&mut self) -> Option<()> {
        self.skip(4)?;
        self.success()
    }

    #[inline]
    pub(crate) fn success(&mut self) -> Option<()> {
        (*self.take::<2>()? == [0; 2]).then_some(())
    }

    /// How many there are in an array that is not null.
    #[inline]
    pub(crate) fn count(&mut self) -> Option<u32> {
        if self.is_flexible {
            self.uvarint()?.checked_sub(1)
        } else {
            u32::try_from(i32::from_be_bytes(*self.take::<4>()?)).ok()
        }
    }

    /// An empty array.
    #[inline]
    pub(crate) fn nothing(&mut self) -> Option<()> {
        (self.count()? == 0).then_some(())
    }

    /// An empty array, or null; of versions that are not flexible.
    #[inline]
    pub(crate) fn nothing_or_null(&mut self) -> Option<()> {
        matches!(i32::from_be_bytes(*self.take::<4>()?), 0 | -1).then_some(())
    }

    /// A string that is null.
    #[inline]
    pub(crate) fn null(&mut self) -> Option<()> {
        if self.is_flexible {
            return (*self.take::<1>()? == [0]).then_some(());
        }
        (*self.take::<2>()? == [0xff; 2]).then_some(())
    }

    /// Records, or null.
    #[inline]
    pub(crate) fn records(&mut self) -> Option<()> {
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
    #[inline]
    pub(crate) fn no_tags(&mut self) -> Option<()> {
        if self.is_flexible { (*self.take::<1>()? == [0]).then_some(()) } else { Some(()) }
    }

    #[inline]
    pub(crate) fn uvarint(&mut self) -> Option<u32> {
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

    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    #[inline]
    pub(crate) fn take<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }
}
