//! `proxy.toml` at the root is the manual: it must check, as it is and with every key in it switched on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../proxy.toml");

/// A line that is a key or a table behind a `#`, as opposed to a sentence.
fn is_switched_off(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

fn everything_on() -> String {
    EXAMPLE
        .lines()
        .map(|line| if is_switched_off(line) { &line[1..] } else { line })
        .map(|line| line.replace("OPS_PASSWORD", "CARGO_PKG_NAME"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The files that the example names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    write("ca.pem", &made.cert.pem());
    write("gateway.pem", &made.cert.pem());
    write("gateway.key", &made.signing_key.serialize_pem());
    write("gateway.secret", "open sesame\n");
    write("bob.secret", "bob-secret\n");
    write("users.toml", "[[user]]\nname = \"carol\"\npassword = \"carol-secret\"\n");
    folder
}

#[test]
fn the_example_checks_as_it_is() {
    let model = config::parse(EXAMPLE, Path::new("/nowhere")).unwrap();
    assert_eq!(model.users.len(), 1);
    assert_eq!(model.clusters[0].listeners[0].frame_bytes_max, 100 << 20);
}

#[test]
fn the_example_checks_with_every_key_switched_on() {
    let folder = folder();
    let model = config::parse(&everything_on(), folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(
        model.users.iter().map(|user| &*user.name).collect::<Vec<_>>(),
        ["alice", "bob", "carol", "ops"]
    );
    assert_eq!(model.clusters[0].listeners[0].node_ids, [1, 2, 3]);
}

/// Keys whose switched-off line shows an example, because their default is none or stands elsewhere.
const NO_DEFAULT: [&str; 33] = [
    "users_file",
    "takeover",
    "node_addresses",
    "drain_nodes",
    "tls",
    "sasl",
    "admins",
    "node_ids",
    "age_max",
    "session_lifetime",
    "name",
    "password_file",
    "password_env",
    "kind",
    "by",
    "count",
    "window",
    "rate",
    "burst",
    "in_flight",
    "produce_rate",
    "fetch_rate",
    "produce_burst",
    "fetch_burst",
    "principal",
    "client_id",
    "address",
    "match",
    "url",
    "username",
    "password",
    "prefix",
    "sync",
];

#[test]
fn a_switched_off_line_shows_the_default() {
    let on = |keep: &dyn Fn(&str) -> bool| {
        let lines =
            EXAMPLE.lines().map(|line| if is_switched_off(line) && keep(line) { &line[1..] } else { line });
        config::parse(&lines.collect::<Vec<_>>().join("\n"), Path::new("/nowhere")).unwrap()
    };
    let key_of = |line: &str| line[1..].split(' ').next().unwrap().to_owned();
    let defaults = |line: &str| !line.starts_with("#[") && !NO_DEFAULT.contains(&key_of(line).as_str());
    assert_eq!(on(&|_| false), on(&defaults));
    let shown: BTreeSet<String> =
        EXAMPLE.lines().filter(|line| is_switched_off(line) && defaults(line)).map(key_of).collect();
    assert!(shown.len() > 15, "{shown:?}");
}

#[test]
fn every_key_that_is_known_is_in_the_example() {
    // An unknown key is answered with the list of those that are known.
    let tables = [
        "[log]",
        "[process]",
        "[drain]",
        "[[cluster]]",
        "[[cluster.listener]]",
        "[[user]]",
        "[[limit]]\nkind = \"fixed-window\"",
        "[[limit]]\nkind = \"leaky-bucket\"",
        "[[limit]]\nkind = \"concurrency\"",
        "[[limit]]\nkind = \"bytes\"",
        "[[limit.override]]",
        "[fleet]",
    ];
    let wrong = tables.map(|table| format!("{table}\nqqqqqqqqqqqqqqqqqqqqqqqq = 1\n")).concat();
    let faults = config::parse(&wrong, Path::new("/nowhere")).unwrap_err();
    let lists: Vec<&str> = faults
        .0
        .iter()
        .filter(|fault| fault.what.contains("qqqq"))
        .map(|fault| fault.remedy.split_once("one of ").unwrap().1)
        .collect();
    assert_eq!(lists.len(), tables.len());
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        let shown = EXAMPLE.lines().any(|line| {
            let line = line
                .trim_start_matches('#')
                .trim_start_matches('[')
                .trim_start_matches("cluster.")
                .trim_start_matches("limit.");
            line.starts_with(&format!("{key} = ")) || line.starts_with(&format!("{key}]"))
        });
        assert!(shown, "{key} is not in proxy.toml");
    }
}

#[test]
fn five_lines_are_enough() {
    let text = "[[cluster]]\nbootstrap = [\"kafka-1:9092\"]\n[[cluster.listener]]\nbind = \"127.0.0.1:19092\"\n\
                node_port_base = 19100\n";
    assert!(EXAMPLE.replace("\n#   ", "\n").contains(text), "the example shows these lines");
    let model = config::parse(text, Path::new("/nowhere")).unwrap();
    let cluster = &model.clusters[0];
    assert_eq!(&*cluster.name, "main");
    let listener = &cluster.listeners[0];
    assert_eq!(&*listener.advertised_host, "127.0.0.1");
    assert_eq!((listener.advertised_port, listener.advertised_port_base), (19092, 19100));
    assert!(listener.sasl.is_empty() && model.admin.is_none() && model.notes.is_empty());
    assert!(model.process.threads > 0);
}
