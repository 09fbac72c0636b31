//! Tails rewritten in place: as long as before, readable by the oracle, and without a broker's own address.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{
    FetchResponse, ProduceResponse, ShareAcknowledgeResponse, ShareFetchResponse, fetch_response,
    produce_response,
};
use proptest::prelude::*;
use wire::address::{Advertised, Book, NodeId};
use wire::api::Api;
use wire::tail::{TailOutcome, rewrite_in_place};
use wire::walk::{Fed, Walker};

use crate::dice::{Dice, leaks};
use crate::messages::{self, decode, encode};

/// Rewrites the tail of a body in place, as the pump does.
fn in_place(api: Api, version: i16, body: &mut [u8], book: &Book, left_out: &mut Vec<NodeId>) -> TailOutcome {
    let head = [0; 5];
    let mut walker = Walker::answer(api, version).unwrap();
    assert_eq!(walker.feed(&head), Ok(Fed::All));
    let Fed::Tail(at) = walker.feed(body).unwrap() else { panic!("no tail") };
    rewrite_in_place(api, version, &mut body[at..], book, left_out).unwrap()
}

/// Takes the filler out of the top-level tags: one tag of zeros that was not there before.
fn take_filler(after: &mut BTreeMap<i32, Bytes>, before: &BTreeMap<i32, Bytes>) {
    let added: Vec<i32> = after.keys().copied().filter(|tag| !before.contains_key(tag)).collect();
    assert!(added.len() <= 1);
    for tag in added {
        assert!((1..=127).contains(&tag));
        assert!(after.remove(&tag).unwrap().iter().all(|byte| *byte == 0));
    }
}

/// Checks one answer of one version. `$message` is what the broker said.
macro_rules! check {
    ($dice:expr, $api:expr, $version:expr, $type:ty, $message:expr) => {{
        let (version, book): (i16, Book) = ($version, $dice.book());
        let original: $type = $message;
        let mut body = encode(&original, version);
        let length = body.len();
        let mut left_out = Vec::new();
        let outcome = in_place($api, version, &mut body, &book, &mut left_out);
        assert_eq!(body.len(), length);
        assert!(!leaks(&body));
        let mut after: $type = decode(&body, version);
        take_filler(&mut after.unknown_tagged_fields, &original.unknown_tagged_fields);
        let mut wanted = original.clone();
        wanted.node_endpoints.retain(|node| book.get(NodeId(node.node_id.0)).is_some());
        for node in &mut wanted.node_endpoints {
            let address = book.get(NodeId(node.node_id.0)).unwrap();
            node.host = address.host.to_string().into();
            node.port = address.port.into();
        }
        let needed = encode(&wanted, version).len();
        match outcome {
            TailOutcome::Untouched => assert!(original.node_endpoints.is_empty()),
            TailOutcome::Rewritten => assert!(!wanted.node_endpoints.is_empty() && needed <= length),
            TailOutcome::Masked => {
                assert!(wanted.node_endpoints.is_empty() || needed > length);
                wanted.node_endpoints.clear();
            }
        }
        assert_eq!(after, wanted);
        let missing = |node: &&_| book.get(**node).is_none();
        assert_eq!(left_out.iter().filter(missing).count(), left_out.len());
        for node in &original.node_endpoints {
            let node = NodeId(node.node_id.0);
            assert_eq!(
                left_out.iter().filter(|id| **id == node).count(),
                usize::from(book.get(node).is_none())
            );
        }
    }};
}

proptest! {
    #[test]
    fn a_tail_keeps_its_length_and_loses_every_address_of_a_broker(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 10..=13 {
            check!(dice, Api::Produce, version, ProduceResponse, messages::produce_response(dice, version));
        }
        for version in 16..=18 {
            check!(dice, Api::Fetch, version, FetchResponse, messages::fetch_response(dice, version));
        }
        check!(dice, Api::ShareFetch, 1, ShareFetchResponse, messages::share_fetch_response(dice));
        check!(dice, Api::ShareAcknowledge, 1, ShareAcknowledgeResponse, messages::share_acknowledge_response(dice));
    }
}

fn book(host: &str) -> Book {
    Book::new([(NodeId(1), Advertised { host: host.into(), port: 19101 })])
}

/// Every difference of length from 0 to 300, over the widths of the filler's size.
#[test]
fn a_shorter_address_is_filled_up_to_the_byte() {
    for difference in 0..300 {
        let mut fetch = FetchResponse::default();
        let mut node = fetch_response::NodeEndpoint::default();
        node.node_id = 1.into();
        node.host = "x".repeat(2 + difference).into();
        fetch.node_endpoints.push(node);
        let mut body = encode(&fetch, 17);
        let length = body.len();
        assert_eq!(in_place(Api::Fetch, 17, &mut body, &book("gw"), &mut Vec::new()), TailOutcome::Rewritten);
        assert_eq!(body.len(), length);
        let after: FetchResponse = decode(&body, 17);
        assert_eq!(after.node_endpoints[0].host.as_str(), "gw", "{difference}");
        assert_eq!(after.node_endpoints[0].port, 19101);
    }
}

#[test]
fn a_longer_address_is_masked() {
    let mut produce = ProduceResponse::default();
    let mut node = produce_response::NodeEndpoint::default();
    node.node_id = 1.into();
    node.host = "b.internal".into();
    produce.node_endpoints.push(node);
    let mut body = encode(&produce, 10);
    let outcome = in_place(Api::Produce, 10, &mut body, &book("gateway.internal"), &mut Vec::new());
    assert_eq!(outcome, TailOutcome::Masked);
    assert!(!leaks(&body));
    assert!(decode::<ProduceResponse>(&body, 10).node_endpoints.is_empty());
}

/// The tag's content must end where its size says: a second list behind the first would not have been looked at.
#[test]
fn a_tail_that_hides_something_is_refused() {
    let refused = |mut tail: Vec<u8>| {
        assert!(
            rewrite_in_place(Api::Fetch, 17, &mut tail, &book("gw"), &mut Vec::new()).is_err(),
            "{tail:?}"
        );
    };
    refused(vec![1, 0, 2, 1, 1]);
    refused(vec![2, 0, 1, 1, 0, 1, 1]);
    refused(vec![2, 5, 0, 4, 0]);
    refused(vec![0, 9]);
    refused(vec![]);
    refused(vec![1, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut empty = vec![1, 0, 1, 1];
    assert_eq!(
        rewrite_in_place(Api::Fetch, 17, &mut empty, &book("gw"), &mut Vec::new()),
        Ok(TailOutcome::Untouched)
    );
    assert!(rewrite_in_place(Api::Fetch, 15, &mut [0], &book("gw"), &mut Vec::new()).is_err());
}
