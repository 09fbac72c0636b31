//! Programs on Java's own clients, from tests/clients/java: transactions, follower fetches, Admin.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use rdkafka::admin::{NewTopic, TopicReplication};
use testkit::kafka::{Dist, java};
use testkit::{Tool, place};

use crate::ground::{ALICE, Ground, OPS, Way, scenarios};

scenarios! {
    both: transactions_of_the_clusters_version_commit_abort_and_copy, what_ordinary_users_ask_of_admin_is_done,
        ordinary_users_are_refused_what_only_admins_may_do, admins_may_do_what_they_may_do_without_a_gateway;
    full: a_consumer_reads_from_the_replica_in_its_rack;
    new:;
}

/// Directory of the compiled programs, by version of Kafka.
static COMPILED: Mutex<BTreeMap<&'static str, PathBuf>> = Mutex::new(BTreeMap::new());

fn compiled(ground: &Ground) -> PathBuf {
    let mut compiled = COMPILED.lock().unwrap();
    if let Some(directory) = compiled.get(ground.version) {
        return directory.clone();
    }
    let directory = ground.cluster.directory().join("classes");
    let javac = java().parent().map_or_else(|| "javac".into(), |bin| bin.join("javac"));
    let sources = std::fs::read_dir(place::workspace().join("tests/clients/java")).unwrap();
    let mut tool = Tool::program("javac", javac).args(&[
        "-cp",
        &Dist::fetch(ground.version).unwrap().class_path(),
        "-d",
        directory.to_str().unwrap(),
    ]);
    for source in sources {
        let path = source.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "java") {
            tool = tool.args(&[path.to_str().unwrap()]);
        }
    }
    tool.run().unwrap().ok().unwrap();
    compiled.insert(ground.version, directory.clone());
    directory
}

/// Keeps log4j's own lines out of what a program says.
const QUIET: &str = "-Dorg.apache.logging.log4j.level=OFF";

/// What acts on the brokers' store of credentials is hidden: through the gateway it would be without effect.
const HIDDEN: [&str; 2] = ["alter scram", "token"];

/// Runs a program; what it said, without what only this way says.
pub(crate) fn program(way: &Way<'_>, name: &str, arguments: &[&str]) -> String {
    let dist = Dist::fetch(way.ground.version).unwrap();
    let path = format!("{}:{}", compiled(way.ground).display(), dist.class_path());
    let tool = Tool::program(name, java())
        .args(&["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m", QUIET, "-cp", &path, name])
        .args(&[way.properties().to_str().unwrap()])
        .args(arguments);
    let said = way.neutral(&tool.run().unwrap().ok().unwrap());
    // Some releases log to standard output.
    said.lines().filter(|line| !line.contains(" ERROR [")).flat_map(|line| [line, "\n"]).collect()
}

fn transactions_of_the_clusters_version_commit_abort_and_copy(ground: &Ground) {
    let said = ground.agree(|way| {
        let (from, to) = (way.topic("java-transactions", 3), way.topic("java-copies", 3));
        program(way, "Transactions", &[&from, &to, &way.name("java-transactions")])
    });
    assert!(said.contains(&format!("V2: {}\n", ground.is_new())), "{said}");
    assert!(said.contains("uncommitted: 48\n"), "{said}");
    assert!(said.contains("committed: [0:0, ") && !said.contains("1:1"), "{said}");
}

fn a_consumer_reads_from_the_replica_in_its_rack(ground: &Ground) {
    let said = ground.agree(|way| {
        let name = way.name("java-racks");
        let assignment: [&[i32]; 1] = [&[1, 2, 3]];
        ground.create(NewTopic::new(&name, 1, TopicReplication::Variable(&assignment)));
        let lines: Vec<String> = (0..500).map(|n| format!("value {n}")).collect();
        way.kcat(&["-P", "-t", &name]).input(lines.join("\n")).run().unwrap().ok().unwrap();
        program(way, "Follower", &[&name, "rack-3", "500"])
    });
    assert_eq!(said, "500 records, from replica 3\n");
}

fn what_ordinary_users_ask_of_admin_is_done(ground: &Ground) {
    let said = ground.agree(|way| program(way, "Tour", &[&way.name("java-tour")]));
    for line in
        ["create: null", "create again: TopicExistsException", "nodes: [1, 2, 3]", "by time: 5", "begin: 4"]
    {
        assert!(said.lines().any(|said| said == line), "{line:?} in\n{said}");
    }
}

/// What `Privileges` says, line by line: what is done, and what came of it.
fn privileges(way: &Way<'_>, topic: &str) -> BTreeMap<String, String> {
    let said = program(way, "Privileges", &[topic]);
    let lines = said.lines().map(|line| line.split_once(": ").unwrap_or((line, "")));
    lines.map(|(what, outcome)| (what.to_owned(), outcome.to_owned())).collect()
}

fn admins_may_do_what_they_may_do_without_a_gateway(ground: &Ground) {
    let said = ground.agree_by(&ground.through(OPS), |way| {
        let mut said = privileges(way, &way.topic("java-privileges", 1));
        said.retain(|what, _| !HIDDEN.contains(&what.as_str()));
        said
    });
    for (what, outcome) in
        [("log dirs", "3"), ("quorum", "3"), ("broker config", "rack-1"), ("still there", "true")]
    {
        assert_eq!(said.get(what).map(String::as_str), Some(outcome), "{what} in {said:#?}");
    }
}

fn ordinary_users_are_refused_what_only_admins_may_do(ground: &Ground) {
    ground.create_topic("java-ordinary", 1);
    let said = privileges(&ground.through(ALICE), "java-ordinary");
    ground.assert_no_leak();
    for (what, outcome) in &said {
        let expected = match what.as_str() {
            "still there" => "true",
            "alter scram" | "token" => "UnsupportedVersionException",
            hidden if HIDDEN.contains(&hidden) => "UnsupportedVersionException",
            _ => "ClusterAuthorizationException",
        };
        assert_eq!(outcome, expected, "{what} in {said:#?}");
    }
    assert_eq!(said.len(), 17, "{said:#?}");
}
