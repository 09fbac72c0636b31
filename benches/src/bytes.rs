//! Kafka's primitives, as far as the benchmark's few messages need them.

use anyhow::{Context, Result, bail};

/// Appends primitives to a vector.
pub trait Put {
    /// `INT8` and booleans.
    fn put_i8(&mut self, value: i8);
    /// `INT16`, big endian as all of them.
    fn put_i16(&mut self, value: i16);
    /// `INT32`.
    fn put_i32(&mut self, value: i32);
    /// `INT64`.
    fn put_i64(&mut self, value: i64);
    /// `UNSIGNED_VARINT`: counts and lengths of flexible versions are written plus one by the caller.
    fn put_uvarint(&mut self, value: usize);
    /// A string: compact when flexible, else with an i16 length.
    fn put_string(&mut self, value: &str, flexible: bool);
    /// A null string.
    fn put_null_string(&mut self, flexible: bool);
    /// The count of an array.
    fn put_count(&mut self, count: usize, flexible: bool);
    /// An empty tag section, where the version is flexible.
    fn put_tags(&mut self, flexible: bool);
}

impl Put for Vec<u8> {
    fn put_i8(&mut self, value: i8) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i16(&mut self, value: i16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.push(value.to_le_bytes()[0]);
    }

    fn put_string(&mut self, value: &str, flexible: bool) {
        if flexible {
            self.put_uvarint(value.len() + 1);
        } else {
            self.put_i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        }
        self.extend_from_slice(value.as_bytes());
    }

    fn put_null_string(&mut self, flexible: bool) {
        if flexible { self.put_uvarint(0) } else { self.put_i16(-1) }
    }

    fn put_count(&mut self, count: usize, flexible: bool) {
        if flexible {
            self.put_uvarint(count + 1);
        } else {
            self.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn put_tags(&mut self, flexible: bool) {
        if flexible {
            self.put_uvarint(0);
        }
    }
}

/// Writes the size in front of a frame that was begun with four bytes for it.
pub fn seal(frame: &mut [u8], size: usize) {
    if let (Some(place), Ok(size)) = (frame.get_mut(..4), u32::try_from(size)) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}

/// Takes primitives from a slice; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a> {
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Take<'a> {
    /// From the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Take<'a> {
        Take { rest: bytes, taken: 0 }
    }

    /// How many bytes were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).context("the message ends early")?;
        self.rest = rest;
        self.taken += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.bytes(N)?.try_into()?)
    }

    /// `INT8`.
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    /// `INT16`.
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// `INT32`.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// `INT64`.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// `UNSIGNED_VARINT` of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<usize> {
        let mut value = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bail!("a varint of more than five bytes")
    }

    /// A string's bytes; null is `None`.
    pub fn string(&mut self, flexible: bool) -> Result<Option<&'a [u8]>> {
        let length =
            if flexible { self.uvarint()?.checked_sub(1) } else { usize::try_from(self.i16()?).ok() };
        length.map(|length| self.bytes(length)).transpose()
    }

    /// An array's count; null is `None`.
    pub fn count(&mut self, flexible: bool) -> Result<Option<usize>> {
        Ok(if flexible { self.uvarint()?.checked_sub(1) } else { usize::try_from(self.i32()?).ok() })
    }

    /// Skips a tag section, where the version is flexible.
    pub fn tags(&mut self, flexible: bool) -> Result<()> {
        if flexible {
            for _ in 0..self.uvarint()? {
                self.uvarint()?;
                let length = self.uvarint()?;
                self.bytes(length)?;
            }
        }
        Ok(())
    }
}
