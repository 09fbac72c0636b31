//! What is told of a message while it passes: its topics, partitions, bytes and records, as the oracle put them in.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::{FetchResponse, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;
use wire::address::CorrelationId;
use wire::api::Api;
use wire::layout::Message;
use wire::meter::{ECHO_BYTES_MAX, Echo, NAME_BYTES_MAX, Topic, Visit};
use wire::refuse::{ITEMS_WITH_WORDS_MAX, produce};
use wire::walk::{Fed, Walker};

use crate::dice::Dice;
use crate::messages::old_fetch;
use crate::messages::{self, decode, encode, head};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Name(Vec<u8>),
    Id([u8; 16]),
    Partition(i32),
    Records(u64, u64),
}

#[derive(Default)]
struct Diary(Vec<Told>);

impl Visit for Diary {
    fn topic(&mut self, topic: Topic<'_>) {
        self.0.push(match topic {
            Topic::Name(name) => Told::Name(name.to_vec()),
            Topic::Id(id) => Told::Id(id),
        });
    }

    fn partition(&mut self, index: i32) {
        self.0.push(Told::Partition(index));
    }

    fn records(&mut self, bytes: u64, records: u64) {
        self.0.push(Told::Records(bytes, records));
    }
}

/// Feeds `bytes` in pieces up to their tail, both to a visitor and to nobody, who must agree on the way.
fn told(mut walker: Walker, bytes: &[u8], mut piece: impl FnMut() -> usize) -> Vec<Told> {
    let (mut alone, mut diary, mut at) = (walker.clone(), Diary::default(), 0);
    while at < bytes.len() {
        let end = bytes.len().min(at + piece());
        let fed = walker.feed_to(&bytes[at..end], &mut diary);
        assert_eq!(fed, alone.feed(&bytes[at..end]));
        assert_eq!((walker.in_tail(), walker.errors()), (alone.in_tail(), alone.errors()));
        if fed != Ok(Fed::All) {
            break;
        }
        at = end;
    }
    diary.0
}

fn tells(dice: &mut Dice, walker: &Walker, bytes: &[u8], wanted: &[Told]) {
    assert_eq!(told(walker.clone(), bytes, || usize::MAX / 2), wanted, "whole");
    assert_eq!(told(walker.clone(), bytes, || 1), wanted, "byte by byte");
    assert_eq!(told(walker.clone(), bytes, || 1 + dice.count(90)), wanted, "in pieces");
}

fn name_or_id(version: i16, name: &str, id: uuid::Uuid) -> Told {
    let name = &name.as_bytes()[..name.len().min(NAME_BYTES_MAX + 1)];
    if version >= 13 { Told::Id(id.into_bytes()) } else { Told::Name(name.to_vec()) }
}

fn record(dice: &mut Dice, offset: usize) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: i64::try_from(offset).unwrap(),
        sequence: i32::try_from(offset).unwrap(),
        timestamp: 0,
        key: None,
        value: Some(vec![b'v'; 20 + dice.count(200)].into()),
        headers: IndexMap::new(),
    }
}

/// Batches that the oracle wrote, now and then cut in the last one's records, and how many records it reads in them.
fn batches(dice: &mut Dice) -> (Option<Bytes>, Told) {
    if dice.below(4) == 0 {
        return (None, Told::Records(0, 0));
    }
    let mut bytes = BytesMut::new();
    for _ in 0..dice.below(4) {
        let records: Vec<Record> = (0..=dice.count(5)).map(|at| record(dice, at)).collect();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    }
    let mut bytes = bytes.freeze();
    let headers = RecordBatchDecoder::decode_batch_info(&mut bytes.clone()).unwrap();
    let records = headers.iter().map(|header| u64::try_from(header.record_count).unwrap()).sum();
    if dice.yes() && !bytes.is_empty() {
        bytes.truncate(bytes.len() - dice.count(20));
    }
    let told = Told::Records(bytes.len() as u64, records);
    (Some(bytes), told)
}

