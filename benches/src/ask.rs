//! What the load asks, and how it judges the answers. Layouts after Kafka's own schemas.

use anyhow::{Context, Result, ensure};

use crate::bytes::{Put, Take, seal};

/// Key of Produce.
pub const PRODUCE: i16 = 0;
/// Key of Fetch.
pub const FETCH: i16 = 1;
/// Key of Metadata.
pub const METADATA: i16 = 3;
/// Key of `SaslHandshake`.
pub const SASL_HANDSHAKE: i16 = 17;
/// Key of `ApiVersions`.
pub const API_VERSIONS: i16 = 18;
/// Key of `SaslAuthenticate`.
pub const SASL_AUTHENTICATE: i16 = 36;

/// The one topic that has records.
pub const TOPIC: &str = "bench";
/// A topic that only Metadata knows, with [`LARGE_PARTITIONS`].
pub const LARGE_TOPIC: &str = "bench-large";
/// How many they are.
pub const LARGE_PARTITIONS: i32 = 10_000;
/// Its id.
pub const TOPIC_ID: [u8; 16] = *b"portcullis-bench";

/// Enough of an answer's beginning to judge it.
pub const HEAD_BYTES: usize = 256;

/// A partition in Metadata 12 without a replica.
const PARTITION_BYTES_MIN: usize = 18;
const CLIENT_ID: &str = "bench-load";
const API_VERSIONS_VERSION: i16 = 4;
/// The version of Metadata that is asked.
pub const METADATA_VERSION: i16 = 12;

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Records towards the broker.
    Produce,
    /// Records from the broker.
    Fetch,
    /// Where the partitions of the large topic are.
    Metadata,
}

/// The same request again and again.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Its direction.
    pub stream: Stream,
    /// Produce 9 to 12, Fetch 12 to 17, Metadata 12.
    pub version: i16,
    /// Bytes of records in each request or answer; of Metadata none.
    pub payload_bytes: usize,
}

impl Work {
    fn key(self) -> i16 {
        match self.stream {
            Stream::Produce => PRODUCE,
            Stream::Fetch => FETCH,
            Stream::Metadata => METADATA,
        }
    }
}

/// A request ready to be sent any number of times: `head`, then records, then `tail`.
#[derive(Clone, Debug)]
pub struct Question {
    /// From the size to the length of the records; of a Fetch all of it.
    pub head: Vec<u8>,
    /// Bytes of records between head and tail.
    pub records_bytes: usize,
    /// What follows the records.
    pub tail: Vec<u8>,
}

impl Question {
    /// Writes a correlation id into the head.
    pub fn number(&mut self, correlation: i32) {
        if let Some(place) = self.head.get_mut(8..12) {
            place.copy_from_slice(&correlation.to_be_bytes());
        }
    }
}

/// The request of this work.
pub fn question(work: Work) -> Result<Question> {
    let mut head = begin(work.key(), work.version, 0, true);
    let (records_bytes, tail) = match work.stream {
        Stream::Produce => {
            ensure!((9..=12).contains(&work.version), "Produce {} is not spoken here", work.version);
            head.put_null_string(true);
            head.put_i16(1);
            head.put_i32(30_000);
            head.put_count(1, true);
            head.put_string(TOPIC, true);
            head.put_count(1, true);
            head.put_i32(0);
            head.put_uvarint(work.payload_bytes + 1);
            (work.payload_bytes, vec![0; 3])
        }
        Stream::Fetch => {
            ensure!((12..=17).contains(&work.version), "Fetch {} is not spoken here", work.version);
            put_fetch(&mut head, work)?;
            (0, Vec::new())
        }
        Stream::Metadata => {
            ensure!(work.version == METADATA_VERSION, "Metadata {} is not spoken here", work.version);
            head.put_count(1, true);
            head.extend_from_slice(&[0; 16]);
            head.put_string(LARGE_TOPIC, true);
            head.put_tags(true);
            put_metadata_end(&mut head);
            (0, Vec::new())
        }
    };
    let size = head.len() - 4 + records_bytes + tail.len();
    seal(&mut head, size);
    Ok(Question { head, records_bytes, tail })
}

