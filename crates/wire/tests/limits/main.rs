//! What limits read, change and compose, held against an independent encoder and decoder (kafka-protocol).
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::field_reassign_with_default, reason = "the oracle's types cannot be written as literals")]

mod asks;
mod requests;
mod throttles;

use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use wire::address::CorrelationId;

const ID: CorrelationId = CorrelationId(0x0102_0304);

/// The body of a message as the oracle writes it.
fn encode(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).unwrap_or_else(|error| panic!("version {version}: {error}"));
    bytes
}

/// An answer of the oracle as a frame without size, whose head has tags if it can and `tagged` says so.
fn frame_of<A: Encodable + HeaderVersion>(version: i16, answer: &A, tagged: bool) -> Vec<u8> {
    let mut frame = ID.0.to_be_bytes().to_vec();
    match (A::header_version(version), tagged) {
        (0, _) => {}
        (_, false) => frame.push(0),
        (_, true) => frame.extend([2, 0, 3, 1, 2, 3, 9, 0]),
    }
    frame.extend(encode(answer, version));
    frame
}

/// What the oracle reads in a frame without size, to its last byte.
fn decode<A: Decodable + HeaderVersion>(version: i16, mut frame: &[u8]) -> A {
    let header = kafka_protocol::messages::ResponseHeader::decode(&mut frame, A::header_version(version));
    assert_eq!(header.unwrap().correlation_id, ID.0);
    let answer = A::decode(&mut frame, version).unwrap();
    assert!(frame.is_empty(), "bytes after the message");
    answer
}
