//! Everything random in these tests comes from one seed, so that proptest can repeat it.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use wire::address::{Advertised, Book, NodeId};

/// A part of every broker's own name, and of nothing else in these tests.
pub const SECRET: &str = "internal";

/// Node ids in these tests are below this.
pub const NODES: u64 = 6;

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    pub fn count(&mut self, limit: u64) -> usize {
        usize::try_from(self.below(limit)).unwrap()
    }

    pub fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn i8(&mut self) -> i8 {
        self.roll() as i8
    }

    pub fn i16(&mut self) -> i16 {
        self.roll() as i16
    }

    /// An error code: often none, and sometimes one with a byte that is 0.
    pub fn code(&mut self) -> i16 {
        [0, 0, 0, 1, 6, 0x0100, -1][self.count(7)]
    }

    pub fn i32(&mut self) -> i32 {
        self.roll() as i32
    }

    pub fn i64(&mut self) -> i64 {
        self.roll().cast_signed()
    }

    pub fn uuid(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(self.roll(), self.roll())
    }

    pub fn node(&mut self) -> i32 {
        i32::try_from(self.below(NODES)).unwrap()
    }

    pub fn bytes(&mut self) -> Bytes {
        let long = self.below(8) == 0;
        let length = self.count(if long { 20_000 } else { 40 });
        (0..length).map(|_| self.roll() as u8).collect::<Vec<u8>>().into()
    }

    /// Never empty, and rarely so long that its length takes two bytes.
    pub fn text(&mut self) -> StrBytes {
        let long = self.below(16) == 0;
        let length = 1 + self.count(if long { 300 } else { 12 });
        let text: String =
            (0..length).map(|_| char::from(b'o' + u8::try_from(self.below(8)).unwrap())).collect();
        text.into()
    }

    pub fn maybe_text(&mut self) -> Option<StrBytes> {
        self.yes().then(|| self.text())
    }

    pub fn host(&mut self) -> StrBytes {
        format!("{}.{SECRET}", self.text()).into()
    }

    pub fn port(&mut self) -> i32 {
        1 + i32::try_from(self.below(65_535)).unwrap()
    }

    /// Tags that Kafka does not know, in one of four flexible structures.
    pub fn tags(&mut self, flexible: bool) -> BTreeMap<i32, Bytes> {
        if !flexible || self.below(4) > 0 {
            return BTreeMap::new();
        }
        (0..=self.below(3))
            .map(|_| {
                let number =
                    if self.below(4) == 0 { 127 } else { 20 + i32::try_from(self.below(200)).unwrap() };
                (number, self.bytes())
            })
            .collect()
    }

    /// Addresses for most of the nodes, with hosts that are shorter or longer than the brokers' own.
    pub fn book(&mut self) -> Book {
        let host = self.text();
        let all = self.yes();
        let nodes = (0..i32::try_from(NODES).unwrap()).filter(|_| all || self.yes()).collect::<Vec<_>>();
        Book::new(nodes.into_iter().map(|node| {
            let port = u16::try_from(self.port()).unwrap();
            (NodeId(node), Advertised { host: host.as_str().into(), port })
        }))
    }
}

/// Whether a broker's own name is anywhere in these bytes.
pub fn leaks(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}
