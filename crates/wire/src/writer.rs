//! Kafka's primitives, appended to a `Vec<u8>`.

use crate::reader::{Encoding, STRING_BYTES_MAX};

/// Composes one message, or a part of one.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    encoding: Encoding,
}

impl Writer {
    /// An empty message.
    pub fn new(encoding: Encoding) -> Writer {
        Writer { bytes: Vec::new(), encoding }
    }

    /// Goes on at the end of `bytes`.
    pub fn append(bytes: Vec<u8>, encoding: Encoding) -> Writer {
        Writer { bytes, encoding }
    }

    /// A frame whose size is filled in by [`Writer::into_frame`].
    pub fn framed(encoding: Encoding) -> Writer {
        Writer { bytes: vec![0; 4], encoding }
    }

    /// Changes the encoding for what follows.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// The encoding of what follows.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written after [`Writer::framed`], with the size of all that follows it in front.
    pub fn into_frame(mut self) -> Vec<u8> {
        let size = i32::try_from(self.bytes.len().saturating_sub(4)).unwrap_or(i32::MAX);
        if let Some(place) = self.bytes.first_chunk_mut::<4>() {
            *place = size.to_be_bytes();
        }
        self.bytes
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One signed byte.
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// One byte.
    pub fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }

    /// Two bytes.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: &[u8; 16]) {
        self.raw(value);
    }

    /// An unsigned varint in its shortest form.
    pub fn uvarint(&mut self, value: u32) {
        let mut rest = value;
        while rest > 0x7f {
            self.bytes.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
            rest = rest.wrapping_shr(7);
        }
        self.bytes.push(u8::try_from(rest & 0x7f).unwrap_or(0));
    }

    /// A length or count; `None` is null.
    fn length(&mut self, short: bool, length: Option<usize>) {
        match (self.encoding, short) {
            (Encoding::Flexible, _) => {
                let plus_one = length.map_or(0, |length| length.saturating_add(1));
                self.uvarint(u32::try_from(plus_one).unwrap_or(u32::MAX));
            }
            (Encoding::Classic, true) => {
                self.i16(length.map_or(-1, |length| i16::try_from(length).unwrap_or(i16::MAX)));
            }
            (Encoding::Classic, false) => {
                self.i32(length.map_or(-1, |length| i32::try_from(length).unwrap_or(i32::MAX)));
            }
        }
    }

    /// A string. What is beyond Kafka's 32767 bytes is cut off, so that the message stays readable.
    pub fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    /// A nullable string; see [`Writer::string`].
    pub fn nullable_string(&mut self, text: Option<&str>) {
        self.nullable_string_bytes(text.map(|text| {
            let mut end = text.len().min(STRING_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end = end.saturating_sub(1);
            }
            text.get(..end).unwrap_or_default().as_bytes()
        }));
    }

    /// A nullable string that was read as bytes and is written back as it was.
    pub fn nullable_string_bytes(&mut self, bytes: Option<&[u8]>) {
        let bytes = bytes.map(|bytes| bytes.get(..STRING_BYTES_MAX).unwrap_or(bytes));
        self.length(true, bytes.map(<[u8]>::len));
        self.raw(bytes.unwrap_or_default());
    }

    /// A string that was read as bytes and is written back as it was.
    pub fn string_bytes(&mut self, bytes: &[u8]) {
        self.nullable_string_bytes(Some(bytes));
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.nullable_bytes(Some(bytes));
    }

    /// Nullable bytes.
    pub fn nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        self.length(false, bytes.map(<[u8]>::len));
        self.raw(bytes.unwrap_or_default());
    }

    /// The count of an array.
    pub fn array_len(&mut self, count: usize) {
        self.length(false, Some(count));
    }

    /// The count of a nullable array.
    pub fn nullable_array_len(&mut self, count: Option<usize>) {
        self.length(false, count);
    }

    /// An empty tag section; nothing where the encoding has none.
    pub fn no_tags(&mut self) {
        if self.encoding == Encoding::Flexible {
            self.uvarint(0);
        }
    }

    /// The count of a tag section. Tags must follow in ascending order.
    pub fn tag_count(&mut self, count: u32) {
        self.uvarint(count);
    }

    /// One tag.
    pub fn tag(&mut self, tag: u32, content: &[u8]) {
        self.uvarint(tag);
        self.uvarint(u32::try_from(content.len()).unwrap_or(u32::MAX));
        self.raw(content);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::reader::Reader;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u32, text in ".{0,300}", some: bool, flexible: bool, long: i64) {
            let encoding = Encoding::of(flexible);
            let mut writer = Writer::new(encoding);
            writer.uvarint(number);
            writer.nullable_string(some.then_some(text.as_str()));
            writer.array_len(1);
            writer.i64(long);
            writer.nullable_bytes(some.then_some(text.as_bytes()));
            writer.no_tags();
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes, encoding);
            prop_assert_eq!(reader.uvarint("number").unwrap(), number);
            prop_assert_eq!(reader.nullable_string("text").unwrap(), some.then_some(text.as_str()));
            prop_assert_eq!(reader.array_len("array").unwrap(), 1);
            prop_assert_eq!(reader.i64("long").unwrap(), long);
            prop_assert_eq!(reader.nullable_bytes("bytes").unwrap(), some.then_some(text.as_bytes()));
            reader.skip_tags().unwrap();
            reader.finish().unwrap();
        }
    }

    #[test]
    fn a_string_is_cut_between_characters() {
        let mut writer = Writer::new(Encoding::Classic);
        writer.string(&"ü".repeat(20_000));
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes, Encoding::Classic);
        assert_eq!(reader.string("text").unwrap().len(), 0x7ffe);
        reader.finish().unwrap();
    }

    #[test]
    fn a_frame_knows_its_size() {
        let mut writer = Writer::framed(Encoding::Flexible);
        writer.i32(7);
        writer.no_tags();
        assert_eq!(writer.into_frame(), [0, 0, 0, 5, 0, 0, 0, 7, 0]);
    }
}
