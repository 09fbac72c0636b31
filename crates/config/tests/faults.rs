//! What is said of a faulty configuration: every fault at once, each with its place and what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

/// Appended to what is under test where a cluster is needed and not the point.
const CLUSTER: &str = "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\nbind = \"127.0.0.1:19092\"\n\
                       node_port_base = 19100\n";

fn faults(text: &str) -> Vec<String> {
    faults_at(text, Path::new("/nowhere"))
}

fn faults_at(text: &str, base: &Path) -> Vec<String> {
    match config::parse(text, base) {
        Ok(model) => panic!("no fault in {model:?}"),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

/// The faults of `keys` in the listener of the smallest file, which begin at its sixth line.
fn faults_of_listener(keys: &str) -> Vec<String> {
    faults(&format!("{CLUSTER}{keys}"))
}

#[track_caller]
fn one(faults: &[String]) -> &str {
    assert_eq!(faults.len(), 1, "{faults:#?}");
    &faults[0]
}

/// A file with a fault in nearly every line.
const FAULTY: &str = r#"
user_file = "users.toml"
[admin]
[log]
filter = "loud"
format = 7
[proces]
[[cluster]]
name = "a b"
bootstrap = ["kafka-1", "::1:9092", "kafka-3:0"]
node_addresses = { x = "h:1", 2 = "h" }
drain_nodes = [1, -2, "3"]
dial_timout = "3s"
refresh = "10"
[[cluster.listener]]
bind = "0.0.0.0:19092"
node_port_base = 65535
node_ids = "1-x"
sasl = ["SCRAM-SHA-512"]
in_flight_max = 0
frame_bytes_max = "4GiB"
login_timeout = "1d"
[[cluster]]
bootstrap = []
listener = 3
[[user]]
password = "hunter2"
passwort = "hunter2"
"#;

/// What is said of it.
const OF_FAULTY: [&str; 25] = [
    "proxy.toml:2:1: `user_file` is no key of the top level: did you mean `users_file`?",
    "proxy.toml:3:1: [admin] has no `bind`: add bind = \"127.0.0.1:9644\"",
    "proxy.toml:5:10: `loud` is no filter: write a level (off, error, warn, info, debug, trace), and levels of targets \
         after commas, as in \"info,portcullis=debug\"",
    "proxy.toml:6:10: `format` is an integer: write a text in quotes, as in format = \"human\"",
    "proxy.toml:7:2: `proces` is no key of the top level: did you mean `process`?",
    "proxy.toml:9:8: `a b` cannot be the name of a cluster: write 1 to 100 letters, digits, `-`, `_` or `.`",
    "proxy.toml:10:14: `kafka-1` has no port: write host:port, as in \"kafka-1:9092\"",
    "proxy.toml:10:25: `::1:9092` has more than one colon; an IPv6 address is written in brackets: write host:port, as \
         in \"kafka-1:9092\"",
    "proxy.toml:10:37: `kafka-3:0` has no port between 1 and 65535: write host:port, as in \"kafka-1:9092\"",
    "proxy.toml:11:20: `x` is no node id: write a node id, as in { 1 = \"10.0.0.1:9092\" }",
    "proxy.toml:11:35: `h` has no port: write host:port, as in { 1 = \"10.0.0.1:9092\" }",
    "proxy.toml:12:19: `drain_nodes` = -2 is out of range: write an array of whole numbers, as in drain_nodes = [2]",
    "proxy.toml:12:23: `drain_nodes` is a string: write an array of whole numbers, as in drain_nodes = [2]",
    "proxy.toml:13:1: `dial_timout` is no key of [[cluster]]: did you mean `dial_timeout`?",
    "proxy.toml:14:11: `refresh` = \"10\" cannot be read: write a time from 100ms to 1h, as in \"500ms\", \"10s\", \
         \"5m\", \"1h\" or \"1d\"",
    "proxy.toml:16:8: nobody can dial 0.0.0.0, and there is no `advertised_host`: add advertised_host = the name that \
         clients reach this host by",
    "proxy.toml:18:12: `1-x` is neither a node id nor a range of them: write ids and ranges divided by commas, as in \
         \"1-3\" or \"1,2,5-7\"",
    "proxy.toml:19:9: `SCRAM-SHA-512` is no mechanism that is spoken here: write \"PLAIN\"",
    "proxy.toml:20:17: `in_flight_max` = 0 is out of range: write a whole number from 1 to 65536",
    "proxy.toml:21:19: `frame_bytes_max` = \"4GiB\" cannot be read: write a size from 1KiB to 2047MiB, as in \"64KiB\" \
         or \"100MiB\"",
    "proxy.toml:22:17: `login_timeout` = \"1d\" is out of range: write a time from 10ms to 10m, as in \"500ms\", \
         \"10s\", \"5m\", \"1h\" or \"1d\"",
    "proxy.toml:24:13: `bootstrap` is empty: name at least one broker, as in [\"kafka-1:9092\", \"kafka-2:9092\"]",
    "proxy.toml:25:12: `listener` is an integer: write it as [[cluster.listener]], with two brackets, once for each",
    "proxy.toml:26:1: [[user]] has no `name`: add name = \"alice\"",
    "proxy.toml:28:1: `passwort` is no key of [[user]]: did you mean `password`?",
];

#[test]
fn all_faults_are_told_at_once() {
    let told = faults(FAULTY);
    for (told, expected) in told.iter().zip(&OF_FAULTY) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), OF_FAULTY.len(), "{told:#?}");
}