fn produce_request(dice: &mut Dice, version: i16) -> (ProduceRequest, Vec<Told>) {
    let (mut message, mut wanted) = (messages::produce_request(dice, version), Vec::new());
    for topic in &mut message.topic_data {
        wanted.push(name_or_id(version, &topic.name, topic.topic_id));
        for partition in &mut topic.partition_data {
            let (bytes, records) = batches(dice);
            partition.records = bytes;
            wanted.extend([Told::Partition(partition.index), records]);
        }
    }
    (message, wanted)
}

fn fetch_response(dice: &mut Dice, version: i16) -> (FetchResponse, Vec<Told>) {
    let (mut message, mut wanted) = (messages::fetch_response(dice, version), Vec::new());
    for topic in &mut message.responses {
        wanted.push(name_or_id(version, &topic.topic, topic.topic_id));
        for partition in &mut topic.partitions {
            let (bytes, records) = batches(dice);
            partition.records = bytes;
            wanted.extend([Told::Partition(partition.partition_index), records]);
        }
    }
    (message, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_produce_request_tells_what_the_oracle_put_in(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let (message, wanted) = produce_request(dice, version);
            tells(dice, &Walker::produce_request(version), &encode(&message, version), &wanted);
        }
        // The oracle begins with version 3; before, there was no transactional id.
        let (mut message, wanted) = produce_request(dice, 3);
        message.transactional_id = None;
        for version in 0..=2 {
            tells(dice, &Walker::produce_request(version), &encode(&message, 3)[2..], &wanted);
        }
    }

    #[test]
    fn an_answer_of_fetch_tells_what_the_oracle_put_in(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 0..=18 {
            let (message, wanted) = fetch_response(dice, version);
            let mut frame = head(dice, version >= 12);
            frame.extend(if version >= 4 { encode(&message, version) } else { old_fetch(&message, version) });
            tells(dice, &Walker::answer(Api::Fetch, version).unwrap(), &frame, &wanted);
        }
        let (mut message, mut wanted) = (messages::share_fetch_response(dice), Vec::new());
        for topic in &mut message.responses {
            wanted.push(Told::Id(topic.topic_id.into_bytes()));
            for partition in &mut topic.partitions {
                let (bytes, records) = batches(dice);
                wanted.extend([Told::Partition(partition.partition_index), bytes.as_ref().map_or(Told::Records(0, 0), |_| records)]);
                partition.records = Some(bytes.unwrap_or_default());
            }
        }
        // The oracle stops at version 1; version 2 has the same fields.
        for version in 1..=2 {
            let frame = [head(dice, true), encode(&message, 1)].concat();
            tells(dice, &Walker::answer(Api::ShareFetch, version).unwrap(), &frame, &wanted);
        }
    }

    /// Whatever the bytes are, a visitor changes nothing of the walk, and the walk ends with the bytes.
    #[test]
    fn any_bytes_are_told_of_without_harm(bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..300), seed: u64) {
        let dice = &mut Dice(seed);
        for message in Message::ALL {
            let row = message.api().row();
            for version in row.min..=row.max {
                let whole = told(Walker::body(message, version), &bytes, || usize::MAX / 2);
                let pieces = told(Walker::body(message, version), &bytes, || 1 + dice.count(9));
                prop_assert_eq!(whole, pieces);
            }
        }
    }

    /// Batches with any byte changed, and any bytes for batches: the field ends where it said, and is told once.
    #[test]
    fn any_records_end_where_their_field_does(noise in prop::collection::vec(any::<u8>(), 0..200), magic in 0_u8..4, seed: u64) {
        let dice = &mut Dice(seed);
        let mut noise = noise;
        if let Some(place) = noise.get_mut(16) {
            *place = magic;
        }
        let mut changed = batches(dice).0.unwrap_or_default().to_vec();
        for _ in 0..dice.count(4) {
            let at = dice.count(70);
            if let Some(place) = changed.get_mut(at) {
                *place = dice.roll() as u8;
            }
        }
        for records in [noise, changed] {
            let request = old_request(b"t", &records);
            let whole = told(Walker::produce_request(0), &request, || usize::MAX / 2);
            prop_assert!(matches!(whole.last(), Some(Told::Records(bytes, _)) if *bytes == records.len() as u64));
            tells(dice, &Walker::produce_request(0), &request, &whole);
        }
    }
}

