//! `ApiVersions`, SASL, Metadata: what wire composes is read by kafka-protocol, what kafka-protocol composes is read by
//! wire, for every version; and what nobody composed hurts nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;
use wire::address::{CorrelationId, NodeId, Upstream};
use wire::api::Api;
use wire::ask::{
    COORDINATOR_VERSION, Node, Nodes, coordinator_request, metadata_request, read_coordinator, read_nodes,
};
use wire::error::code;
use wire::head::{request_head, request_prefix};
use wire::refuse::{ITEMS_WITH_WORDS_MAX, refuse};
use wire::sasl::{
    authenticate_frame, authenticate_request, handshake_frame, handshake_request, read_authenticate,
    read_authenticate_answer, read_handshake, read_handshake_answer, read_plain,
};
use wire::versions::{
    ApiRanges, Feature, InvalidSoftware, Offered, Software, VersionRange, answer_body, error_frame,
    read_answer, read_request, request_frame, unsupported_frame,
};

const ID: CorrelationId = CorrelationId(0x0102_0304);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Takes the size off a frame, and makes sure that it is true.
fn unframed(frame: &[u8]) -> Bytes {
    let (size, rest) = frame.split_first_chunk::<4>().unwrap();
    assert_eq!(usize::try_from(i32::from_be_bytes(*size)).unwrap(), rest.len());
    Bytes::copy_from_slice(rest)
}

/// Decodes an answer of ours with the oracle, to its last byte.
fn decoded<A: Decodable + HeaderVersion>(version: i16, frame: &[u8]) -> A {
    let mut bytes = unframed(frame);
    let header = ResponseHeader::decode(&mut bytes, A::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, ID.0);
    let answer = A::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    answer
}

/// Decodes a request of ours with the oracle, to its last byte, and its head with ours.
fn asked<Q: Decodable + HeaderVersion>(api: Api, version: i16, frame: &[u8]) -> Q {
    let mut bytes = unframed(frame);
    let prefix = request_prefix(&bytes).unwrap();
    assert_eq!((prefix.key, prefix.version, prefix.correlation), (api.key(), version, ID));
    let head = request_head(&bytes, api.request_is_flexible(version)).unwrap().unwrap();
    let body_at = head.body_at;
    assert_eq!(head.client_id, Some(&b"gate"[..]));
    let before = bytes.len();
    let header = RequestHeader::decode(&mut bytes, Q::header_version(version)).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("gate"));
    assert_eq!(before - bytes.len(), body_at);
    let request = Q::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    request
}

/// An answer of the oracle, without size.
fn frame_of<A: Encodable + HeaderVersion>(version: i16, answer: &A) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(ID.0);
    header.encode(&mut frame, A::header_version(version)).unwrap();
    answer.encode(&mut frame, version).unwrap();
    frame
}

fn body_of<Q: Encodable>(version: i16, request: &Q) -> BytesMut {
    let mut body = BytesMut::new();
    request.encode(&mut body, version).unwrap();
    body
}

fn feature() -> impl Strategy<Value = Feature> {
    ("[a-z.]{1,20}", 0..3_i16, 0..9_i16).prop_map(|(name, min, max)| Feature { name, min, max: min + max })
}

fn features() -> impl Strategy<Value = Vec<Feature>> {
    // The oracle keys features by name.
    proptest::collection::vec(feature(), 0..4).prop_map(|mut features| {
        features.sort_by(|a, b| a.name.cmp(&b.name));
        features.dedup_by(|a, b| a.name == b.name);
        features
    })
}

fn offered() -> impl Strategy<Value = Offered> {
    let ranges = proptest::collection::vec((0..95_i16, 0..5_i16, 0..9_i16), 0..40);
    (ranges, features(), -1..9_i64, features(), any::<bool>()).prop_map(
        |(rows, supported, finalized_epoch, finalized, zk_migration_ready)| {
            let mut ranges = ApiRanges::default();
            for (key, min, more) in rows {
                ranges.set(Api::from_key(key).unwrap(), Some(VersionRange { min, max: min + more }));
            }
            Offered { ranges, supported, finalized_epoch, finalized, zk_migration_ready }
        },
    )
}