#[test]
fn a_syntax_error_is_one_fault_with_its_place() {
    let told = faults("[[cluster]]\nname = \"main\"\nbootstrap = [\"a:1\"\nhold = \"5s\"\n");
    assert!(one(&told).starts_with("proxy.toml:4:"), "{told:?}");
    let told = faults("[[user]]\npassword = hunter2\n");
    assert!(one(&told).starts_with("proxy.toml:2:12: is not TOML ("), "{told:?}");
    assert!(!told[0].contains("hunter"), "{told:?}");
    assert_eq!(one(&faults("")).split(": ").nth(1), Some("has no [[cluster]]"));
}

#[test]
fn no_fault_and_no_debug_print_shows_a_password() {
    let secrets = r#"
[[user]]
name = "a"
password = "SCRAM-SHA-512$hunter2"
[[user]]
name = "b"
password = ["hunter2"]
[[user]]
name = "c"
password = "hunter2"
password_env = "hunter2"
[[user]]
name = "d"
password_env = "hunter2"
[[user]]
name = "e"
password = "hunter2\n"
"#;
    let told = faults(&format!("{secrets}{CLUSTER}"));
    assert_eq!(
        told,
        [
            "proxy.toml:4:12: the SCRAM-SHA-512 credential is not five fields divided by $: copy the whole line that \
             `portcullis hash-password` prints",
            "proxy.toml:7:12: `password` is an array: write a text in quotes, as in password = \"…\"",
            "proxy.toml:11:16: [[user]] has password and password_env: keep one of them",
            "proxy.toml:14:16: the environment has no variable of this name: set it, or name one that is set to UTF-8 text",
            "proxy.toml:17:12: the password is empty, or has a line break or NUL in it: give one line with at least one \
             character",
        ]
    );
    let text = format!(
        "{CLUSTER}[[user]]\nname = \"a\"\npassword = \"hunter2\"\n[[cluster]]\nname = \"b\"\nbootstrap = [\"k:1\"]\n\
         sasl = {{ mechanism = \"PLAIN\", username = \"u\", password = \"hunter2\" }}\n[[cluster.listener]]\n\
         bind = \"127.0.0.1:1\"\nnode_port_base = 2\n"
    );
    let model = config::parse(&text, Path::new("")).unwrap();
    assert!(!format!("{model:#?}").contains("hunter"));
    assert_eq!(model.notes.len(), 2, "{:?}", model.notes);
    assert!(model.notes[0].starts_with("proxy.toml:8: a password is clear text"), "{:?}", model.notes);
}