/// Version 0: one topic with one partition.
fn old_request(name: &[u8], records: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, 9, 0, 0, 0, 1];
    bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend(name);
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 7]);
    bytes.extend(u32::try_from(records.len()).unwrap().to_be_bytes());
    bytes.extend(records);
    bytes
}

fn counted(records: &[u8]) -> u64 {
    let told = told(Walker::produce_request(0), &old_request(b"t", records), || usize::MAX / 2);
    let Some(Told::Records(bytes, count)) = told.last() else { panic!("{told:?}") };
    assert_eq!(*bytes, records.len() as u64);
    *count
}

/// An entry of the log as far as it is looked at: offset, size, four bytes, magic, then `rest` zeros.
fn entry(size: i32, magic: u8, rest: usize) -> Vec<u8> {
    [[0; 8].as_slice(), &size.to_be_bytes(), &[0; 4], &[magic], &vec![0; rest]].concat()
}

fn batch(size: i32, records: i32) -> Vec<u8> {
    let mut bytes = entry(size, 2, 44);
    bytes[57..61].copy_from_slice(&records.to_be_bytes());
    bytes
}

#[test]
fn old_messages_count_one_by_one() {
    let three = [entry(14, 0, 9), entry(22, 1, 17), entry(30, 1, 25)].concat();
    assert_eq!(counted(&three), 3);
    assert_eq!(counted(&three[..three.len() - 25]), 3);
    assert_eq!(counted(&three[..three.len() - 26]), 2);
    assert_eq!(counted(&[three, batch(49, 7)].concat()), 10);
}

#[test]
fn a_batch_counts_once_its_header_is_whole() {
    let two = [batch(49, 3), batch(1_000, 5)].concat();
    assert_eq!(counted(&two), 8);
    assert_eq!(counted(&two[..two.len() - 1]), 3);
}

#[test]
fn what_cannot_be_read_ends_the_count() {
    let after = |broken: Vec<u8>| counted(&[batch(49, 3), broken, batch(49, 5)].concat());
    assert_eq!(after(batch(49, -1)), 8);
    assert_eq!(after(batch(49, i32::MIN)), 8);
    for size in [48, 0, -1, -12, i32::MIN, i32::MAX] {
        assert_eq!(after(batch(size, 0)), 3, "{size}");
    }
    for size in [13, 0, -1, i32::MIN] {
        assert_eq!(after(entry(size, 1, 9)), 3, "{size}");
    }
    assert_eq!(after(entry(i32::MAX, 1, 9)), 4);
    assert_eq!(after(entry(49, 3, 44)), 3);
    assert_eq!(
        counted(&[batch(49, i32::MAX), batch(49, i32::MAX)].concat()),
        2 * u64::from(i32::MAX.cast_unsigned())
    );
}

#[test]
fn a_name_that_is_too_long_is_nobodys() {
    for length in [0, 1, NAME_BYTES_MAX, NAME_BYTES_MAX + 1, NAME_BYTES_MAX + 2, 30_000] {
        let request = old_request(&vec![b'n'; length], &[]);
        let name = Told::Name(vec![b'n'; length.min(NAME_BYTES_MAX + 1)]);
        tells(
            &mut Dice(1),
            &Walker::produce_request(0),
            &request,
            &[name, Told::Partition(7), Told::Records(0, 0)],
        );
    }
}