/// The oracle's form of what a client of `version` gets to see.
fn as_answer(version: i16, offered: &Offered, throttle_ms: i32) -> ApiVersionsResponse {
    let keys = offered.ranges.iter().map(|(api, range)| {
        ApiVersion::default().with_api_key(api.key()).with_min_version(range.min).with_max_version(range.max)
    });
    let answer = ApiVersionsResponse::default().with_api_keys(keys.collect());
    let answer = if version >= 1 { answer.with_throttle_time_ms(throttle_ms) } else { answer };
    if version < 3 {
        return answer;
    }
    let supported = offered.supported.iter().filter(|feature| version >= 4 || feature.min != 0);
    answer
        .with_supported_features(
            supported
                .map(|f| {
                    let key = SupportedFeatureKey::default().with_name(text(&f.name));
                    key.with_min_version(f.min).with_max_version(f.max)
                })
                .collect(),
        )
        .with_finalized_features_epoch(offered.finalized_epoch)
        .with_finalized_features(
            offered
                .finalized
                .iter()
                .map(|f| {
                    let key = FinalizedFeatureKey::default().with_name(text(&f.name));
                    key.with_min_version_level(f.min).with_max_version_level(f.max)
                })
                .collect(),
        )
        .with_zk_migration_ready(offered.zk_migration_ready)
}

/// What is left of an offer once it went through an answer of `version`.
fn seen(version: i16, offered: &Offered) -> Offered {
    if version < 3 {
        return Offered { ranges: offered.ranges.clone(), ..Offered::default() };
    }
    let mut seen = offered.clone();
    seen.supported.retain(|feature| version >= 4 || feature.min != 0);
    seen
}

proptest! {
    #[test]
    fn an_offer_is_read_by_others_and_read_back(offered in offered(), version in 0..=4_i16, throttle: i32) {
        let body = answer_body(version, &offered, throttle);
        let mut bytes = Bytes::from(body.clone());
        prop_assert_eq!(ApiVersionsResponse::decode(&mut bytes, version).unwrap(), as_answer(version, &offered, throttle));
        prop_assert!(bytes.is_empty());

        let ours = [&ID.0.to_be_bytes()[..], &body].concat();
        prop_assert_eq!(read_answer(version, &ours), Ok((0, seen(version, &offered))));
        let theirs = frame_of(version, &as_answer(version, &offered, throttle).with_error_code(7));
        prop_assert_eq!(read_answer(version, &theirs), Ok((7, seen(version, &offered))));
        for end in 0..ours.len() {
            prop_assert!(read_answer(version, &ours[..end]).is_err());
        }
    }

    #[test]
    fn software_is_told_and_understood(name in "[a-zA-Z0-9]([a-zA-Z0-9.-]{0,20}[a-zA-Z0-9])?", number in "[0-9.]{0,5}[0-9]", version in 0..=4_i16) {
        let number = number.trim_start_matches('.').to_owned();
        let software = Software { name, version: number };
        let request: ApiVersionsRequest = asked(Api::ApiVersions, version, &request_frame(version, ID, "gate", &software));
        let body = body_of(version, &request);
        let expected = (version >= 3).then_some(software);
        prop_assert_eq!(read_request(version, &body), Ok(expected));
    }

    #[test]
    fn sasl_is_spoken_as_others_speak_it(
        error: i16,
        mechanisms in proptest::collection::vec("[A-Z0-9-]{1,20}", 0..4),
        message in proptest::option::of(".{0,200}"),
        token in proptest::collection::vec(any::<u8>(), 0..300),
        lifetime: i64,
        version in 0..=2_i16,
    ) {
        let names: Vec<&str> = mechanisms.iter().map(String::as_str).collect();
        for handshake in [0, 1] {
            let answer: SaslHandshakeResponse = decoded(handshake, &handshake_frame(ID, error, &names));
            let read = read_handshake_answer(&frame_of(handshake, &answer)).unwrap();
            prop_assert_eq!(read, (error, mechanisms.clone()));
        }
        let mechanism = mechanisms.first().map_or("PLAIN", String::as_str);
        let request: SaslHandshakeRequest = asked(Api::SaslHandshake, 1, &handshake_request(ID, "gate", mechanism));
        let body = body_of(1, &request);
        prop_assert_eq!(read_handshake(&body), Ok(mechanism));

        let request: SaslAuthenticateRequest =
            asked(Api::SaslAuthenticate, version, &authenticate_request(version, ID, "gate", &token));
        let body = body_of(version, &request);
        prop_assert_eq!(read_authenticate(version, &body), Ok(&token[..]));
        let frame = authenticate_frame(version, ID, error, message.as_deref(), &token, lifetime);
        let answer: SaslAuthenticateResponse = decoded(version, &frame);
        let read = read_authenticate_answer(version, &frame_of(version, &answer)).unwrap();
        prop_assert_eq!((read.error, &read.message, &read.token), (error, &message, &token));
        prop_assert_eq!(read.lifetime_ms, if version >= 1 { lifetime } else { 0 });
    }

    #[test]
    fn brokers_are_read_out_of_any_metadata(
        brokers in proptest::collection::vec((0..99_i32, "[a-z0-9.-]{1,30}", 1..=u16::MAX, proptest::option::of("[a-z]{0,9}")), 0..9),
        cluster_id in proptest::option::of("[a-zA-Z0-9_-]{22}"),
        controller in -1..9_i32,
        version in 0..=13_i16,
    ) {
        let mut answer = MetadataResponse::default();
        let mut nodes = Vec::new();
        for (id, host, port, rack) in brokers {
            let rack = rack.filter(|_| version >= 1);
            answer.brokers.push(
                MetadataResponseBroker::default()
                    .with_node_id(BrokerId(id))
                    .with_host(text(&host))
                    .with_port(i32::from(port))
                    .with_rack(rack.as_deref().map(text)),
            );
            nodes.push(Node { id: NodeId(id), address: Upstream { host: host.into(), port }, rack });
        }
        let cluster_id = cluster_id.filter(|_| version >= 2);
        let controller = if version >= 1 { controller } else { -1 };
        answer.cluster_id = cluster_id.as_deref().map(text);
        answer.controller_id = BrokerId(controller);
        let expected = Nodes { cluster_id, controller: (controller >= 0).then_some(NodeId(controller)), nodes };
        prop_assert_eq!(read_nodes(version, &frame_of(version, &answer)), Ok(expected));
    }

    #[test]
    fn hostile_bytes_are_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in -1..16_i16) {
        let _ = read_answer(version, &bytes);
        let _ = read_request(version, &bytes);
        let _ = read_nodes(version, &bytes);
        let _ = read_handshake(&bytes);
        let _ = read_handshake_answer(&bytes);
        let _ = read_authenticate(version, &bytes);
        let _ = read_authenticate_answer(version, &bytes);
        let _ = read_plain(&bytes);
    }

    #[test]
    fn a_refusal_of_anything_is_bounded_by_it(
        // Small numbers, so that many a count and many a length is true.
        bytes in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..2000),
        reason in ".{0,100}",
    ) {
        let bound = 100 + 16 * bytes.len() + (ITEMS_WITH_WORDS_MAX as usize + 1) * (reason.len() + 3);
        for api in Api::ALL {
            for version in -1..=7 {
                if let Ok(frame) = refuse(api, version, ID, &bytes, 31, &reason) {
                    prop_assert!(frame.len() <= bound, "{} {}: {} of {}", api, version, frame.len(), bytes.len());
                }
            }
        }
    }
}

