//! The testkit's own promises, on real Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use testkit::{Advertise, FreePorts, KAFKA_NEW, KAFKA_OLD, KafkaCluster, Spec, Tap, Tool};

#[test]
fn records_pass_through_a_new_cluster_and_its_share_group() {
    let cluster = KafkaCluster::start(Spec::new(KAFKA_NEW, 3)).unwrap();
    let direct = cluster.direct();
    let server = ["--bootstrap-server", &direct];
    let run = |name: &str, arguments: &[&str]| {
        cluster.tool(name, &server).unwrap().args(arguments).run().unwrap().ok().unwrap()
    };
    run("kafka-topics", &["--create", "--topic", "t", "--partitions", "3", "--replication-factor", "3"]);
    let set = "share.auto.offset.reset=earliest";
    run("kafka-configs", &["--alter", "--entity-type", "groups", "--entity-name", "g", "--add-config", set]);
    let producer = cluster.tool("kafka-console-producer", &server).unwrap();
    producer.args(&["--topic", "t"]).input("one\ntwo\nthree\n").run().unwrap().ok().unwrap();
    let limit = ["--topic", "t", "--max-messages", "3", "--timeout-ms", "30000"];
    let consumed = run("kafka-console-consumer", &[&limit[..], &["--from-beginning"]].concat());
    let shared = run("kafka-console-share-consumer", &[&limit[..], &["--group", "g"]].concat());
    for output in [consumed, shared] {
        let mut lines: Vec<&str> = output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "three", "two"]);
    }
}

#[test]
fn a_node_is_upgraded_and_moved_with_its_data() {
    let users = [("alice", "a \"quoted\" \\ secret")];
    let cluster = KafkaCluster::start(Spec::new(KAFKA_OLD, 3).with_sasl(&users)).unwrap();
    let port = cluster.spare_port().unwrap();
    cluster.stop_node(2).unwrap();
    cluster.start_node_as(2, Some(KAFKA_NEW), Some(port)).unwrap();
    assert_eq!(cluster.node_addresses()[&2], format!("127.0.0.1:{port}"));
    let listing = Tool::program("kcat", "kcat")
        .args(&["-L", "-b", &cluster.direct(), "-X", "security.protocol=SASL_PLAINTEXT"])
        .args(&["-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice"])
        .args(&["-X", &format!("sasl.password={}", users[0].1)])
        .run()
        .unwrap()
        .ok()
        .unwrap();
    assert!(listing.contains("3 brokers"), "{listing}");
}

#[test]
fn a_tap_in_front_of_a_broker_sees_what_it_advertises() {
    let cluster = KafkaCluster::start(Spec::new(KAFKA_NEW, 1)).unwrap();
    let broker = cluster.bootstrap()[0].rsplit_once(':').unwrap().1.parse().unwrap();
    let ports = FreePorts::reserve(1).unwrap();
    let tap = Tap::start(&[(ports.base(), broker)], cluster.needles()).unwrap();
    let address = format!("127.0.0.1:{}", ports.base());
    // Whether it succeeds depends on whom it asks first: the name that it is told is nobody's.
    Tool::program("kcat", "kcat").args(&["-L", "-b", &address]).run().unwrap();
    assert!(tap.found().iter().any(|found| found.starts_with("broker-1.kafka.invalid")), "{:?}", tap.found());
}

/// Started by the next test as a process of its own; does nothing when all tests are run.
#[test]
fn a_child_that_is_killed() {
    let Some(told) = env::var_os("PORTCULLIS_TESTKIT_TOLD") else { return };
    let cluster = KafkaCluster::start(Spec::new(KAFKA_NEW, 1).advertising(Advertise::Loopback)).unwrap();
    fs::write(told, cluster.directory().to_str().unwrap()).unwrap();
    thread::sleep(Duration::from_mins(10));
}

#[test]
fn nothing_is_left_of_a_test_that_was_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let told = scratch.path().join("told");
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_child_that_is_killed"])
        .env("PORTCULLIS_TESTKIT_TOLD", &told)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !told.exists() {
        assert!(begun.elapsed() < Duration::from_mins(2), "the child started no cluster");
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_millis(100)); // for the write after the creation
    let directory = fs::read_to_string(&told).unwrap();
    assert!(runs_with(&directory));
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while runs_with(&directory) || fs::exists(&directory).unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{directory} is still in use");
        thread::sleep(Duration::from_millis(50));
    }
}

fn runs_with(directory: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(&format!("{directory}/node-1")))
}