/// The echo of a request, heard in pieces.
fn echo(version: i16, body: &[u8]) -> Echo {
    let (mut walker, mut echo) = (Walker::produce_request(version), Echo::new());
    for piece in body.chunks(7) {
        walker.feed_to(piece, &mut echo).unwrap();
    }
    assert!(walker.in_tail());
    echo
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_refusal_names_every_partition_of_the_request(seed: u64, code: i16, throttle_ms: i32) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let mut request = messages::produce_request(dice, version);
            for topic in &mut request.topic_data {
                let name = topic.name.as_str();
                topic.name = StrBytes::from(name[..name.len().min(NAME_BYTES_MAX)].to_owned()).into();
            }
            let echo = echo(version, &encode(&request, version));
            let frame = produce::refuse(version, CorrelationId(7), &echo, code, "too much", throttle_ms).unwrap();
            let (size, frame) = frame.split_at(4);
            prop_assert_eq!(size, u32::try_from(frame.len()).unwrap().to_be_bytes());
            let (front, body) = frame.split_at(if version >= 9 { 5 } else { 4 });
            prop_assert_eq!(front, &[0, 0, 0, 7, 0][..front.len()]);
            let answer: ProduceResponse = decode(body, version);
            prop_assert_eq!(answer.throttle_time_ms, throttle_ms);
            prop_assert!(answer.node_endpoints.is_empty());
            prop_assert_eq!(answer.responses.len(), request.topic_data.len());
            for (answer, request) in answer.responses.iter().zip(&request.topic_data) {
                prop_assert_eq!((&answer.name, answer.topic_id), (&request.name, request.topic_id));
                let asked: Vec<i32> = request.partition_data.iter().map(|partition| partition.index).collect();
                let told: Vec<i32> = answer.partition_responses.iter().map(|partition| partition.index).collect();
                prop_assert_eq!(told, asked);
                for partition in &answer.partition_responses {
                    prop_assert_eq!(partition.error_code, code);
                    let numbers = [partition.base_offset, partition.log_append_time_ms, partition.log_start_offset];
                    prop_assert_eq!(numbers, [-1; 3]);
                    prop_assert!(partition.record_errors.is_empty());
                    let words = partition.error_message.as_ref().map(StrBytes::as_str);
                    prop_assert_eq!(words, (version >= 8).then_some("too much"));
                    prop_assert_eq!(partition.current_leader.leader_id.0, -1);
                }
            }
        }
    }
}

/// The oracle begins with version 3.
#[test]
fn an_old_request_is_refused_byte_by_byte() {
    let echo = echo(0, &old_request(b"t", b""));
    let body = |version| {
        let frame = produce::refuse(version, CorrelationId(7), &echo, 19, "too much", 5).unwrap();
        frame[8..].to_vec()
    };
    let front = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 7, 0, 19];
    assert_eq!(body(0), [front.as_slice(), &[0xff; 8]].concat());
    assert_eq!(body(1), [front.as_slice(), &[0xff; 8], &[0, 0, 0, 5]].concat());
    assert_eq!(body(2), [front.as_slice(), &[0xff; 16], &[0, 0, 0, 5]].concat());
    assert!(produce::refuse(14, CorrelationId(7), &echo, 19, "", 0).is_err());
    assert!(
        produce::refuse(13, CorrelationId(7), &echo, 19, "", 0).is_err(),
        "a name where an id is asked for"
    );
}

#[test]
fn an_echo_is_whole_or_empty() {
    let mut echo = Echo::new();
    echo.topic(Topic::Name(&[b'n'; NAME_BYTES_MAX]));
    let mut partitions = 0;
    while echo.is_whole() {
        let frame = produce::refuse(8, CorrelationId(7), &echo, 19, "too much", 0).unwrap();
        assert!(frame.len() < 400 + 36 * partitions + 8 * ITEMS_WITH_WORDS_MAX as usize);
        for _ in 0..500 {
            echo.partition(i32::MAX);
        }
        partitions += 500;
    }
    assert!(partitions * 4 > ECHO_BYTES_MAX / 3 && partitions * 4 < ECHO_BYTES_MAX, "{partitions}");
    assert_eq!(echo.topics().len(), 0);
    assert!(produce::refuse(8, CorrelationId(7), &echo, 19, "", 0).is_err());
    echo.topic(Topic::Id([1; 16]));
    assert!(!echo.is_whole() && echo.topics().len() == 0);

    let mut echo = Echo::new();
    echo.topic(Topic::Name(&[b'n'; NAME_BYTES_MAX + 1]));
    assert!(!echo.is_whole());
}
