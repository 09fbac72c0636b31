//! The clients that Python people use, from tests/clients/python.

use testkit::{Tool, place};

use crate::ground::{Ground, Way, scenarios};

scenarios! {
    both: confluent_kafka_makes_fills_and_reads_a_topic, kafka_python_makes_fills_and_reads_a_topic;
    full:;
    new: confluent_kafka_consumes_by_the_new_group_protocol;
}

fn kafka_python_makes_fills_and_reads_a_topic(ground: &Ground) {
    let said = ground.agree(|way| python(way, "with_kafka_python.py", "kafka-python", &[]));
    assert!(said.contains("\"end\": [10, 10, 10], \"committed\": 3"), "{said}");
}

fn confluent_kafka_makes_fills_and_reads_a_topic(ground: &Ground) {
    let said = ground.agree(|way| python(way, "with_confluent_kafka.py", "confluent-kafka", &["classic"]));
    assert!(said.contains("\"nodes\": [1, 2, 3]") && said.contains("\"failed\": []"), "{said}");
}

fn confluent_kafka_consumes_by_the_new_group_protocol(ground: &Ground) {
    ground.agree(|way| python(way, "with_confluent_kafka.py", "confluent-kafka-848", &["consumer"]));
}

fn python(way: &Way<'_>, script: &str, name: &str, more: &[&str]) -> String {
    let python = place::python();
    assert!(python.exists(), "{} is missing: `cargo xtask test` makes it", python.display());
    let script = place::workspace().join("tests/clients/python").join(script);
    let (user, password) = way.user.unwrap_or(("-", "-"));
    Tool::program(name, python)
        .args(&[script.to_str().unwrap(), &way.bootstrap, user, password, &way.name(name)])
        .args(more)
        .run()
        .unwrap()
        .ok()
        .unwrap()
}
