//! Properties that hold for any bytes: each a function that panics where it does not. The fuzz targets call them with
//! what libFuzzer finds, and `tests/faults` with a few thousand seeded inputs on every run of the tests.

use std::path::Path;

use policy::access::{Privilege, judge};
use policy::sasl::Exchange;
use wire::address::{Advertised, Book, CorrelationId, NodeId};
use wire::answer::{self, Front, Splice};
use wire::api::{Api, RequestPath};
use wire::walk::{Fed, Walker};
use wire::{ask, head, refuse, request, sasl, tail, versions};

/// The host that no client may see.
const SECRET: &str = "broker-secret.kafka.internal";

/// The apis whose answers are walked.
const WALKED: [Api; 4] = [Api::Produce, Api::Fetch, Api::ShareFetch, Api::ShareAcknowledge];

/// Takes decisions off the front of the input; zeroes when it is used up.
struct Choice<'a>(&'a [u8]);

impl<'a> Choice<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % limit.max(1)
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn api_and_version(&mut self) -> (Api, i16) {
        let api = Api::ALL[usize::from(self.byte()) % Api::ALL.len()];
        let row = api.row();
        let versions = usize::try_from(row.max - row.min + 1).unwrap_or(1);
        (api, row.min + i16::try_from(self.below(versions)).unwrap_or(0))
    }
}

fn uvarint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A node as flexible versions have it: id, host, port, rack, no tags.
fn node(out: &mut Vec<u8>, id: i32) {
    out.extend(id.to_be_bytes());
    uvarint(out, SECRET.len() + 1);
    out.extend(SECRET.as_bytes());
    out.extend(9092_i32.to_be_bytes());
    out.extend([0, 0]);
}

fn contains_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