#[test]
fn two_who_want_one_port_are_told_of_each_other() {
    let two = |first: &str, second: &str| {
        faults(&format!(
            "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\n{first}\n[[cluster.listener]]\n{second}\n"
        ))
    };
    let bind = |bind: &str, base: u16, ids: &str| {
        format!("bind = \"{bind}\"\nadvertised_host = \"h\"\nnode_port_base = {base}\nnode_ids = \"{ids}\"")
    };
    assert_eq!(
        one(&two(&bind("127.0.0.1:19092", 19100, "1-3"), &bind("0.0.0.0:19092", 19200, "1-3"))),
        "proxy.toml:9:8: port 19092 of listener 0.0.0.0:19092 is also that of listener 127.0.0.1:19092 (proxy.toml:4): move \
         one of the two to ports that are free"
    );
    assert_eq!(
        one(&two(&bind("127.0.0.1:19092", 19100, "1-3"), &bind("127.0.0.1:19103", 19200, "1-3"))),
        "proxy.toml:9:8: port 19103 of listener 127.0.0.1:19103 is also that of node 3 of listener 127.0.0.1:19092 \
         (proxy.toml:6): move one of the two to ports that are free"
    );
    assert_eq!(
        one(&two(&bind("127.0.0.1:19092", 19100, "1-30"), &bind("127.0.0.1:19093", 19120, "1-30"))),
        "proxy.toml:11:18: port 19121 of node 1 of listener 127.0.0.1:19093 is also that of node 21 of listener \
         127.0.0.1:19092 (proxy.toml:6): move one of the two to ports that are free"
    );
    let told = two(
        "bind = \"127.0.0.1:1000\"\nnode_port_base = 2000",
        "bind = \"127.0.0.1:1001\"\nnode_port_base = 2000",
    );
    assert!(one(&told).contains("node_port_base 2000 is taken already, at proxy.toml:5"), "{told:?}");
    let told = faults_of_listener("node_ids = \"0-9\"\n[admin]\nbind = \"127.0.0.1:19105\"\n");
    assert!(
        one(&told).contains("port 19105 of node 5 of listener 127.0.0.1:19092 is also that of [admin]"),
        "{told:?}"
    );
    let told = faults(
        "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\nbind = \"127.0.0.1:19101\"\n\
                       node_port_base = 19100\nnode_ids = \"1\"\n",
    );
    assert!(one(&told).contains("port 19101 of node 1 of listener 127.0.0.1:19101 is also"), "{told:?}");

    let apart = format!(
        "[[cluster]]\nbootstrap = [\"k:9092\"]\n[[cluster.listener]]\n{}\n[[cluster.listener]]\n{}\n",
        bind("127.0.0.1:19092", 19100, "1-3"),
        bind("127.0.0.2:19092", 19100, "1-3")
    );
    assert!(config::parse(&apart, Path::new("")).is_ok());
}

#[test]
fn every_known_node_has_a_port() {
    assert_eq!(
        one(&faults_of_listener("node_ids = \"1,50000\"")),
        "proxy.toml:5:18: node 50000 would be at port 69100, which does not exist: write a base from 1 to 15535"
    );
    assert!(
        one(&faults_of_listener("node_ids = \"3\"\nadvertised_port_base = 65533"))
            .contains("node 3 would be at port")
    );
    assert!(
        one(&faults_of_listener("node_ids = \"3\"\nadvertised_port = 19103"))
            .contains("port 19103 would be advertised both for bootstrap and for node 3")
    );
    assert!(one(&faults_of_listener("node_ids = \"5-3\"")).contains("`5-3` is neither"));
    assert!(one(&faults_of_listener("age_jitter = 1.5")).contains("`age_jitter` is out of range"));
}

#[test]
fn names_are_unique_and_admins_can_log_in() {
    let again = CLUSTER.replace("19", "29");
    let told = faults(&format!("{CLUSTER}{again}"));
    assert_eq!(
        one(&told),
        "proxy.toml:6:1: cluster `main` is there already, at proxy.toml:1: give each cluster a `name` of its own"
    );
    let user = "[[user]]\nname = \"a\"\npassword = \"p\"\n";
    let told = faults(&format!("{user}{user}{CLUSTER}"));
    assert_eq!(one(&told), "proxy.toml:5:8: `a` is a user already, at proxy.toml:2: remove one of the two");
    assert_eq!(
        one(&faults_of_listener("sasl = [\"PLAIN\"]")),
        "proxy.toml:6:8: nobody can log in, there are no users: add [[user]] with name and password, or users_file"
    );
    let admins = |admins: &str, sasl: &str| {
        let cluster = CLUSTER.replace("[[cluster]]", &format!("[[cluster]]\nadmins = {admins}"));
        faults(&format!("{cluster}{sasl}\n{user}"))
    };
    assert!(one(&admins("[\"a\", \"b\"]", "sasl = [\"PLAIN\"]")).contains("2:16: `b` is no user"));
    assert!(one(&admins("[\"ANONYMOUS\"]", "sasl = [\"PLAIN\"]")).contains("nobody is anonymous here"));
    assert!(one(&admins("[\"a\"]", "")).contains("nobody can be `a` here, every listener is anonymous"));
    let cluster = CLUSTER.replace("[[cluster]]", "[[cluster]]\nadmins = [\"ANONYMOUS\"]");
    assert!(config::parse(&cluster, Path::new("")).is_ok());
}

