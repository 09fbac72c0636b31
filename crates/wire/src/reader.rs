//! Kafka's primitives, read from a slice that is already here. Nothing is allocated; no count off the wire is believed
//! before the bytes behind it were seen.

use crate::error::Malformed;

/// How lengths are written: the two families of Kafka's encodings (KIP-482).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Fixed-width lengths, -1 is null, no tag sections.
    Classic,
    /// Varint lengths plus one, 0 is null, each struct ends with a tag section.
    Flexible,
}

impl Encoding {
    /// The encoding of a version that is flexible or not.
    pub const fn of(flexible: bool) -> Encoding {
        if flexible { Encoding::Flexible } else { Encoding::Classic }
    }
}

/// Kafka's limit of a string, in either encoding.
pub const STRING_BYTES_MAX: usize = 0x7fff;

/// More tags in one section than this are refused; Kafka has never used more than four.
pub const TAGS_MAX: u32 = 256;

/// A cursor over one message, or a part of one.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub fn new(bytes: &'a [u8], encoding: Encoding) -> Reader<'a> {
        Reader { bytes, at: 0, encoding }
    }

    /// Changes the encoding for what follows; a request's client id is classic in a flexible header.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// The encoding of what follows.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes read so far, which is the offset of the next one.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Refuses bytes after the end.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Malformed::Trailing { left }),
        }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let truncated = Malformed::Truncated { what, at: self.at };
        let end = self.at.checked_add(count).ok_or(truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let at = self.at;
        let taken = self.take(N, what)?;
        taken.try_into().map_err(|_| Malformed::Truncated { what, at })
    }

    /// One signed byte.
    pub fn i8(&mut self, what: &'static str) -> Result<i8, Malformed> {
        self.fixed(what).map(i8::from_be_bytes)
    }

    /// One byte; everything but 0 is true, as for Kafka.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        self.i8(what).map(|byte| byte != 0)
    }

    /// Two bytes.
    pub fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        self.fixed(what).map(i16::from_be_bytes)
    }

    /// Two bytes; ports of a few messages.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.fixed(what).map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        self.fixed(what).map(i32::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.fixed(what).map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.fixed(what).map(i64::from_be_bytes)
    }

    /// Eight bytes; quota values.
    pub fn f64(&mut self, what: &'static str) -> Result<f64, Malformed> {
        self.fixed(what).map(f64::from_be_bytes)
    }

    /// Sixteen bytes; all zero is none.
    pub fn uuid(&mut self, what: &'static str) -> Result<[u8; 16], Malformed> {
        self.fixed(what)
    }

    /// An unsigned varint of at most five bytes and 32 bits. Forms longer than needed are accepted, as by Kafka.
    pub fn uvarint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let at = self.at;
            let [byte] = self.fixed(what)?;
            if shift == 28 && byte > 0x0f {
                return Err(Malformed::Varint { what, at });
            }
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint { what, at: self.at })
    }

    /// A length or count: `None` is null. `short` tells the two widths of the classic encoding apart.
    fn length(&mut self, short: bool, what: &'static str) -> Result<Option<usize>, Malformed> {
        let length = match (self.encoding, short) {
            (Encoding::Flexible, _) => {
                let plus_one = self.uvarint(what)?;
                let Some(length) = plus_one.checked_sub(1) else { return Ok(None) };
                i32::try_from(length).map_err(|_| Malformed::Count { what, count: length, at: self.at })?
            }
            (Encoding::Classic, true) => i32::from(self.i16(what)?),
            (Encoding::Classic, false) => self.i32(what)?,
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Malformed::Negative { what, length, at: self.at }),
        }
    }

    fn not_null<T>(&self, value: Option<T>, what: &'static str) -> Result<T, Malformed> {
        value.ok_or(Malformed::Null { what, at: self.at })
    }

    /// A nullable string, as its bytes.
    pub fn nullable_string_bytes(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(length) = self.length(true, what)? else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            let count = u32::try_from(length).unwrap_or(u32::MAX);
            return Err(Malformed::Count { what, count, at: self.at });
        }
        self.take(length, what).map(Some)
    }

    /// A string, as its bytes.
    pub fn string_bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let bytes = self.nullable_string_bytes(what)?;
        self.not_null(bytes, what)
    }

    /// A nullable string.
    pub fn nullable_string(&mut self, what: &'static str) -> Result<Option<&'a str>, Malformed> {
        let Some(bytes) = self.nullable_string_bytes(what)? else { return Ok(None) };
        let at = self.at.saturating_sub(bytes.len());
        std::str::from_utf8(bytes).map(Some).map_err(|_| Malformed::Text { what, at })
    }

    /// A string.
    pub fn string(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let text = self.nullable_string(what)?;
        self.not_null(text, what)
    }

    /// Nullable bytes or records.
    pub fn nullable_bytes(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Malformed> {
        match self.length(false, what)? {
            Some(length) => self.take(length, what).map(Some),
            None => Ok(None),
        }
    }

    /// The length of nullable bytes or records that may not all be here yet.
    pub fn bytes_len(&mut self, what: &'static str) -> Result<Option<usize>, Malformed> {
        self.length(false, what)
    }

    /// Bytes.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let bytes = self.nullable_bytes(what)?;
        self.not_null(bytes, what)
    }

    /// The count of a nullable array. Refused where it is more than the bytes that remain, since no element is empty.
    pub fn nullable_array_len(&mut self, what: &'static str) -> Result<Option<usize>, Malformed> {
        match self.nullable_array_count(what)? {
            Some(count) if count > self.remaining() => {
                Err(Malformed::Count { what, count: u32::try_from(count).unwrap_or(u32::MAX), at: self.at })
            }
            count => Ok(count),
        }
    }

    /// The count of an array; see [`Reader::nullable_array_len`].
    pub fn array_len(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let count = self.nullable_array_len(what)?;
        self.not_null(count, what)
    }

    /// The count of an array whose elements may not all be here yet. Good for counting down, never for a size.
    pub fn array_count(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let count = self.nullable_array_count(what)?;
        self.not_null(count, what)
    }

    /// As [`Reader::array_count`], of an array that may be null.
    pub fn nullable_array_count(&mut self, what: &'static str) -> Result<Option<usize>, Malformed> {
        self.length(false, what)
    }

    /// The count of a tag section; 0 where the encoding has none.
    pub fn tag_count(&mut self) -> Result<u32, Malformed> {
        if self.encoding == Encoding::Classic {
            return Ok(0);
        }
        let count = self.uvarint("tag count")?;
        if count > TAGS_MAX {
            return Err(Malformed::Count { what: "tag section", count, at: self.at });
        }
        Ok(count)
    }

    /// One tag: its number and its content.
    pub fn tag(&mut self) -> Result<(u32, &'a [u8]), Malformed> {
        let tag = self.uvarint("tag")?;
        let size = self.uvarint("tag size")?;
        let size = usize::try_from(size).map_err(|_| Malformed::TagSize { tag, at: self.at })?;
        Ok((tag, self.take(size, "tag content")?))
    }

    /// Steps over a tag section; nothing where the encoding has none.
    pub fn skip_tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.tag_count()? {
            self.tag()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        let mut classic = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1, 2], Encoding::Classic);
        assert!(matches!(classic.array_len("topics"), Err(Malformed::Count { count: 0x7fff_ffff, .. })));
        let mut flexible = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2], Encoding::Flexible);
        assert!(matches!(flexible.array_len("topics"), Err(Malformed::Count { .. })));
        let mut negative = Reader::new(&[0xff, 0xff, 0xff, 0xfe], Encoding::Classic);
        assert!(matches!(negative.array_len("topics"), Err(Malformed::Negative { length: -2, .. })));
        let mut long = Reader::new(&[0x81, 0x80, 0x02], Encoding::Flexible);
        assert!(matches!(long.string("name"), Err(Malformed::Count { count: 0x8000, .. })));
    }

    #[test]
    fn a_varint_has_five_bytes_and_32_bits() {
        let read = |bytes: &[u8]| Reader::new(bytes, Encoding::Flexible).uvarint("x");
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read(&[0x81, 0x80, 0x80, 0x80, 0x00]), Ok(1));
        assert!(matches!(read(&[0x80, 0x80, 0x80, 0x80, 0x80]), Err(Malformed::Varint { at: 4, .. })));
        assert!(matches!(read(&[0x80, 0x80, 0x80, 0x80, 0x10]), Err(Malformed::Varint { at: 4, .. })));
        assert!(matches!(read(&[0x80]), Err(Malformed::Truncated { .. })));
    }

    #[test]
    fn null_is_told_from_empty() {
        let mut flexible = Reader::new(&[0, 1, 0], Encoding::Flexible);
        assert_eq!(flexible.nullable_string("a").unwrap(), None);
        assert_eq!(flexible.nullable_string("b").unwrap(), Some(""));
        assert!(matches!(flexible.string("c"), Err(Malformed::Null { .. })));
        let mut classic = Reader::new(&[0xff, 0xff, 0, 0], Encoding::Classic);
        assert_eq!(classic.nullable_string("a").unwrap(), None);
        assert_eq!(classic.string("b").unwrap(), "");
        classic.finish().unwrap();
    }
}
