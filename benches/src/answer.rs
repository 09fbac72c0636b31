//! What the sink answers. Layouts after Kafka's own schemas.

mod metadata;

use anyhow::{Context, Result, bail, ensure};

use crate::ask::{API_VERSIONS, FETCH, METADATA, PRODUCE, SASL_AUTHENTICATE, SASL_HANDSHAKE, TOPIC};
use crate::bytes::{Put, Take, seal};

pub use metadata::Cluster;

/// Enough of a request's beginning to answer it.
pub const HEAD_BYTES: usize = 2048;

/// What is spoken: key, lowest and highest version.
const SPOKEN: [(i16, i16, i16); 6] = [
    (PRODUCE, 9, 12),
    (FETCH, 12, 17),
    (METADATA, 0, 12),
    (SASL_HANDSHAKE, 0, 1),
    (API_VERSIONS, 0, 4),
    (SASL_AUTHENTICATE, 0, 2),
];

const UNSUPPORTED_VERSION: i16 = 35;

/// What to send back.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// `records_bytes` of canned records, then `tail` bytes of zero, follow what was appended.
    Records {
        /// Bytes of records.
        records_bytes: usize,
        /// Bytes of zero behind them.
        tail: usize,
    },
    /// What was appended is all.
    Whole,
    /// Nothing: a Produce with acks=0.
    None,
}

/// Reads the beginning `head` of a request frame and appends its answer to `out`, size first.
pub fn answer(cluster: &Cluster, size: usize, head: &[u8], out: &mut Vec<u8>) -> Result<Answer> {
    let mut take = Take::new(head);
    let (key, version, correlation) = (take.i16()?, take.i16()?, take.i32()?);
    take.string(false)?;
    let begin = out.len();
    out.put_i32(0);
    out.put_i32(correlation);
    let spoken = SPOKEN.iter().any(|&(spoken, min, max)| spoken == key && (min..=max).contains(&version));
    let answer = match key {
        API_VERSIONS => {
            put_api_versions(out, if spoken { version } else { 0 }, spoken);
            Answer::Whole
        }
        _ if !spoken => bail!("key {key} version {version} is not spoken here"),
        PRODUCE => {
            let acks = read_produce(&mut take, size)?;
            put_produce(out);
            if acks == 0 { Answer::None } else { Answer::Whole }
        }
        FETCH => {
            let records_bytes = read_fetch(&mut take, version)?;
            put_fetch(out, version, records_bytes);
            Answer::Records { records_bytes, tail: 3 }
        }
        METADATA => {
            metadata::put(out, cluster, version, metadata::asked(take, version)?)?;
            Answer::Whole
        }
        SASL_HANDSHAKE => {
            out.put_i16(0);
            out.put_count(1, false);
            out.put_string("PLAIN", false);
            Answer::Whole
        }
        _ => {
            put_authenticated(out, version);
            Answer::Whole
        }
    };
    match answer {
        Answer::None => out.truncate(begin),
        Answer::Whole | Answer::Records { .. } => {
            let (records, tail) = match answer {
                Answer::Records { records_bytes, tail } => (records_bytes, tail),
                Answer::Whole | Answer::None => (0, 0),
            };
            let frame = out.get_mut(begin..).unwrap_or_default();
            let size = frame.len() - 4 + records + tail;
            seal(frame, size);
        }
    }
    Ok(answer)
}

fn put_api_versions(out: &mut Vec<u8>, version: i16, spoken: bool) {
    let flexible = version >= 3;
    let listed = SPOKEN.iter().filter(|(key, ..)| spoken || *key == API_VERSIONS);
    out.put_i16(if spoken { 0 } else { UNSUPPORTED_VERSION });
    out.put_count(listed.clone().count(), flexible);
    for &(key, min, max) in listed {
        out.put_i16(key);
        out.put_i16(min);
        out.put_i16(max);
        out.put_tags(flexible);
    }
    if version >= 1 {
        out.put_i32(0);
    }
    out.put_tags(flexible);
}

/// The acks of a Produce of one partition.
fn read_produce(take: &mut Take<'_>, size: usize) -> Result<i16> {
    take.tags(true)?;
    take.string(true)?;
    let acks = take.i16()?;
    take.i32()?;
    ensure!(take.count(true)? == Some(1), "Produce of more than one topic");
    take.string(true)?;
    ensure!(take.count(true)? == Some(1), "Produce of more than one partition");
    take.i32()?;
    let records = take.count(true)?.context("null records")?;
    ensure!(take.taken() + records + 3 == size, "{records} bytes of records in a frame of {size}");
    Ok(acks)
}

fn put_produce(out: &mut Vec<u8>) {
    out.put_tags(true);
    out.put_count(1, true);
    out.put_string(TOPIC, true);
    out.put_count(1, true);
    out.put_i32(0);
    out.put_i16(0);
    out.put_i64(0);
    out.put_i64(-1);
    out.put_i64(0);
    out.put_count(0, true);
    out.put_null_string(true);
    out.put_tags(true);
    out.put_tags(true);
    out.put_i32(0);
    out.put_tags(true);
}

/// The `partition_max_bytes` of a Fetch of one partition.
fn read_fetch(take: &mut Take<'_>, version: i16) -> Result<usize> {
    take.tags(true)?;
    if version < 15 {
        let replica = take.i32()?;
        ensure!(replica == -1, "replica id {replica}");
    }
    take.bytes(4 + 4 + 4 + 1 + 4 + 4)?;
    ensure!(take.count(true)? == Some(1), "Fetch of more than one topic");
    if version >= 13 {
        take.bytes(16)?;
    } else {
        take.string(true)?;
    }
    ensure!(take.count(true)? == Some(1), "Fetch of more than one partition");
    take.bytes(4 + 4 + 8 + 4 + 8)?;
    Ok(usize::try_from(take.i32()?)?)
}

fn put_fetch(out: &mut Vec<u8>, version: i16, records_bytes: usize) {
    out.put_tags(true);
    out.put_i32(0);
    out.put_i16(0);
    out.put_i32(0);
    out.put_count(1, true);
    crate::ask::put_topic(out, version >= 13);
    out.put_count(1, true);
    out.put_i32(0);
    out.put_i16(0);
    out.put_i64(1 << 40);
    out.put_i64(1 << 40);
    out.put_i64(0);
    out.put_uvarint(0);
    out.put_i32(-1);
    out.put_count(records_bytes, true);
}

fn put_authenticated(out: &mut Vec<u8>, version: i16) {
    let flexible = version >= 2;
    out.put_tags(flexible);
    out.put_i16(0);
    out.put_null_string(flexible);
    out.put_count(0, flexible);
    if version >= 1 {
        out.put_i64(0);
    }
    out.put_tags(flexible);
}
