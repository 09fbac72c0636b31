//! Kafka's messages as this binary needs them, written by hand from the schemas: what is tested here must not be read
//! by the code that wrote it.

use testkit::raw::{self, HeadStyle};

/// Bytes being written, big-endian as all of Kafka is.
#[derive(Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn uvarint(mut self, mut value: usize) -> Self {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }

    /// A compact string, or the length of one plus one and its bytes.
    pub(crate) fn compact(self, bytes: impl AsRef<[u8]>) -> Self {
        self.uvarint(bytes.as_ref().len() + 1).raw(bytes.as_ref())
    }

    pub(crate) fn classic(self, text: &str) -> Self {
        self.i16(i16::try_from(text.len()).unwrap()).raw(text.as_bytes())
    }
}

/// What the scripted broker says it speaks: key, lowest and highest version.
pub(crate) const RANGES: &[(i16, i16, i16)] = &[
    (0, 0, 11),
    (1, 4, 17),
    (2, 1, 10),
    (3, 0, 12),
    (8, 2, 8),
    (9, 1, 9),
    (10, 0, 6),
    (11, 0, 5),
    (12, 0, 4),
    (16, 0, 2),
    (17, 0, 1),
    (18, 0, 4),
    (19, 2, 7),
    (22, 0, 5),
    (32, 1, 4),
    (36, 0, 2),
    (60, 0, 1),
];

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
pub(crate) const METADATA: i16 = 3;
pub(crate) const OFFSET_COMMIT: i16 = 8;
pub(crate) const FIND_COORDINATOR: i16 = 10;
pub(crate) const JOIN_GROUP: i16 = 11;
pub(crate) const HEARTBEAT: i16 = 12;
pub(crate) const API_VERSIONS: i16 = 18;

/// A classic request of an API whose body nobody reads on its way: what it carries is the test's own.
pub(crate) fn heartbeat(correlation: i32, body: &[u8]) -> Vec<u8> {
    raw::request(HEARTBEAT, 3, correlation, "test", HeadStyle::Classic, body)
}

pub(crate) fn api_versions(version: i16, correlation: i32) -> Vec<u8> {
    raw::request(API_VERSIONS, version, correlation, "test", HeadStyle::Classic, &[])
}

pub(crate) fn produce(correlation: i32, acks: i16, rest: &[u8]) -> Vec<u8> {
    let body = Bytes::default().uvarint(0).i16(acks).i32(1000).raw(rest).0;
    raw::request(PRODUCE, 9, correlation, "test", HeadStyle::Flexible, &body)
}

/// A Fetch v16 without topics, then `tail`: its tag section.
pub(crate) fn fetch(correlation: i32, tail: &[u8]) -> Vec<u8> {
    let body = Bytes::default().i32(500).i32(1).i32(1 << 20).raw(&[0]).i32(0).i32(-1);
    let body = body.uvarint(1).uvarint(1).compact("").raw(tail).0;
    raw::request(FETCH, 16, correlation, "test", HeadStyle::Flexible, &body)
}

pub(crate) fn metadata(version: i16, correlation: i32) -> Vec<u8> {
    if version >= 9 {
        let body = Bytes::default().uvarint(0).raw(&[0, 0, 0]).0;
        return raw::request(METADATA, version, correlation, "test", HeadStyle::Flexible, &body);
    }
    raw::request(METADATA, version, correlation, "test", HeadStyle::Classic, &Bytes::default().i32(-1).0)
}

/// The answer to `ApiVersions` of version 3 or 4, without features.
pub(crate) fn api_versions_answer(correlation: &[u8], ranges: &[(i16, i16, i16)]) -> Vec<u8> {
    let mut answer = Bytes::default().raw(correlation).i16(0).uvarint(ranges.len() + 1);
    for (key, min, max) in ranges {
        answer = answer.i16(*key).i16(*min).i16(*max).uvarint(0);
    }
    answer.i32(0).uvarint(0).0
}

/// The answer to `FindCoordinator` v1.
pub(crate) fn coordinator_answer(correlation: &[u8], error: i16, node: i32) -> Vec<u8> {
    let answer = Bytes::default().raw(correlation).i32(0).i16(error).i16(-1);
    answer.i32(node).classic("kafka.invalid").i32(9092).0
}

/// A broker in an answer: node, host, port.
pub(crate) type Broker = (i32, String, i32);

/// The answer to Metadata v1 or v12, without topics.
pub(crate) fn metadata_answer(correlation: &[u8], version: i16, brokers: &[Broker]) -> Vec<u8> {
    let mut answer = Bytes::default().raw(correlation);
    if version < 9 {
        answer = answer.i32(i32::try_from(brokers.len()).unwrap());
        for (node, host, port) in brokers {
            answer = answer.i32(*node).classic(host).i32(*port).i16(-1);
        }
        return answer.i32(1).i32(0).0;
    }
    answer = answer.uvarint(0).i32(0).uvarint(brokers.len() + 1);
    for (node, host, port) in brokers {
        answer = answer.i32(*node).compact(host).i32(*port).uvarint(0).uvarint(0);
    }
    answer.compact("cluster").i32(1).uvarint(1).uvarint(0).0
}

/// The answer to a Fetch v16 with one partition of so many bytes, up to its tag section; then `tail`.
pub(crate) fn fetch_answer(correlation: &[u8], records: usize, tail: &[u8]) -> Vec<u8> {
    let payload: Vec<u8> = (0..records).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let partition =
        Bytes::default().i32(0).i16(0).i64(9).i64(9).i64(0).uvarint(0).i32(-1).compact(payload).uvarint(0);
    let topics = Bytes::default().raw(&[7; 16]).uvarint(2).raw(&partition.0).uvarint(0);
    Bytes::default().raw(correlation).uvarint(0).i32(0).i16(0).i32(0).uvarint(2).raw(&topics.0).raw(tail).0
}

/// The tag section of an answer that names these brokers in `NodeEndpoints`.
pub(crate) fn endpoints(brokers: &[Broker]) -> Vec<u8> {
    let mut field = Bytes::default().uvarint(brokers.len() + 1);
    for (node, host, port) in brokers {
        field = field.i32(*node).compact(host).i32(*port).uvarint(0).uvarint(0);
    }
    Bytes::default().uvarint(1).uvarint(0).uvarint(field.0.len()).raw(&field.0).0
}
