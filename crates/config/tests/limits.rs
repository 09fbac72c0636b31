//! What is said of limits that cannot be: each with its place and what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

/// Its five lines stand before each limit.
const CLUSTER: &str = "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\nbind = \"127.0.0.1:19092\"\n\
                       node_port_base = 19100\n";

/// The keys of a limit behind its `name`, from the eighth line on, and what is said of them.
type Case = (&'static str, &'static [&'static str]);

/// The faults of limits whose first one's head is the sixth line, and its `name` the seventh; places are lines and columns.
fn faults(keys: &str) -> Vec<String> {
    let text = format!("{CLUSTER}[[limit]]\nname = \"l\"\n{keys}\n");
    match config::parse(&text, Path::new("/nowhere")) {
        Ok(model) => panic!("no fault of {keys} in {:?}", model.limits),
        Err(faults) => faults.to_string().replace("proxy.toml:", "").lines().map(str::to_owned).collect(),
    }
}

#[track_caller]
fn are_refused(cases: &[Case]) {
    for (keys, expected) in cases {
        assert_eq!(faults(keys), *expected, "{keys}");
    }
}

/// Keys of amounts that are missing, foreign or out of range.
const AMOUNTS: [Case; 23] = [
    ("kind = \"leaky-bucket\"", &["6:1: [[limit]] has no `rate`: add rate = 100"]),
    ("kind = \"fixed-window\"\ncount = 6", &["6:1: [[limit]] has no `window`: add window = \"60s\""]),
    ("kind = \"fixed-window\"\nwindow = \"6s\"", &["6:1: [[limit]] has no `count`: add count = 600"]),
    (
        "kind = \"sliding-window\"\ncount = 0\nwindow = \"6s\"",
        &["9:9: `count` = 0 is out of range: write a whole number from 1 to 9223372036854775807"],
    ),
    (
        "kind = \"sliding-window\"\ncount = 1\nwindow = \"0s\"",
        &[
            "10:10: `window` = \"0s\" is out of range: write a time from 100ms to 30d, as in \"500ms\", \"10s\", \
             \"5m\", \"1h\" or \"1d\"",
        ],
    ),
    (
        "kind = \"sliding-window\"\ncount = 1\nwindow = \"60\"",
        &[
            "10:10: `window` = \"60\" cannot be read: write a time from 100ms to 30d, as in \"500ms\", \"10s\", \
             \"5m\", \"1h\" or \"1d\"",
        ],
    ),
    (
        "kind = \"sliding-window\"\nunit = \"bytes\"\ncount = \"lots\"\nwindow = \"1s\"",
        &["10:9: `count` = \"lots\" cannot be read: write a size such as \"64KiB\", \"100MiB\" or \"10GiB\""],
    ),
    (
        "kind = \"sliding-window\"\nunit = \"record\"\ncount = 1\nwindow = \"1s\"",
        &["9:8: `record` is no `unit`: did you mean `records`?"],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 0",
        &[
            "9:8: `rate` = 0 is no such rate: write a number per second from 0.001 to 1000000000, with at most three \
             decimals, such as 100 or 0.5",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = -1",
        &[
            "9:8: `rate` = -1 is no such rate: write a number per second from 0.001 to 1000000000, with at most \
             three decimals, such as 100 or 0.5",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 0.0001",
        &[
            "9:8: `rate` = 0.0001 is no such rate: write a number per second from 0.001 to 1000000000, with at most \
             three decimals, such as 100 or 0.5",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = \"1\"",
        &["9:8: `rate` is a string: write a number per second from 0.001 to 1000000000, with at most three \
             decimals, such as 100 or 0.5"],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nburst = 0",
        &["10:9: `burst` = 0 is out of range: write a whole number from 1 to 9223372036854775807"],
    ),
    ("kind = \"leaky-bucket\"\nburst = 5", &["6:1: [[limit]] has no `rate`: add rate = 100"]),
    (
        "kind = \"leaky-bucket\"\nrate = 1\ncount = 1\nin_flight = 2",
        &[
            "10:1: `count` is not for limits of the kind leaky-bucket: remove it; such a limit has rate, burst",
            "11:1: `in_flight` is not for limits of the kind leaky-bucket: remove it; such a limit has rate, burst",
        ],
    ),
    ("kind = \"concurrency\"", &["6:1: [[limit]] has no `in_flight`: add in_flight = 8"]),
    (
        "kind = \"concurrency\"\nin_flight = 0",
        &["9:13: `in_flight` = 0 is out of range: write a whole number from 1 to 10000000"],
    ),
    ("kind = \"connections\"", &["6:1: [[limit]] has no `count`: add count = 100"]),
    (
        "kind = \"bytes\"",
        &["6:1: [[limit]] has no `produce_rate`: add produce_rate = \"10MiB/s\" (or fetch_rate, or both)"],
    ),
    (
        "kind = \"bytes\"\nproduce_rate = \"0B/s\"",
        &["9:16: `produce_rate` = \"0B/s\" is out of range: write bytes per second such as \"64KiB/s\" or \
             \"10MiB/s\""],
    ),
    (
        "kind = \"bytes\"\nproduce_rate = 10",
        &["9:16: `produce_rate` is an integer: write bytes per second such as \"64KiB/s\" or \"10MiB/s\""],
    ),
    (
        "kind = \"bytes\"\nfetch_rate = \"10MiB\"",
        &["9:14: `fetch_rate` = \"10MiB\" cannot be read: write bytes per second such as \"64KiB/s\" or \
             \"10MiB/s\""],
    ),
    (
        "kind = \"bytes\"\nproduce_rate = \"1B/s\"\nfetch_burst = \"1B\"",
        &["10:15: `fetch_burst` without `fetch_rate`: add fetch_rate"],
    ),
];

/// Words, and what is matched.
const KEYS: [Case; 9] = [
    ("rate = 1", &["6:1: [[limit]] has no `kind`: add kind = \"fixed-window\""]),
    ("kind = \"fixed-windw\"", &["8:8: `fixed-windw` is no `kind`: did you mean `fixed-window`?"]),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nmax_throttle = \"9s\"",
        &[
            "10:16: `max_throttle` = \"9s\" is out of range: write a time from 0s to 8s, as in \"500ms\", \"10s\", \
             \"5m\", \"1h\" or \"1d\"",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nmode = \"watch\"\non_exceeded = \"throtle\"\nscope = \"global\"",
        &[
            "10:8: `watch` is no `mode`: write one of enforce, observe",
            "11:15: `throtle` is no `on_exceeded`: did you mean `throttle`?",
            "12:9: `global` is no `scope`: write one of replica, fleet",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nby = [\"user\", \"topic\", \"topic\"]",
        &[
            "10:7: `user` is no `by`: write one of principal, client_id, address, cluster, listener, topic, group, \
             api",
            "10:24: `topic` is named twice: remove one of the two",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nrates = 1",
        &["10:1: `rates` is no key of [[limit]]: did you mean `rate`?"],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nmatch = { principal = [], client_id = [\"a*b\"], address = \
         [\"10.0.0.0/33\", \"x\"] }",
        &[
            "10:23: `principal` is empty: remove it to match all, or name some, as in principal = [\"alice\", \
             \"team-*\"]",
            "10:40: `a*b` has a `*` before its end: write a name, or the beginning of names and one `*`",
            "10:59: `10.0.0.0/33` is no network: write an IP address, or one with a prefix length as in \
             \"10.0.0.0/8\" or \"fd00::/8\"",
            "10:74: `x` is no network: write an IP address, or one with a prefix length as in \"10.0.0.0/8\" or \
             \"fd00::/8\"",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nmatch = { cluster = [\"mian\"], listener = [\"127.0.0.1:19093\"], user = \
         [\"a\"] }",
        &[
            "10:22: `mian` is no cluster of this file: did you mean `main`?",
            "10:43: `127.0.0.1:19093` is no listener of this file: did you mean `127.0.0.1:19092`?",
            "10:63: `user` is no key of match = { … }: remove it, or write one of principal, client_id, address, \
             cluster, listener, topic, group, api, class",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nmatch = { api = [\"Fech\", \"Produce\", \"Vote\", \"nothing\"], class = \
         [\"groups\", \"internal\"] }",
        &[
            "10:18: `Fech` is no API of clients: did you mean `Fetch`?",
            "10:37: `Vote` is no API of clients: write Kafka's name of it, such as Produce, Fetch or Metadata",
            "10:45: `nothing` is no API of clients: write Kafka's name of it, such as Produce, Fetch or Metadata",
            "10:66: `groups` is no class of requests: did you mean `group`?",
            "10:76: `internal` is no class of requests: write one of produce, fetch, metadata, group, transaction, \
             admin, login",
        ],
    ),
];

/// Overrides.
const OVERRIDES: [Case; 7] = [
    (
        "kind = \"leaky-bucket\"\n[[limit.override]]\nrate = 1",
        &["9:1: the override is for nobody: add principal, client_id or both, each a name or \"<default>\""],
    ),
    (
        "kind = \"leaky-bucket\"\n[[limit.override]]\nprincipal = \"a\"",
        &["9:1: [[limit.override]] has no `rate`: add rate = 100"],
    ),
    (
        "kind = \"leaky-bucket\"\n[[limit.override]]\nprincipal = \"a\"\nrate = 1\n[[limit.override]]\nprincipal = \
         \"a\"\nrate = 2",
        &["12:1: there is an override for the same already, at 9: remove one of the two"],
    ),
    (
        "kind = \"leaky-bucket\"\n[[limit.override]]\naddress = \"10.0.0.1\"\nrate = 1\nin_flight = 1",
        &[
            "10:11: only connections and connection-rate have overrides by address: name a principal, a client_id or \
             both",
            "12:1: `in_flight` is not for limits of the kind leaky-bucket: remove it; such a limit has rate, burst",
        ],
    ),
    (
        "kind = \"connections\"\n[[limit.override]]\nclient_id = \"a\"\ncount = 1",
        &["10:13: `client_id` is not known when a connection comes: name a principal or an address"],
    ),
    (
        "kind = \"connections\"\n[[limit.override]]\nprincipal = \"a\"\naddress = \"10.0.0.0/8\"\ncount = 1",
        &[
            "11:11: `10.0.0.0/8` is no IP address: write one as in \"10.0.0.1\" or \"fd00::1\", or \"<default>\"",
            "11:11: an override is for an address or for a principal, not for both: make two of it",
        ],
    ),
    (
        "kind = \"connections\"\n[[limit.override]]\ncount = 1",
        &["9:1: the override is for nobody: add principal or address, a name or \"<default>\""],
    ),
];

/// Limits that would never count anything, or cannot do what they shall.
const REACH: [Case; 16] = [
    (
        "kind = \"connections\"\ncount = 1\nby = [\"topic\"]\nmatch = { client_id = [\"a\"] }",
        &[
            "10:7: `topic` is not for limits of the kind connections: it is not known when a connection comes: \
             remove it, or take another kind of limit",
            "11:23: `client_id` is not for limits of the kind connections: it is not known when a connection comes: \
             remove it, or take another kind of limit",
        ],
    ),
    (
        "kind = \"connection-rate\"\nrate = 1\nmatch = { class = [\"fetch\"] }",
        &[
            "10:19: `api` is not for limits of the kind connection-rate: it is not known when a connection comes: \
             remove it, or take another kind of limit",
        ],
    ),
    (
        "kind = \"concurrency\"\nin_flight = 1\nby = [\"topic\"]",
        &[
            "10:7: `topic` is not for limits of the kind concurrency: it does not look into requests for it: remove \
             it, or take another kind of limit",
        ],
    ),
    (
        "kind = \"mutations\"\nrate = 1\nmatch = { group = [\"a\"] }",
        &[
            "10:19: `group` is not for limits of the kind mutations: it does not look into requests for it: remove \
             it, or take another kind of limit",
        ],
    ),
    (
        "kind = \"bytes\"\nproduce_rate = \"1B/s\"\nby = [\"group\"]",
        &[
            "10:7: `group` is not for limits of the kind bytes: Produce and Fetch name no group: remove it, or take \
             another kind of limit",
        ],
    ),
    (
        "kind = \"fixed-window\"\nunit = \"records\"\ncount = 1\nwindow = \"1s\"\nby = [\"group\"]",
        &[
            "12:7: `group` is not for limits of the kind fixed-window of records: Produce and Fetch name no group: \
             remove it, or take another kind of limit",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nby = [\"topic\"]\nmatch = { group = [\"a\"] }",
        &["11:19: a limit looks at topics or at groups, not at both: make two limits of it"],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nby = [\"group\"]\nmatch = { class = [\"produce\"] }",
        &[
            "11:19: none of the requests in `match` names a group: match class = [\"group\"], or leave api and class \
             out",
        ],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\nby = [\"topic\"]\nmatch = { api = [\"Metadata\"] }",
        &[
            "11:17: none of the requests in `match` carries records: match api = [\"Produce\"], [\"Fetch\"] or both",
        ],
    ),
    (
        "kind = \"fixed-window\"\nunit = \"records\"\ncount = 1\nwindow = \"1s\"\nmatch = { api = [\"Fetch\"] }",
        &["12:17: records are counted in Produce only, which is not in `match`: match api = [\"Produce\"]"],
    ),
    (
        "kind = \"mutations\"\nrate = 1\nmatch = { api = [\"Produce\"] }",
        &["10:17: none of the requests in `match` creates or deletes topics or partitions: match api = \
             [\"CreateTopics\", \"DeleteTopics\", \"CreatePartitions\"], or leave api and class out"],
    ),
    (
        "kind = \"bytes\"\nproduce_rate = \"1B/s\"\nmatch = { api = [\"Fetch\"] }",
        &[
            "10:17: there is no rate for what `match` lets through: match Produce and give produce_rate, or match \
             Fetch and give fetch_rate",
        ],
    ),
    (
        "kind = \"concurrency\"\nin_flight = 1\non_exceeded = \"reject\"",
        &["10:15: limits of the kind concurrency cannot reject: write on_exceeded = \"throttle\""],
    ),
    (
        "kind = \"connections\"\ncount = 1\non_exceeded = \"reject\"",
        &["10:15: limits of the kind connections cannot reject: write on_exceeded = \"throttle\""],
    ),
    (
        "kind = \"leaky-bucket\"\nrate = 1\non_exceeded = \"reject\"\nmatch = { class = [\"fetch\"] }",
        &[
            "10:15: nothing that this limit counts can be rejected: write on_exceeded = \"throttle\"; only Produce, \
             CreateTopics, DeleteTopics and CreatePartitions have an error that clients retry",
        ],
    ),
    (
        "kind = \"bytes\"\nfetch_rate = \"1B/s\"\non_exceeded = \"reject\"",
        &[
            "10:15: nothing that this limit counts can be rejected: write on_exceeded = \"throttle\"; only Produce, \
             CreateTopics, DeleteTopics and CreatePartitions have an error that clients retry",
        ],
    ),
];

#[test]
fn every_amount_is_told_what_it_lacks() {
    are_refused(&AMOUNTS);
}

#[test]
fn every_word_that_is_not_known_is_told_which_are() {
    are_refused(&KEYS);
}

#[test]
fn every_override_is_for_somebody_whom_the_limit_can_know() {
    are_refused(&OVERRIDES);
}

#[test]
fn what_a_limit_never_sees_or_cannot_do_is_refused() {
    are_refused(&REACH);
}

#[test]
fn names_are_unique_and_fit_for_labels() {
    let kind = "kind = \"leaky-bucket\"\nrate = 1";
    let next = |name: &str| format!("{kind}\n[[limit]]\n{name}{kind}");
    let told = |name: &str| faults(&next(name)).join("\n");
    assert_eq!(
        told("name = \"l\"\n"),
        "11:8: limit `l` is there already, at 7: give each limit a `name` of its own"
    );
    assert_eq!(told(""), "10:1: [[limit]] has no `name`: add name = \"requests-per-user\"");
    for name in ["", "a b", "ü", &"x".repeat(101)] {
        let wanted = format!(
            "11:8: `{name}` cannot be the name of a limit: write 1 to 100 letters, digits, `-`, `_` or `.`"
        );
        assert_eq!(told(&format!("name = \"{name}\"\n")), wanted);
    }
}

#[test]
fn a_limit_that_only_counts_is_noted() {
    let notes = |keys: &str| {
        let text = format!("{CLUSTER}[[limit]]\nname = \"l\"\nkind = \"leaky-bucket\"\nrate = 1\n{keys}\n");
        config::parse(&text, Path::new("/nowhere")).unwrap().notes
    };
    let pressing = "this limit only counts: logins and calls of groups and transactions are never delayed";
    assert_eq!(notes("match = { api = [\"Heartbeat\"] }"), [format!("proxy.toml:10: {pressing}")]);
    assert_eq!(
        notes("max_throttle = \"0s\""),
        ["proxy.toml:10: a limit whose max_throttle is 0s only counts"]
    );
    assert_eq!(notes("max_throttle = \"8s\""), [""; 0]);
}

#[test]
fn what_is_held_and_given_back_is_not_shared_by_a_fleet() {
    are_refused(&[(
        "kind = \"concurrency\"\nin_flight = 8\nscope = \"fleet\"\n[fleet]\nurl = \"redis://127.0.0.1:6379\"",
        &[
            "10:9: limits of the kind concurrency cannot be shared by a fleet: write scope = \"replica\", and each replica's part",
        ],
    )]);
}
