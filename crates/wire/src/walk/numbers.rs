//! Numbers that decide what comes next: put together byte by byte, as their bytes may arrive one by one.

use super::listen::Listen;
use super::{Step, Walker};
use crate::error::Malformed;
use crate::layout::Kind;
use crate::reader::TAGS_MAX;

impl Walker {
    /// Takes one more byte of a number; `Some` when that was its last one.
    pub(super) fn put_together(&mut self, byte: u8) -> Result<Option<u32>, Malformed> {
        let width = match self.step {
            Step::Presence => 1,
            Step::ShortLength => 2,
            Step::LongLength => 4,
            Step::CompactLength
            | Step::TagCount
            | Step::TagNumber
            | Step::TagSize
            | Step::Field
            | Step::Tail => {
                if self.have == 4 && byte > 0x0f {
                    return Err(Malformed::Varint { what: self.what(), at: self.at() });
                }
                self.number |= u32::from(byte & 0x7f).wrapping_shl(u32::from(self.have).saturating_mul(7));
                self.have = self.have.saturating_add(1);
                return Ok((byte & 0x80 == 0).then(|| self.take_number()));
            }
        };
        self.number = self.number.wrapping_shl(8) | u32::from(byte);
        self.have = self.have.saturating_add(1);
        Ok((self.have == width).then(|| self.take_number()))
    }

    fn take_number(&mut self) -> u32 {
        self.have = 0;
        std::mem::take(&mut self.number)
    }

    /// Acts on a number that has become whole.
    pub(super) fn number<L: Listen>(&mut self, number: u32) -> Result<(), Malformed> {
        match self.step {
            Step::ShortLength => {
                let length = u16::try_from(number).unwrap_or(u16::MAX).cast_signed();
                self.classic_length::<L>(i32::from(length))
            }
            Step::LongLength => self.classic_length::<L>(number.cast_signed()),
            Step::CompactLength => match number.checked_sub(1) {
                None => self.null::<L>(),
                Some(length) if i32::try_from(length).is_ok() => self.length::<L>(length),
                Some(count) => Err(Malformed::Count { what: self.what(), count, at: self.at() }),
            },
            Step::Presence if number > 0x7f => self.null::<L>(),
            Step::Presence => match self.field().map(|field| field.kind) {
                Some(Kind::Struct(fields)) => self.enter(fields, 1),
                Some(_) | None => Ok(()),
            },
            Step::TagCount => {
                self.top.tags_left = u16::try_from(number)
                    .ok()
                    .filter(|_| number <= TAGS_MAX)
                    .ok_or(Malformed::Count { what: "tag section", count: number, at: self.at() })?;
                self.top.in_tags = true;
                self.next_tag()
            }
            Step::TagNumber => {
                self.tag = number;
                self.step = Step::TagSize;
                Ok(())
            }
            Step::TagSize => self.tag_content(number),
            Step::Field | Step::Tail => Ok(()),
        }
    }

    fn classic_length<L: Listen>(&mut self, length: i32) -> Result<(), Malformed> {
        match u32::try_from(length) {
            Ok(length) => self.length::<L>(length),
            Err(_) if length == -1 => self.null::<L>(),
            Err(_) => Err(Malformed::Negative { what: self.what(), length, at: self.at() }),
        }
    }

    fn null<L: Listen>(&mut self) -> Result<(), Malformed> {
        let field = self.field();
        if field.is_some_and(|field| field.nullable.contains(self.version)) {
            self.step = Step::Field;
            if L::HEARS {
                self.heard = field.and_then(|field| field.heard);
            }
            return Ok(());
        }
        Err(Malformed::Null { what: self.what(), at: self.at() })
    }

    /// Acts on the length of the string, records or array that is the current field.
    fn length<L: Listen>(&mut self, length: u32) -> Result<(), Malformed> {
        self.step = Step::Field;
        let field = self.field();
        let kind = field.map(|field| field.kind);
        if let Some(Kind::Array(Kind::Struct(fields))) = kind {
            return self.enter(fields, length);
        }
        if L::HEARS {
            self.heard = field.and_then(|field| field.heard);
        }
        let width = match kind {
            Some(Kind::Array(element)) => element.width(),
            Some(_) | None => Some(1),
        };
        let width = width.ok_or(Malformed::Invalid { what: self.what(), at: self.at() })?;
        self.skip = u64::from(length).saturating_mul(u64::from(width));
        Ok(())
    }
}
