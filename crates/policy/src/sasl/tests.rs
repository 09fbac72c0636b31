//! The exchange as clients live it, and as they abuse it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::Mechanism;
use wire::address::CorrelationId;
use wire::sasl::{
    authenticate_request, handshake_request, plain_token, read_authenticate_answer, read_handshake_answer,
};
use wire::versions::{Software, request_frame};

use super::{Exchange, Plain, Refused, Step, Verified};

const ID: CorrelationId = CorrelationId(7);
const HOUR: Duration = Duration::from_hours(1);

fn exchange() -> Exchange {
    Exchange::new(&[Mechanism::Plain], Some(HOUR))
}

/// What the gateway's reader would hand over: a frame without its size.
fn frame(mut sized: Vec<u8>) -> Vec<u8> {
    sized.split_off(4)
}

fn handshake(version: u8, mechanism: &str) -> Vec<u8> {
    let mut frame = frame(handshake_request(ID, "me", mechanism));
    frame[3] = version;
    frame
}

fn authenticate(version: i16, token: &[u8]) -> Vec<u8> {
    frame(authenticate_request(version, ID, "me", token))
}

fn api_versions(version: i16, name: &str) -> Vec<u8> {
    let software = Software { name: name.to_owned(), version: "1".to_owned() };
    frame(request_frame(version, ID, "me", &software))
}

/// A request of this key and version with an empty body.
fn bare(key: u8, version: u8) -> Vec<u8> {
    vec![0, key, 0, version, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0, 0, 0]
}