#[test]
fn a_question_for_brokers_names_no_topic_and_creates_none() {
    for version in 1..=12 {
        let request: MetadataRequest = asked(Api::Metadata, version, &metadata_request(version, ID, "gate"));
        assert_eq!(request.topics, Some(Vec::new()), "{version}");
        // Below version 4 the oracle shows the default, which is what those versions do.
        assert_eq!(request.allow_auto_topic_creation, version < 4);
        assert!(
            !request.include_cluster_authorized_operations && !request.include_topic_authorized_operations
        );
    }
}

#[test]
fn an_announced_multitude_is_not_believed() {
    let mut frame = frame_of(12, &MetadataResponse::default());
    frame.truncate(9);
    frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07]);
    assert!(read_nodes(12, &frame).is_err());
    assert!(read_answer(0, &[0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
    assert!(read_handshake_answer(&[0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
    for port in [-1, 0, 65_536] {
        let broker = MetadataResponseBroker::default().with_host(text("a")).with_port(port);
        let answer = MetadataResponse::default().with_brokers(vec![broker]);
        assert!(read_nodes(12, &frame_of(12, &answer)).is_err(), "{port}");
    }
}

#[test]
fn a_version_that_a_broker_does_not_speak_is_answered_in_version_0() {
    let entry = ApiVersion::default().with_api_key(18).with_max_version(2);
    let answer = ApiVersionsResponse::default().with_error_code(35).with_api_keys(vec![entry]);
    let (error, offered) = read_answer(3, &frame_of(0, &answer)).unwrap();
    assert_eq!(error, code::UNSUPPORTED_VERSION);
    assert_eq!(offered.ranges.get(Api::ApiVersions), Some(VersionRange { min: 0, max: 2 }));
    // Brokers before Kafka 2.4 say nothing more.
    let bare = ApiVersionsResponse::default().with_error_code(35);
    assert_eq!(read_answer(3, &frame_of(0, &bare)), Ok((35, Offered::default())));
    // librdkafka's mock brokers write the entry in a layout of their own; the error alone says what to do.
    let peculiar = *b"\0\0\0\x01\0\x23\x01\0\x12\0\0\0\x02\0\0\0\0";
    assert_eq!(read_answer(4, &peculiar), Ok((35, Offered::default())));

    let ours: ApiVersionsResponse = decoded(0, &unsupported_frame(ID));
    let entry = ApiVersion::default().with_api_key(18).with_max_version(4);
    assert_eq!(ours, ApiVersionsResponse::default().with_error_code(35).with_api_keys(vec![entry]));
}

#[test]
fn an_error_is_answered_in_the_version_of_the_question() {
    for version in 0..=4 {
        let answer: ApiVersionsResponse = decoded(version, &error_frame(version, ID, code::INVALID_REQUEST));
        assert_eq!(answer, ApiVersionsResponse::default().with_error_code(42), "{version}");
    }
}

#[test]
fn unclean_software_is_told_from_malformed_bytes() {
    let read = |name: &str, version: &str| {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text(name))
            .with_client_software_version(text(version));
        read_request(3, &body_of(3, &request))
    };
    assert!(read("apache-kafka-java", "4.3.1").is_ok() && read("a", "1").is_ok());
    for unclean in ["", "-a", "a-", "a b", "a\n", "ü", ".", "a_b"] {
        assert_eq!(read(unclean, "1"), Err(InvalidSoftware::BadName), "{unclean:?}");
        assert_eq!(read("a", unclean), Err(InvalidSoftware::BadName), "{unclean:?}");
    }
    assert!(matches!(read_request(3, b"\x05ab"), Err(InvalidSoftware::Malformed(_))));
    // Before version 3 there is nothing to read.
    assert_eq!(read_request(2, b"whatever"), Ok(None));
}

#[test]
fn ranges_cover_what_was_promised() {
    let with = |rows: &[(Api, i16, i16)]| {
        let mut ranges = ApiRanges::default();
        for (api, min, max) in rows {
            ranges.set(*api, Some(VersionRange { min: *min, max: *max }));
        }
        ranges
    };
    let now = with(&[(Api::Produce, 0, 11), (Api::Fetch, 4, 17)]);
    assert_eq!(now.covers(&with(&[(Api::Fetch, 4, 16)])), Ok(()));
    assert_eq!(now.covers(&ApiRanges::default()), Ok(()));
    let short = now.covers(&with(&[(Api::Produce, 0, 11), (Api::Fetch, 3, 16)]));
    assert_eq!(short, Err((Api::Fetch, VersionRange { min: 3, max: 16 })));
    assert!(now.covers(&with(&[(Api::Metadata, 0, 0)])).is_err());
    assert!(now.allows(Api::Produce, 11) && !now.allows(Api::Produce, 12) && !now.allows(Api::Metadata, 0));
}

#[test]
fn a_groups_coordinator_is_asked_for_and_read_as_the_oracle_has_it() {
    let frame = coordinator_request(ID, "gate", "zählung".as_bytes());
    let request: FindCoordinatorRequest = asked(Api::FindCoordinator, COORDINATOR_VERSION, &frame);
    assert_eq!((request.key, request.key_type), (text("zählung"), 0));
    for (error, node, wanted) in
        [(0, 3, Some(NodeId(3))), (0, -1, None), (code::COORDINATOR_NOT_AVAILABLE, -1, None), (30, 3, None)]
    {
        let answer = FindCoordinatorResponse::default().with_error_code(error);
        let answer = answer.with_error_message(Some(text("none"))).with_node_id(BrokerId(node));
        let frame = frame_of(COORDINATOR_VERSION, &answer);
        assert_eq!(read_coordinator(&frame), Ok(wanted));
        for cut in 0..19 {
            assert!(read_coordinator(&frame[..cut]).is_err(), "{cut}");
        }
    }
}