/// Whatever nodes a broker names, however many of them have a port of ours and however the answer is cut: what goes
/// to a client has no address of a broker in it, and a tail that is rewritten in place keeps its length.
pub fn no_upstream_address_escapes(data: &[u8]) {
    let mut choice = Choice(data);
    let ids: Vec<i32> = (0..choice.below(40)).map(|_| i32::from(choice.byte())).collect();
    let host = "g".repeat(1 + choice.below(200));
    let advertised = || Advertised { host: host.as_str().into(), port: 19_092 };
    let mask = choice.byte();
    let known = ids.iter().filter(|id| (**id as u8) & mask == 0).map(|id| (NodeId(*id), advertised()));
    let mut known: Vec<(NodeId, Advertised)> = known.collect();
    known.sort_by_key(|(id, _)| *id);
    known.dedup_by_key(|(id, _)| *id);
    let book = Book::new(known);
    let mut left_out = Vec::new();

    metadata_front_is_clean(&ids, &book, &mut choice);

    // Fetch v16: one partition with any records, an unknown tag, then the endpoints.
    let records = choice.bytes(choice.0.len().min(300));
    let mut fetch = vec![0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    fetch.extend([1; 16]);
    fetch.push(2);
    fetch.extend([0; 4 + 2 + 8 + 8 + 8]);
    fetch.extend([0, 0xff, 0xff, 0xff, 0xff]);
    uvarint(&mut fetch, records.len() + 1);
    fetch.extend(records);
    fetch.extend([0, 0]);
    let tail_at = fetch.len();
    let mut endpoints = Vec::new();
    uvarint(&mut endpoints, ids.len() + 1);
    ids.iter().for_each(|id| node(&mut endpoints, *id));
    let strange = mask & 1 == 1;
    fetch.extend([1 + u8::from(strange), 0]);
    uvarint(&mut fetch, endpoints.len());
    fetch.extend(&endpoints);
    if strange {
        fetch.extend([99, 2, 1, 2]);
    }
    let whole = answer::rewrite(Api::Fetch, 16, &fetch, &book, &mut left_out);
    match whole.unwrap_or_else(|error| panic!("{error}")) {
        Splice::Unchanged => assert!(ids.is_empty()),
        Splice::Replaced(new) => {
            assert!(!contains_secret(&new) || contains_secret(records));
            assert_eq!(new[..tail_at], fetch[..tail_at]);
        }
    }
    let walked = walk(Walker::answer(Api::Fetch, 16), &fetch, &mut choice);
    assert_eq!(walked, Some(Some(tail_at)));
    let length = fetch.len();
    let tail = &mut fetch[tail_at..];
    tail::rewrite_in_place(Api::Fetch, 16, tail, &book, &mut left_out)
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(!contains_secret(tail));
    assert_eq!(fetch.len(), length);
    let again = walk(Walker::answer(Api::Fetch, 16), &fetch, &mut choice);
    assert_eq!(again, Some(Some(tail_at)));
}

/// Metadata v12: the front grows until it is enough, and is the gateway's then.
fn metadata_front_is_clean(ids: &[i32], book: &Book, choice: &mut Choice<'_>) {
    let mut left_out = Vec::new();
    let mut metadata = vec![0, 0, 0, 7, 0, 0, 0, 0, 0];
    uvarint(&mut metadata, ids.len() + 1);
    ids.iter().for_each(|id| node(&mut metadata, *id));
    let brokers_end = metadata.len();
    metadata.extend([0, 0, 0, 0, 1, 1, 0]);
    let there = choice.below(metadata.len() + 1);
    for there in [there, metadata.len()] {
        match answer::metadata_front(12, &metadata[..there], book, &mut left_out) {
            Ok(Front::Need) => assert!(there < brokers_end),
            Ok(Front::Done { consumed, replacement }) => {
                assert_eq!(consumed, brokers_end);
                assert!(!contains_secret(&replacement));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Where the tail begins (`None`: it does not), or `None` for bytes that do not hold what they claim.
fn walk(walker: Option<Walker>, bytes: &[u8], choice: &mut Choice<'_>) -> Option<Option<usize>> {
    let mut walker = walker?;
    let mut at = 0;
    while at < bytes.len() {
        let n = (1 + choice.below(9)).min(bytes.len() - at);
        let n = if choice.byte() & 1 == 0 { n } else { bytes.len() - at };
        match walker.feed(&bytes[at..at + n]) {
            Ok(Fed::All) => at += n,
            Ok(Fed::Tail(before)) => return Some(Some(at + before)),
            Err(_) => return None,
        }
    }
    Some(walker.in_tail().then_some(at))
}

/// A message that is walked in any pieces ends as the same message walked at once.
pub fn walker_is_split_invariant(data: &[u8]) {
    let mut choice = Choice(data);
    let api = WALKED[usize::from(choice.byte() & 3)];
    let row = api.row();
    let versions = usize::try_from(row.max - row.min + 1).unwrap_or(1);
    let version = row.min + i16::try_from(choice.below(versions)).unwrap_or(0);
    let fetch_request = choice.byte() & 1 == 1;
    let start = || match fetch_request {
        true => Some(Walker::fetch_request(17)),
        false => Walker::answer(api, version),
    };
    let cuts = choice.bytes(64);
    let message = choice.0;
    let mut at_once = Choice(&[0, 0, 1]);
    let whole = match start() {
        None => return,
        Some(_) if message.is_empty() => return,
        walker => walk(walker, message, &mut at_once),
    };
    let bytewise = walk(start(), message, &mut Choice(&[]));
    assert_eq!(whole, bytewise);
    assert_eq!(whole, walk(start(), message, &mut Choice(cuts)));
}

/// Whatever a client sends is read, refused or wanted more of; nothing panics, and no answer is out of proportion.
pub fn request_reading_is_total(data: &[u8]) {
    let mut choice = Choice(data);
    let (api, version) = choice.api_and_version();
    let frame = choice.0;
    let _ = head::request_prefix(frame);
    let flexible = api.request_is_flexible(version);
    let body = match head::request_head(frame, flexible) {
        Ok(Some(head)) => &frame[head.body_at..],
        _ => frame,
    };
    let correlation = CorrelationId(7);
    for privilege in [Privilege::Ordinary, Privilege::Admin] {
        if api.request_path(version) == RequestPath::Held {
            let _ = judge(api, version, correlation, body, privilege);
        }
    }
    if refuse::is_refusable(api, version)
        && let Ok(answer) = refuse::refuse(api, version, correlation, body, 31, "no")
    {
        assert!(answer.len() <= 512 + 64 * body.len(), "{} of {}", answer.len(), body.len());
    }
    match api.request_path(version) {
        RequestPath::Produce => drop(request::produce_acks(body, version)),
        RequestPath::Replica => drop(request::force_replica(api, version, &mut body.to_vec())),
        RequestPath::Fetch => drop(tail::force_consumer(&mut body.to_vec())),
        RequestPath::Pass | RequestPath::Held | RequestPath::Answered => {}
        _ => drop(request::topics_are_possible(body, body.len(), version)),
    }
    let _ = (sasl::read_handshake(body), sasl::read_authenticate(version, body), sasl::read_plain(body));
    let _ = versions::read_request(version.clamp(0, 4), body);
    let mut exchange = Exchange::new(&[config::Mechanism::Plain], None);
    let _ = exchange.request(frame);
    let _ = exchange.request(body);
}

/// Whatever a broker answers is read or refused; a rewrite of it keeps what is not an address.
pub fn answer_reading_is_total(data: &[u8]) {
    let mut choice = Choice(data);
    let (api, version) = choice.api_and_version();
    let frame = choice.0;
    let advertised = Advertised { host: "gateway".into(), port: 19_092 };
    let book = Book::new([(NodeId(1), advertised)]);
    let mut left_out = Vec::new();
    let _ = answer::rewrite(api, version, frame, &book, &mut left_out);
    let _ = answer::metadata_front(version.clamp(0, 13), frame, &book, &mut left_out);
    let _ = answer::mask_broker_configs(version.clamp(1, 4), frame);
    let _ = versions::read_answer(version.clamp(0, 4), frame);
    let _ = ask::read_nodes(version.clamp(1, 12), frame);
    let _ = sasl::read_handshake_answer(frame);
    let _ = sasl::read_authenticate_answer(version.clamp(0, 2), frame);
    let mut tail = frame.to_vec();
    if tail::rewrite_in_place(Api::Fetch, 16, &mut tail, &book, &mut left_out).is_err() {
        assert_eq!(tail, frame);
    }
}

/// Any text is a configuration or a list of faults, each at a place in the text.
pub fn config_check_is_total(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(faults) = config::parse(&text, Path::new("/nonexistent")) {
        assert!(!faults.0.is_empty());
        let lines = text.split('\n').count();
        assert!(faults.0.iter().all(|fault| fault.line <= lines + 1), "{faults}");
    }
}