fn answer(step: Step) -> Vec<u8> {
    match step {
        Step::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn plain(step: Step) -> Plain {
    match step {
        Step::Verify(plain) => plain,
        other => panic!("{other:?}"),
    }
}

fn closed(step: Step) -> Refused {
    match step {
        Step::Close(why) => why,
        other => panic!("{other:?}"),
    }
}

fn refused(step: Step) -> (Vec<u8>, Refused) {
    match step {
        Step::Refuse { answer, why } => (answer, why),
        other => panic!("{other:?}"),
    }
}

fn handshake_error(sized: Vec<u8>) -> i16 {
    read_handshake_answer(&frame(sized)).unwrap().0
}

fn authenticate_error(version: i16, sized: Vec<u8>) -> i16 {
    read_authenticate_answer(version, &frame(sized)).unwrap().error
}

fn shake(exchange: &mut Exchange, version: u8) {
    assert_eq!(handshake_error(answer(exchange.request(&handshake(version, "PLAIN")))), 0);
    assert!(exchange.awaits_token());
}

fn log_in(exchange: &mut Exchange, version: i16) -> (Vec<u8>, Arc<str>) {
    shake(exchange, 1);
    let claim = plain(exchange.request(&authenticate(version, &plain_token("alice", "secret"))));
    assert_eq!((claim.user.as_str(), claim.password.expose()), ("alice", "secret"));
    match exchange.verified(Verified::Known("alice".into())) {
        Step::Welcome { answer, principal } => (answer, principal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_logs_in_with_or_without_asking_for_versions_first() {
    for version in 0..=2 {
        let mut exchange = exchange();
        if version > 0 {
            assert!(matches!(exchange.request(&api_versions(3, "java")), Step::ApiVersions));
        }
        let (answer, principal) = log_in(&mut exchange, version);
        assert_eq!(&*principal, "alice");
        let answer = read_authenticate_answer(version, &frame(answer)).unwrap();
        assert_eq!((answer.error, answer.message, answer.token.as_slice()), (0, None, &[][..]));
        assert_eq!(answer.lifetime_ms, if version == 0 { 0 } else { 3_600_000 });
    }
}

#[test]
fn a_raw_client_is_welcomed_with_an_empty_frame_and_refused_without_a_word() {
    let mut good = exchange();
    shake(&mut good, 0);
    plain(good.request(&plain_token("alice", "secret")));
    match good.verified(Verified::Known("alice".into())) {
        Step::Welcome { answer, .. } => assert_eq!(answer, [0, 0, 0, 0]),
        other => panic!("{other:?}"),
    }
    let mut wrong = exchange();
    shake(&mut wrong, 0);
    plain(wrong.request(&plain_token("alice", "secret")));
    assert_eq!(refused(wrong.verified(Verified::Unknown)), (vec![], Refused::Password));

    for token in [authenticate(1, &plain_token("alice", "secret")), Vec::new()] {
        let mut framed = exchange();
        shake(&mut framed, 0);
        let (answer, why) = refused(framed.request(&token));
        assert!(answer.is_empty() && why.label() == "malformed_token", "{why}");
    }
}

#[test]
fn every_failed_login_is_told_the_same() {
    let huge = vec![b'x'; 500_000];
    let tokens: [&[u8]; 9] = [
        b"",
        b"alice\0secret",
        b"\0alice\0secret\0",
        b"\0alice\0sec\0ret",
        b"\0\0secret",
        b"\0alice\0",
        b"bob\0alice\0secret",
        b"\0alice\0\xff",
        &huge,
    ];
    let mut answers = Vec::new();
    for token in tokens {
        let mut exchange = exchange();
        shake(&mut exchange, 1);
        let (answer, why) = refused(exchange.request(&authenticate(1, token)));
        assert_eq!(why.label(), "malformed_token");
        assert!(!why.to_string().contains("secret"), "{why}");
        answers.push(answer);
        assert_eq!(closed(exchange.request(&authenticate(1, token))), Refused::OutOfTurn);
    }
    let mut exchange = exchange();
    shake(&mut exchange, 1);
    plain(exchange.request(&authenticate(1, b"alice\0alice\0secret")));
    answers.push(refused(exchange.verified(Verified::Unknown)).0);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let answer = read_authenticate_answer(1, &frame(answers.swap_remove(0))).unwrap();
    assert_eq!((answer.error, answer.message.as_deref()), (58, Some("Authentication failed")));
}

#[test]
fn a_fault_of_our_own_is_never_told_as_58() {
    let mut exchange = exchange();
    shake(&mut exchange, 1);
    plain(exchange.request(&authenticate(1, &plain_token("alice", "secret"))));
    assert_eq!(closed(exchange.verified(Verified::Unavailable)), Refused::Unavailable);
}

#[test]
fn an_unknown_mechanism_is_told_which_there_are() {
    for version in 0..=1 {
        let mut exchange = exchange();
        let (answer, why) = refused(exchange.request(&handshake(version, "GSSAPI\n")));
        assert_eq!(read_handshake_answer(&frame(answer)).unwrap(), (33, vec!["PLAIN".to_owned()]));
        assert_eq!(why.to_string(), "mechanism `GSSAPI\\n` is not enabled");
        assert_eq!(closed(exchange.request(&handshake(1, "PLAIN"))), Refused::OutOfTurn);
    }
}

#[test]
fn only_one_api_versions_succeeds_but_any_number_may_fail() {
    let mut exchange = exchange();
    let mut future = api_versions(4, "java");
    future[3] = 99;
    for _ in 0..3 {
        assert!(matches!(exchange.request(&future), Step::ApiVersions));
        assert!(matches!(exchange.request(&api_versions(3, "a b")), Step::ApiVersions));
    }
    assert!(matches!(exchange.request(&api_versions(0, "")), Step::ApiVersions));
    assert_eq!(closed(exchange.request(&api_versions(3, "java"))), Refused::SecondApiVersions);
}

#[test]
fn nothing_else_comes_before_the_login() {
    let first = |frame: &[u8]| closed(exchange().request(frame));
    for key in (0..=94).filter(|key| ![17, 18].contains(key)) {
        assert_eq!(first(&bare(key, 1)), Refused::Unexpected(i16::from(key)));
    }
    assert_eq!(first(&bare(95, 0)), Refused::Unexpected(95));
    assert_eq!(first(&[0xff; 20]), Refused::Unexpected(-1));
    assert_eq!(first(&bare(17, 2)), Refused::Version { key: 17, version: 2 });
    for cut in 0..handshake(1, "PLAIN").len() {
        assert_eq!(first(&handshake(1, "PLAIN")[..cut]).label(), "malformed", "{cut}");
    }
}

#[test]
fn a_request_where_a_token_was_due_is_told_34_in_its_own_words_and_closed() {
    let due = |frame: &[u8]| {
        let mut exchange = exchange();
        shake(&mut exchange, 1);
        exchange.request(frame)
    };
    let (answer, why) = refused(due(&handshake(1, "PLAIN")));
    assert_eq!((handshake_error(answer), why), (34, Refused::Unexpected(17)));
    let (answer, _) = refused(due(&api_versions(3, "java")));
    assert_eq!(answer[8..10], [0, 34]);
    let (answer, _) = refused(due(&bare(29, 1)));
    assert_eq!(answer[12..14], [0, 34]);
    assert_eq!(closed(due(&bare(0, 3))), Refused::Unexpected(0));
    assert_eq!(closed(due(&bare(36, 3))), Refused::Version { key: 36, version: 3 });
    assert_eq!(closed(due(&authenticate(2, b"abc")[..14])).label(), "malformed");
}

#[test]
fn a_live_client_may_authenticate_again_as_itself() {
    let start = Instant::now();
    let mut exchange = exchange();
    log_in(&mut exchange, 1);
    for turn in 1..=3 {
        let now = start + Duration::from_secs(turn);
        assert_eq!(handshake_error(answer(exchange.renew(&handshake(1, "PLAIN"), now))), 0);
        plain(exchange.renew(&authenticate(1, &plain_token("alice", "secret")), now));
        assert!(matches!(exchange.verified(Verified::Known("alice".into())), Step::Welcome { .. }));
    }

    let soon = start + Duration::from_millis(3999);
    assert_eq!(handshake_error(answer(exchange.renew(&handshake(1, "PLAIN"), soon))), 34);
    let lone = exchange.renew(&authenticate(2, b"x"), start + HOUR);
    assert_eq!(authenticate_error(2, answer(lone)), 34);
    assert_eq!(handshake_error(answer(exchange.renew(&handshake(0, "PLAIN"), start + HOUR))), 34);

    let later = start + HOUR;
    answer(exchange.renew(&handshake(1, "PLAIN"), later));
    plain(exchange.renew(&authenticate(1, &plain_token("bob", "secret")), later));
    let (answer, why) = refused(exchange.verified(Verified::Known("bob".into())));
    assert_eq!((authenticate_error(1, answer), why), (58, Refused::PrincipalChanged));
}

#[test]
fn where_nobody_logs_in_every_attempt_is_told_34() {
    let mut anonymous = Exchange::again("ANONYMOUS".into(), None, &[], None);
    let now = Instant::now();
    assert_eq!(handshake_error(answer(anonymous.renew(&handshake(1, "PLAIN"), now))), 34);
    assert_eq!(handshake_error(answer(anonymous.renew(&handshake(0, "PLAIN"), now))), 34);
    assert_eq!(authenticate_error(0, answer(anonymous.renew(&authenticate(0, b""), now))), 34);
    let mut changed = Exchange::again("alice".into(), Some(Mechanism::Plain), &[Mechanism::Plain], None);
    assert_eq!(handshake_error(answer(changed.renew(&handshake(1, "PLAIN"), now))), 0);
}