#[test]
fn what_the_file_names_is_read_and_its_faults_name_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), "[[user]]\nnam = \"a\"\npassword_file = \"a.secret\"\n")
        .unwrap();
    std::fs::write(folder.path().join("not.pem"), "hunter2\n").unwrap();
    let text = format!(
        "users_file = \"users.toml\"\n{CLUSTER}tls = {{ certificate = \"not.pem\", key = \"not.pem\" }}\n\
         sasl = [\"PLAIN\"]\n[[cluster]]\nname = \"b\"\nbootstrap = [\"k:1\"]\ntls = {{ ca = \"gone.pem\" }}\n\
         [[cluster.listener]]\nbind = \"127.0.0.1:1\"\nnode_port_base = 2\n"
    );
    let told =
        faults_at(&text, folder.path()).join("\n").replace(&folder.path().display().to_string(), "HERE");
    assert_eq!(
        told,
        "HERE/users.toml:1:1: [[user]] has no `name`: add name = \"alice\"\n\
         HERE/users.toml:2:1: `nam` is no key of [[user]]: did you mean `name`?\n\
         HERE/users.toml:3:17: HERE/a.secret cannot be read (No such file or directory (os error 2)): name a readable file; \
         a relative path is relative to the folder of this one\n\
         proxy.toml:7:23: not.pem holds no certificate: name a PEM file with -----BEGIN CERTIFICATE----- in it\n\
         proxy.toml:7:40: not.pem holds no private key: name a PEM file with an unencrypted key in it (PKCS#8, PKCS#1 or \
         SEC1)\n\
         proxy.toml:12:14: HERE/gone.pem cannot be read (No such file or directory (os error 2)): name a readable file; a \
         relative path is relative to the folder of this one"
    );
    let missing = folder.path().join("missing.toml");
    let told = config::load(&missing).unwrap_err().to_string();
    assert!(told.ends_with("name a readable UTF-8 file"), "{told}");
}

#[test]
fn an_advertised_host_is_one_that_can_be_dialled() {
    let told = |host: &str| faults_of_listener(&format!("advertised_host = \"{host}\""));
    assert!(one(&told("0.0.0.0")).contains("`0.0.0.0` is an address that nobody can dial"));
    assert!(one(&told("kafka:9092")).contains("has a host with characters that no host name has"));
    assert!(one(&told("")).contains("`` has no host"));
}

#[test]
fn a_shutdown_has_room_for_what_is_spread_over_it_and_a_socket_for_its_path() {
    assert_eq!(
        one(&faults(&format!("[drain]\nshutdown = \"5s\"\nspread = \"6s\"\n{CLUSTER}"))),
        "proxy.toml:3:10: `spread` is longer than `shutdown`, and the rest of it would be cut: write a shorter time, or a \
         longer `shutdown`"
    );
    let drain = |keys: &str| {
        config::parse(&format!("[drain]\n{keys}\n{CLUSTER}"), Path::new("/nowhere")).unwrap().drain
    };
    assert_eq!(drain("shutdown = \"6s\"").spread, std::time::Duration::from_secs(2));
    let process = |takeover: &str| format!("[process]\ntakeover = {takeover:?}\n{CLUSTER}");
    for unfit in ["", &"x".repeat(107)] {
        assert!(one(&faults(&process(unfit))).contains("is no place for a Unix socket"), "{unfit:?}");
    }
    let model = config::parse(&process("t.sock"), Path::new("/nowhere")).unwrap();
    assert_eq!(model.process.takeover.unwrap(), Path::new("/nowhere/t.sock"));
}