fn put_fetch(frame: &mut Vec<u8>, work: Work) -> Result<()> {
    let bytes_max = i32::try_from(work.payload_bytes)?;
    if work.version < 15 {
        frame.put_i32(-1);
    }
    frame.put_i32(500);
    frame.put_i32(1);
    frame.put_i32(bytes_max);
    frame.put_i8(0);
    frame.put_i32(0);
    frame.put_i32(-1);
    frame.put_count(1, true);
    put_topic(frame, work.version >= 13);
    frame.put_count(1, true);
    frame.put_i32(0);
    frame.put_i32(-1);
    frame.put_i64(0);
    frame.put_i32(-1);
    frame.put_i64(-1);
    frame.put_i32(bytes_max);
    frame.put_tags(true);
    frame.put_tags(true);
    frame.put_count(0, true);
    frame.put_string("", true);
    frame.put_tags(true);
    Ok(())
}

/// The topic by name, or by id.
pub fn put_topic(frame: &mut Vec<u8>, by_id: bool) {
    if by_id {
        frame.extend_from_slice(&TOPIC_ID);
    } else {
        frame.put_string(TOPIC, true);
    }
}

fn begin(key: i16, version: i16, correlation: i32, flexible: bool) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation);
    frame.put_string(CLIENT_ID, false);
    frame.put_tags(flexible);
    frame
}

fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let size = frame.len() - 4;
    seal(&mut frame, size);
    frame
}

/// `ApiVersions` 4.
pub fn api_versions(correlation: i32) -> Vec<u8> {
    let mut frame = begin(API_VERSIONS, API_VERSIONS_VERSION, correlation, true);
    frame.put_string("portcullis-bench", true);
    frame.put_string("1", true);
    frame.put_tags(true);
    sealed(frame)
}

/// `SaslHandshake` 1 for PLAIN.
pub fn sasl_handshake(correlation: i32) -> Vec<u8> {
    let mut frame = begin(SASL_HANDSHAKE, 1, correlation, false);
    frame.put_string("PLAIN", false);
    sealed(frame)
}

/// `SaslAuthenticate` 2 with a token of PLAIN.
pub fn sasl_authenticate(correlation: i32, user: &str, password: &str) -> Vec<u8> {
    let mut frame = begin(SASL_AUTHENTICATE, 2, correlation, true);
    frame.put_string(&format!("\0{user}\0{password}"), true);
    frame.put_tags(true);
    sealed(frame)
}

/// Metadata 12 of all topics.
pub fn metadata(correlation: i32) -> Vec<u8> {
    let mut frame = begin(METADATA, METADATA_VERSION, correlation, true);
    frame.put_uvarint(0);
    put_metadata_end(&mut frame);
    sealed(frame)
}

/// No topic is made, and nobody asks what is allowed.
fn put_metadata_end(frame: &mut Vec<u8>) {
    frame.put_i8(0);
    frame.put_i8(0);
    frame.put_tags(true);
}

fn answer_begin(head: &[u8], correlation: i32, flexible: bool) -> Result<Take<'_>> {
    let mut take = Take::new(head);
    let found = take.i32()?;
    ensure!(found == correlation, "correlation id {found} in place of {correlation}");
    take.tags(flexible)?;
    Ok(take)
}

/// Judges the answer to `api_versions`: no error, and `work`'s version is offered.
pub fn judge_api_versions(frame: &[u8], correlation: i32, work: Option<Work>) -> Result<()> {
    let mut take = answer_begin(frame, correlation, false)?;
    let error = take.i16()?;
    ensure!(error == 0, "ApiVersions is answered with error {error}");
    let mut offered = false;
    for _ in 0..take.count(true)?.context("no array of keys")? {
        let (key, min, max) = (take.i16()?, take.i16()?, take.i16()?);
        take.tags(true)?;
        offered |= work.is_some_and(|work| work.key() == key && (min..=max).contains(&work.version));
    }
    take.i32()?;
    take.tags(true)?;
    if let Some(work) = work {
        ensure!(offered, "{:?} {} is not offered", work.stream, work.version);
    }
    Ok(())
}

