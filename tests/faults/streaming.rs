//! What flows: order, pipelining, addresses in streamed tails, and any split of the bytes on either side.

use std::io::Write;
use std::time::Duration;

use testkit::raw::sized;
use testkit::{Reply, wait};

use crate::bytes::{self, Broker, Bytes};
use crate::stage::{LIMIT, SECRET_HOST, Setup, Stage, contains, is_well};

/// Numbers that look like chance and are the same in every run (a linear congruential generator).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Cuts at many places, close together and far apart.
    fn cut(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let most = [3, 40, 5_000, 70_000][self.below(4)];
            let (piece, rest) = bytes.split_at((1 + self.below(most)).min(bytes.len()));
            pieces.push(piece.to_vec());
            bytes = rest;
        }
        pieces
    }
}

/// A fetch answer of the broker, and what a client of `stage` must see of it when it was streamed.
struct Streamed {
    of_broker: Vec<u8>,
    head: usize,
}

fn streamed(records: usize, brokers: &[Broker]) -> Streamed {
    let of_broker = bytes::fetch_answer(&5_i32.to_be_bytes(), records, &bytes::endpoints(brokers));
    let head = of_broker.len() - bytes::endpoints(brokers).len();
    Streamed { of_broker, head }
}

/// Reads `NodeEndpoints` of a rewritten tail; everything else in it must be tag 127 or nothing.
fn read_endpoints(tail: &[u8]) -> Vec<(i32, String, i32)> {
    let mut at = 0;
    let mut take = |n: usize| {
        at += n;
        &tail[at - n..at]
    };
    let uvarint = |take: &mut dyn FnMut(usize) -> Vec<u8>| {
        let (mut value, mut shift) = (0_usize, 0);
        loop {
            let byte = take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    };
    let mut take = |n: usize| take(n).to_vec();
    let mut found = Vec::new();
    for _ in 0..uvarint(&mut take) {
        let (tag, size) = (uvarint(&mut take), uvarint(&mut take));
        if tag != 0 {
            assert_eq!(tag, 127);
            take(size);
            continue;
        }
        for _ in 1..uvarint(&mut take) {
            let node = i32::from_be_bytes(take(4).try_into().unwrap());
            let length = uvarint(&mut take) - 1;
            let host = String::from_utf8(take(length)).unwrap();
            let port = i32::from_be_bytes(take(4).try_into().unwrap());
            assert_eq!((uvarint(&mut take), uvarint(&mut take)), (0, 0));
            found.push((node, host, port));
        }
    }
    assert_eq!(at, tail.len());
    found
}

#[test]
fn a_streamed_fetch_keeps_every_byte_but_the_addresses_in_its_tail() {
    let brokers = [(1, SECRET_HOST.to_owned(), 9092)];
    let answer = streamed(300_000, &brokers);
    let (whole, head) = (answer.of_broker.clone(), answer.head);
    let mut stage = Stage::new(&Setup::default(), move |request| {
        (request.key() == bytes::FETCH).then(|| Reply::Frame(whole.clone()))
    });
    let port = i32::from(stage.config.first_listener().unwrap().node_port_base) + 1;
    let told = stage.client().ask(&bytes::fetch(5, &[0])).unwrap();
    assert_eq!(told.len(), answer.of_broker.len());
    assert!(told[..head] == answer.of_broker[..head]);
    assert!(!contains(&told, "kafka.invalid"));
    assert_eq!(read_endpoints(&told[head..]), [(1, "127.0.0.1".to_owned(), port)]);
}

#[test]
fn a_streamed_tail_that_names_unknown_nodes_is_masked() {
    let brokers = [(1, SECRET_HOST.to_owned(), 9092), (60_000, SECRET_HOST.to_owned(), 9092)];
    let answer = streamed(100_000, &brokers);
    let (whole, head) = (answer.of_broker.clone(), answer.head);
    let stage = Stage::new(&Setup::default(), move |request| {
        (request.key() == bytes::FETCH).then(|| Reply::Frame(whole.clone()))
    });
    let told = stage.client().ask(&bytes::fetch(5, &[0])).unwrap();
    assert_eq!(told.len(), answer.of_broker.len());
    assert!(told[..head] == answer.of_broker[..head]);
    assert!(!contains(&told, "kafka.invalid"), "{:?}", &told[head..]);
}

#[test]
fn any_split_of_both_streams_gives_the_same_bytes() {
    let mut numbers = Numbers(7);
    let brokers = [(1, SECRET_HOST.to_owned(), 9092)];
    // What a client asks, and what the broker says to it, by the correlation id.
    let answers: Vec<Vec<u8>> = (0..6)
        .map(|n: i32| {
            let records = [10, 70_000, 400_000][usize::try_from(n).unwrap() % 3];
            bytes::fetch_answer(&n.to_be_bytes(), records, &bytes::endpoints(&brokers))
        })
        .collect();
    let of_broker = answers.clone();
    let cuts: Vec<Vec<Vec<u8>>> = answers.iter().map(|answer| numbers.cut(&sized(answer))).collect();
    let stage = Stage::new(&Setup::default(), move |request| {
        let asked = i32::from_be_bytes(request.correlation().try_into().unwrap());
        let n = usize::try_from(asked).unwrap_or(0);
        match request.key() {
            bytes::FETCH if n >= 100 => {
                Some(Reply::Frame([&request.correlation()[..4], &of_broker[n - 100][4..]].concat()))
            }
            bytes::FETCH => Some(Reply::Slowly(cuts[n].clone(), Duration::from_micros(200))),
            _ => None,
        }
    });
    let requests = |first: i32| -> Vec<u8> {
        let fetches = (0..6).map(|n| sized(&bytes::fetch(first + n, &[0])));
        let others = (0..6).map(|n| sized(&bytes::heartbeat(50 + n, &[9; 500])));
        fetches.zip(others).flat_map(|(fetch, other)| [fetch, other].concat()).collect()
    };
    let mut told: Vec<Vec<Vec<u8>>> = Vec::new();
    for (first, split) in [(100, false), (0, true)] {
        let mut client = stage.client();
        let mut stream = client.stream().try_clone().unwrap();
        let all = requests(first);
        let pieces = if split { numbers.cut(&all) } else { vec![all] };
        let writing = std::thread::spawn(move || pieces.iter().try_for_each(|piece| stream.write_all(piece)));
        told.push((0..12).map(|_| client.receive().unwrap()[4..].to_vec()).collect());
        writing.join().unwrap().unwrap();
    }
    // An answer is rewritten whole or as it flows, as it came: that may give its tail another form, never another
    // meaning. All else is what the broker said, to the byte.
    for (n, answer) in answers.iter().enumerate() {
        let head = answer.len() - bytes::endpoints(&brokers).len() - 4;
        let (at_once, split) = (&told[0][n * 2], &told[1][n * 2]);
        assert!(at_once[..head] == answer[4..head + 4] && split[..head] == answer[4..head + 4]);
        let named = read_endpoints(&split[head..]);
        assert_eq!(named.len(), 1);
        assert_eq!(named, read_endpoints(&at_once[head..]));
        assert!(!contains(at_once, "kafka.invalid") && !contains(split, "kafka.invalid"));
        assert!(told[0][n * 2 + 1] == told[1][n * 2 + 1]);
    }
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order_ours_among_the_brokers() {
    let stage = Stage::plain();
    let mut client = stage.client();
    let mut stream = client.stream().try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        for n in 0..1000 {
            let request = if n % 7 == 3 { bytes::api_versions(0, n) } else { bytes::heartbeat(n, b"body") };
            stream.write_all(&sized(&request)).unwrap();
        }
    });
    for n in 0..1000_i32 {
        assert_eq!(client.receive().unwrap()[..4], n.to_be_bytes());
    }
    asking.join().unwrap();
}

#[test]
fn what_is_asked_without_an_answer_arrives_although_the_client_leaves() {
    let stage = Stage::plain();
    let mut client = stage.client();
    for n in 0..1000 {
        client.send(&bytes::produce(n, 0, &[7; 300])).unwrap();
    }
    drop(client);
    wait::until("all requests", LIMIT, || Ok((stage.seen().len() == 1000).then_some(()))).unwrap();
    // And between others it takes no place in the order.
    let mut client = stage.client();
    client.send(&bytes::produce(1, 0, b"x")).unwrap();
    client.send(&bytes::heartbeat(2, b"y")).unwrap();
    client.send(&bytes::produce(3, 0, b"x")).unwrap();
    client.send(&bytes::api_versions(0, 4)).unwrap();
    assert_eq!(client.receive().unwrap(), Bytes::default().i32(2).raw(b"y").0);
    assert_eq!(client.receive().unwrap()[..4], 4_i32.to_be_bytes());
    is_well(&mut client);
}
