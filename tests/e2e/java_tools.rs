//! Kafka's own command-line tools.

use crate::ground::{Ground, OPS, Way, scenarios, sorted};

scenarios! {
    both: topics_are_made_changed_and_deleted, records_go_through_the_console_and_groups_are_reset,
        verifiable_clients_see_what_was_acknowledged;
    full: a_topics_configuration_is_changed, the_performance_test_loses_nothing, transactions_are_listed,
        admins_see_the_quorum;
    new: a_share_group_gets_every_record, the_console_consumes_by_the_new_group_protocol;
}

fn topics_are_made_changed_and_deleted(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.name("tool-topics");
        let on_topic = |more: &[&str]| way.run("kafka-topics", &[more, &["--topic", &topic]].concat());
        on_topic(&["--create", "--partitions", "2", "--replication-factor", "3"]);
        on_topic(&["--alter", "--partitions", "4"]);
        let described = on_topic(&["--describe"]);
        assert!(described.contains("PartitionCount: 4"), "{described}");
        on_topic(&["--delete"]);
        let listed = way.run("kafka-topics", &["--list"]);
        (described.lines().count(), listed.lines().any(|line| line == "tool-topics-WAY"))
    });
}

/// Writes these lines by the console producer.
fn write(way: &Way<'_>, topic: &str, lines: &[String]) {
    let producer = way.tool("kafka-console-producer", &["--topic", topic]);
    producer.input(lines.join("\n")).run().unwrap().ok().unwrap();
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("line {n:03}")).collect()
}

fn records_go_through_the_console_and_groups_are_reset(ground: &Ground) {
    ground.agree(|way| {
        let (topic, group) = (way.topic("tool-console", 3), way.name("tool-console"));
        write(way, &topic, &numbered(20));
        let consume = || {
            let of_group = ["--topic", &topic, "--group", &group, "--from-beginning"];
            let limits = ["--max-messages", "20", "--timeout-ms", "30000"];
            way.run("kafka-console-consumer", &[&of_group[..], &limits].concat())
        };
        assert_eq!(sorted(&consume()), numbered(20));
        let groups = |more: &[&str]| way.run("kafka-consumer-groups", more);
        assert!(groups(&["--list"]).lines().any(|line| line == "tool-console-WAY"));
        let described = groups(&["--describe", "--group", &group]);
        groups(&["--reset-offsets", "--to-earliest", "--execute", "--group", &group, "--topic", &topic]);
        assert_eq!(sorted(&consume()), numbered(20));
        // Which of the empty partitions have an offset too depends on when the consumer left.
        assert!(described.lines().any(|line| line.contains("tool-console-WAY")), "{described}");
    });
}

fn the_console_consumes_by_the_new_group_protocol(ground: &Ground) {
    ground.agree(|way| {
        let (topic, group) = (way.topic("tool-848", 3), way.name("tool-848"));
        write(way, &topic, &numbered(20));
        let of_group = ["--topic", &topic, "--group", &group, "--from-beginning", "--command-property"];
        let limits = ["group.protocol=consumer", "--max-messages", "20", "--timeout-ms", "30000"];
        let consumed = way.run("kafka-console-consumer", &[&of_group[..], &limits].concat());
        assert_eq!(sorted(&consumed), numbered(20));
        let state = way.run("kafka-consumer-groups", &["--list", "--type"]);
        state.lines().find(|line| line.contains("tool-848-WAY")).map(|line| line.contains("Consumer"))
    });
}

fn a_share_group_gets_every_record(ground: &Ground) {
    ground.agree(|way| {
        let (topic, group) = (way.topic("tool-share", 3), way.name("tool-share"));
        let set = ["--add-config", "share.auto.offset.reset=earliest"];
        let of_group = ["--alter", "--entity-type", "groups", "--entity-name", &group];
        // From behind: what ordinary users may do with groups' configurations is not the subject.
        let configs =
            ground.cluster.tool("kafka-configs", &["--bootstrap-server", &ground.cluster.internal()]);
        configs.unwrap().args(&of_group).args(&set).run().unwrap().ok().unwrap();
        write(way, &topic, &numbered(20));
        let limits = ["--max-messages", "20", "--timeout-ms", "30000"];
        let of_group = ["--topic", &topic, "--group", &group];
        let consumed = way.run("kafka-console-share-consumer", &[&of_group[..], &limits].concat());
        assert_eq!(sorted(&consumed), numbered(20));
        let groups = way.run("kafka-share-groups", &["--list"]);
        assert!(groups.contains("tool-share-WAY"), "{groups}");
        let described = way.run("kafka-share-groups", &["--describe", "--group", &group]);
        assert!(described.lines().any(|line| line.contains("tool-share-WAY")), "{described}");
    });
}

fn verifiable_clients_see_what_was_acknowledged(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.topic("tool-verifiable", 3);
        let said = way.run("kafka-verifiable-producer", &["--topic", &topic, "--max-messages", "300"]);
        assert!(said.contains("\"sent\":300,\"acked\":300"), "{said}");
        let group = way.name("tool-verifiable");
        let arguments =
            ["--topic", &topic, "--group-id", &group, "--max-messages", "300", "--reset-policy", "earliest"];
        let said = way.run("kafka-verifiable-consumer", &arguments);
        assert!(said.contains("offsets_committed") && !said.contains("\"success\":false"), "{said}");
    });
}

fn a_topics_configuration_is_changed(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.topic("tool-configs", 1);
        let of_topic = |more: &[&str]| {
            way.run("kafka-configs", &[more, &["--entity-type", "topics", "--entity-name", &topic]].concat())
        };
        of_topic(&["--alter", "--add-config", "retention.ms=1234567"]);
        let described = of_topic(&["--describe"]);
        assert!(described.contains("retention.ms=1234567"), "{described}");
        described
    });
}

fn the_performance_test_loses_nothing(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.topic("tool-performance", 3);
        let size =
            ["--topic", &topic, "--num-records", "20000", "--record-size", "1000", "--throughput", "-1"];
        let said = way.run("kafka-producer-perf-test", &size);
        assert!(said.contains("20000 records sent"), "{said}");
        sorted(&way.run("kafka-get-offsets", &["--topic", &topic]))
            .iter()
            .filter_map(|line| line.rsplit(':').next()?.parse::<u64>().ok())
            .sum::<u64>()
    });
}

fn transactions_are_listed(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.topic("tool-transactions", 1);
        let size = ["--topic", &topic, "--num-records", "10", "--record-size", "10", "--throughput", "-1"];
        let id = way.name("tool-transactions");
        let transactional = ["--transactional-id", &id, "--transaction-duration-ms", "1000"];
        way.run("kafka-producer-perf-test", &[&size[..], &transactional].concat());
        let listed = way.run("kafka-transactions", &["list"]);
        assert!(listed.contains("tool-transactions-WAY"), "{listed}");
        let described = way.run("kafka-transactions", &["describe", "--transactional-id", &id]);
        described.contains("CompleteCommit")
    });
}

fn admins_see_the_quorum(ground: &Ground) {
    ground.agree_by(&ground.through(OPS), |way| {
        let said = way.run("kafka-metadata-quorum", &["describe", "--status"]);
        assert!(said.contains("LeaderId:"), "{said}");
        way.run("kafka-metadata-quorum", &["describe", "--replication"]).lines().count()
    });
}