/// Judges the answer to `sasl_handshake` (`flexible` false) or `sasl_authenticate` (true).
pub fn judge_sasl(frame: &[u8], correlation: i32, flexible: bool) -> Result<()> {
    let error = answer_begin(frame, correlation, flexible)?.i16()?;
    ensure!(error == 0, "SASL is answered with error {error}");
    Ok(())
}

/// Judges the answer to `metadata`: there are brokers. Tells the port of the first.
pub fn judge_metadata(frame: &[u8], correlation: i32) -> Result<i32> {
    let mut take = answer_begin(frame, correlation, true)?;
    take.i32()?;
    let brokers = take.count(true)?.unwrap_or(0);
    ensure!(brokers > 0, "Metadata names no broker");
    take.i32()?;
    take.string(true)?;
    take.i32()
}

/// Judges the answer to `question` by its size and its first `HEAD_BYTES` bytes: no error, and in a Fetch as many
/// bytes of records as were asked for, ending where the frame does but for tags.
pub fn judge(work: Work, size: usize, head: &[u8], correlation: i32) -> Result<()> {
    let take = answer_begin(head, correlation, true)?;
    match work.stream {
        Stream::Produce => judge_produce(take),
        Stream::Fetch => judge_fetch(work, size, take),
        Stream::Metadata => judge_partitions(size, take),
    }
}

fn judge_produce(mut take: Take<'_>) -> Result<()> {
    ensure!(take.count(true)? == Some(1), "not one topic");
    take.string(true)?;
    ensure!(take.count(true)? == Some(1), "not one partition");
    take.i32()?;
    let error = take.i16()?;
    ensure!(error == 0, "Produce is answered with error {error}");
    Ok(())
}

fn judge_partitions(size: usize, mut take: Take<'_>) -> Result<()> {
    take.i32()?;
    for _ in 0..take.count(true)?.context("no array of brokers")? {
        take.i32()?;
        take.string(true)?;
        take.i32()?;
        take.string(true)?;
        take.tags(true)?;
    }
    take.string(true)?;
    take.i32()?;
    ensure!(take.count(true)? == Some(1), "not one topic");
    let error = take.i16()?;
    ensure!(error == 0, "the topic is answered with error {error}");
    take.string(true)?;
    take.bytes(16)?;
    take.i8()?;
    let partitions = take.count(true)?.context("no array of partitions")?;
    ensure!(partitions == usize::try_from(LARGE_PARTITIONS)?, "{partitions} partitions");
    ensure!(size > partitions * PARTITION_BYTES_MIN, "{partitions} partitions in {size} bytes");
    Ok(())
}

fn judge_fetch(work: Work, size: usize, mut take: Take<'_>) -> Result<()> {
    take.i32()?;
    let error = take.i16()?;
    ensure!(error == 0, "Fetch is answered with error {error}");
    take.i32()?;
    ensure!(take.count(true)? == Some(1), "not one topic");
    if work.version >= 13 {
        take.bytes(16)?;
    } else {
        take.string(true)?;
    }
    ensure!(take.count(true)? == Some(1), "not one partition");
    take.i32()?;
    let error = take.i16()?;
    ensure!(error == 0, "the partition is answered with error {error}");
    take.bytes(3 * 8)?;
    ensure!(take.count(true)?.unwrap_or(0) == 0, "aborted transactions out of nowhere");
    take.i32()?;
    let records = take.count(true)?.context("no records")?;
    ensure!(records == work.payload_bytes, "{records} bytes of records");
    let tail = size.checked_sub(take.taken() + records).context("records end behind their frame")?;
    ensure!((3..=1024).contains(&tail), "{tail} bytes behind the records");
    Ok(())
}
