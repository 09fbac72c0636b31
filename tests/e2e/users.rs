//! Who may come in: bad logins are answered soon and neutrally, and TLS changes nothing of what users see.

use std::time::{Duration, Instant};

use testkit::raw::{self, HeadStyle, RawClient};

use crate::ground::{ALICE, Ground, OPS, Way, scenarios};
use crate::java_programs::program;

const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// Kafka's `SASL_AUTHENTICATION_FAILED`.
const AUTHENTICATION_FAILED: i16 = 58;

scenarios! {
    both: wrong_passwords_and_unknown_users_are_answered_alike_and_soon;
    full: kcat_and_java_work_over_tls, clients_tell_their_users_that_the_password_is_wrong;
    new: broker_configurations_are_shown_to_admins_without_addresses;
}

/// Logs in by PLAIN: the error, and the rest of the answer.
pub(crate) fn log_in(client: &mut RawClient, user: &str, password: &str) -> (i16, Vec<u8>) {
    let mut mechanism = Vec::new();
    raw::string(&mut mechanism, "PLAIN");
    let handshake = raw::request(SASL_HANDSHAKE, 1, 1, "test", HeadStyle::Classic, &mechanism);
    assert_eq!(client.ask(&handshake).unwrap()[4..6], [0, 0], "the handshake is refused");
    let token = format!("\0{user}\0{password}");
    let mut body = u32::try_from(token.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(token.as_bytes());
    let answer =
        client.ask(&raw::request(SASL_AUTHENTICATE, 1, 2, "test", HeadStyle::Classic, &body)).unwrap();
    (i16::from_be_bytes([answer[4], answer[5]]), answer[6..].to_vec())
}

fn wrong_passwords_and_unknown_users_are_answered_alike_and_soon(ground: &Ground) {
    let answers = [(ALICE.0, "wrong"), ("nobody", ALICE.1), (ALICE.0, "")].map(|(user, password)| {
        let mut client = RawClient::connect(ground.gateway.address()).unwrap();
        let begun = Instant::now();
        let answer = log_in(&mut client, user, password);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(client.until_closed().unwrap().is_empty());
        answer
    });
    assert_eq!(answers[0].0, AUTHENTICATION_FAILED);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, answers[2].0);
    let mut client = RawClient::connect(ground.gateway.address()).unwrap();
    assert_eq!(log_in(&mut client, ALICE.0, ALICE.1).0, 0);
}

fn clients_tell_their_users_that_the_password_is_wrong(ground: &Ground) {
    let way = Way { user: Some((ALICE.0, "wrong")), ..ground.through(ALICE) };
    let kcat = way.kcat(&["-L", "-m", "5"]).run().unwrap();
    assert_ne!(kcat.code, Some(0));
    assert!(kcat.stderr.contains("uthentication"), "{}", kcat.stderr);
    let java = way.tool("kafka-topics", &["--list"]).run().unwrap();
    assert_ne!(java.code, Some(0));
    let said = java.stdout + &java.stderr;
    assert!(said.contains("SaslAuthenticationException") || said.contains("Authentication failed"), "{said}");
}

fn kcat_and_java_work_over_tls(ground: &Ground) {
    ground.agree_by(&ground.through_tls(ALICE), |way| {
        let topic = way.topic("tls", 1);
        way.kcat(&["-P", "-t", &topic, "-z", "lz4"]).input("one\ntwo\n").run().unwrap().ok().unwrap();
        let consumed = way.kcat(&["-C", "-t", &topic, "-q", "-o", "beginning", "-c", "2"]);
        assert_eq!(consumed.run().unwrap().ok().unwrap(), "one\ntwo\n");
        program(way, "Tour", &[&way.name("tls-tour")])
    });
}

fn broker_configurations_are_shown_to_admins_without_addresses(ground: &Ground) {
    let arguments = ["--describe", "--entity-type", "brokers", "--entity-name", "1", "--all"];
    let said = ground.through(OPS).run("kafka-configs", &arguments);
    assert!(said.contains("broker.rack=rack-1"), "{said}");
    assert!(said.contains("advertised.listeners=null"), "{said}");
    for name in ground.cluster.names() {
        assert!(!said.contains(&name), "{name} in\n{said}");
    }
    let refused = ground.through(ALICE).tool("kafka-configs", &arguments).run().unwrap();
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("ClusterAuthorizationException"), "{said}");
    ground.assert_no_leak();
}
