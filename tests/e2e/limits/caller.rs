//! Raw clients that always have their next request ready: how much of it goes through is up to the limits alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA512, digest};
use testkit::raw::{self, HeadStyle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;
use wire::Api;

/// Longer than any limit and any machine lets an answer wait.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where a request with its size has its correlation id.
const CORRELATION_AT: usize = 8;

/// One connection, logged in, on its way to a broker.
pub(super) struct Caller {
    stream: TcpStream,
    next: i32,
}

/// Whether those who ask again and again are to go on: until this is dropped, whatever happens.
#[derive(Default)]
pub(super) struct Busy(Arc<AtomicBool>);

/// What they look at.
#[derive(Clone)]
pub(super) struct StaysBusy(Arc<AtomicBool>);

impl Busy {
    pub(super) fn sign(&self) -> StaysBusy {
        StaysBusy(Arc::clone(&self.0))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl StaysBusy {
    pub(super) fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// A request that may be asked again and again.
#[derive(Clone)]
pub(super) struct Question {
    api: Api,
    frame: Vec<u8>,
    /// Where its answer has an error: so far from its beginning, or from its end.
    error: Place,
}

#[derive(Clone, Copy)]
enum Place {
    FromFront(usize),
    FromEnd(usize),
}

/// Lets many of them do something on this thread, until all are done.
pub(super) fn all<F: Future<Output: 'static> + 'static>(
    callers: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let set = LocalSet::new();
    let callers: Vec<_> = callers.into_iter().map(|caller| set.spawn_local(caller)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = async {
        let mut ended = Vec::new();
        for caller in callers {
            ended.push(caller.await.unwrap());
        }
        ended
    };
    set.block_on(&runtime, all)
}

impl Caller {
    pub(super) async fn connect(address: &str, user: &str, password: &str) -> io::Result<Caller> {
        let mut caller = Caller { stream: TcpStream::connect(address).await?, next: 0 };
        caller.stream.set_nodelay(true)?;
        let mut mechanism = Vec::new();
        raw::string(&mut mechanism, "PLAIN");
        caller.ask_plainly(Api::SaslHandshake, &mechanism).await?;
        let mut token = Vec::new();
        bytes(&mut token, format!("\0{user}\0{password}").as_bytes());
        let answer = caller.ask_plainly(Api::SaslAuthenticate, &token).await?;
        if answer.get(4..6) != Some(&[0, 0]) {
            return Err(io::Error::other(format!("no login as {user}: {answer:?}")));
        }
        // About no topic. With this the gateway has reached the broker: what is asked next goes as soon as it may.
        caller.ask_plainly(Api::Metadata, &0_i32.to_be_bytes()).await?;
        Ok(caller)
    }

    /// Version 1 of something.
    async fn ask_plainly(&mut self, api: Api, body: &[u8]) -> io::Result<Vec<u8>> {
        let request = raw::request(api.key(), 1, 0, "caller", HeadStyle::Classic, body);
        self.stream.write_all(&raw::sized(&request)).await?;
        self.next_answer().await
    }

    async fn next_answer(&mut self) -> io::Result<Vec<u8>> {
        let answer = async {
            let size = self.stream.read_i32().await?;
            let mut answer = vec![0; usize::try_from(size).unwrap()];
            self.stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        timeout(PATIENCE, answer).await?
    }

    /// Asks without waiting for the answer.
    pub(super) async fn send(&mut self, question: &Question) -> io::Result<()> {
        let mut frame = question.frame.clone();
        self.next += 1;
        frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&self.next.to_be_bytes());
        self.stream.write_all(&frame).await
    }

    /// The next answer, which must be a good one.
    pub(super) async fn receive(&mut self, question: &Question) -> io::Result<()> {
        let answer = self.next_answer().await?;
        let at = match question.error {
            Place::FromFront(at) => at,
            Place::FromEnd(left) => answer.len() - left,
        };
        match answer.get(at..at + 2) {
            Some([0, 0]) => Ok(()),
            error => Err(io::Error::other(format!("{:?} is answered with error {error:?}", question.api))),
        }
    }

    pub(super) async fn ask(&mut self, question: &Question) -> io::Result<()> {
        self.send(question).await?;
        self.receive(question).await
    }
}

impl Question {
    /// Produce v7 of one batch, acknowledged by its leader.
    pub(super) fn produce(client_id: &str, topic: &str, partition: i32, batch: &[u8]) -> Question {
        let mut body = (-1_i16).to_be_bytes().to_vec();
        body.extend(1_i16.to_be_bytes());
        body.extend(10_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        raw::string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        bytes(&mut body, batch);
        // Correlation id, one topic's name, one partition's index.
        let error = Place::FromFront(4 + 4 + 2 + topic.len() + 4 + 4);
        Question::new(Api::Produce, 7, client_id, error, &body)
    }

    /// Fetch v4 from the beginning of a partition.
    pub(super) fn fetch(client_id: &str, topic: &str, partition: i32, bytes_max: i32) -> Question {
        let mut body = Vec::new();
        // Replica, longest wait, least and most bytes, isolation.
        for value in [-1, 100, 1, bytes_max] {
            body.extend(value.to_be_bytes());
        }
        body.push(0);
        body.extend(1_i32.to_be_bytes());
        raw::string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(0_i64.to_be_bytes());
        body.extend(bytes_max.to_be_bytes());
        // The same behind a throttle time.
        let error = Place::FromFront(4 + 4 + 4 + 2 + topic.len() + 4 + 4);
        Question::new(Api::Fetch, 4, client_id, error, &body)
    }

    /// `OffsetFetch` v5 of all that a group has committed.
    pub(super) fn offsets(client_id: &str, group: &str) -> Question {
        let mut body = Vec::new();
        raw::string(&mut body, group);
        body.extend((-1_i32).to_be_bytes());
        Question::new(Api::OffsetFetch, 5, client_id, Place::FromEnd(2), &body)
    }

    fn new(api: Api, version: i16, client_id: &str, error: Place, body: &[u8]) -> Question {
        let frame = raw::sized(&raw::request(api.key(), version, 0, client_id, HeadStyle::Classic, body));
        Question { api, frame, error }
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

/// A batch of so many records, each of them the one that the programs of tests/clients send first: whoever reads it has seen
/// it or will.
pub(super) fn batch(records: usize, size: usize) -> Vec<u8> {
    let value = first_value(size);
    let mut held = Vec::new();
    for delta in 0..records {
        let mut record = vec![0, 0];
        varint(&mut record, delta);
        varint(&mut record, 1);
        record.push(b'0');
        varint(&mut record, value.len());
        record.extend(&value);
        record.push(0);
        varint(&mut held, record.len());
        held.extend(record);
    }
    let count = i32::try_from(records).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap().to_be_bytes();
    // Attributes and the last offset's delta, times, then no producer.
    let mut checked = 0_i16.to_be_bytes().to_vec();
    checked.extend((count - 1).to_be_bytes());
    checked.extend([now, now].concat());
    checked.extend([0xff; 14]);
    checked.extend(count.to_be_bytes());
    checked.extend(held);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend(i32::try_from(checked.len() + 9).unwrap().to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

/// What the record 0 holds.
fn first_value(size: usize) -> Vec<u8> {
    let mut value = b"0:".to_vec();
    let mut block = Vec::new();
    while value.len() < size {
        block = digest(&SHA512, &block).as_ref().to_vec();
        value.extend(&block);
    }
    value.truncate(size);
    value
}

/// Zigzag, as in records; what is written here is never negative.
fn varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// Castagnoli's, bit by bit: it is computed once per question.
fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    });
    !crc
}
