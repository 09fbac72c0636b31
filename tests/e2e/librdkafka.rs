//! librdkafka in process: transactions, isolation, groups by both protocols, large records.

use std::time::{Duration, Instant};

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::ground::{Ground, Way, scenarios};

scenarios! {
    both: committed_transactions_are_seen_and_aborted_ones_are_not, offsets_are_committed_within_a_transaction,
        two_members_of_a_classic_group_share_the_partitions;
    full: a_record_of_eight_megabytes_arrives_as_it_was_sent;
    new: two_members_of_a_kip_848_group_share_the_partitions;
}

const LIMIT: Duration = Duration::from_secs(30);

fn producer(way: &Way<'_>, more: &[(&str, &str)]) -> BaseProducer {
    with(way.librdkafka(), more).create().unwrap()
}

fn with(mut config: ClientConfig, more: &[(&str, &str)]) -> ClientConfig {
    for (key, value) in more {
        config.set(*key, *value);
    }
    config
}

fn send(producer: &BaseProducer, topic: &str, values: std::ops::Range<u32>) {
    for value in values {
        let (key, value) = (format!("k{}", value % 3), format!("{value:04}"));
        producer.send(BaseRecord::to(topic).key(&key).payload(&value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

/// Partition, offset and value of the next records; fails when fewer come.
fn read(consumer: &BaseConsumer, count: usize) -> Vec<(i32, i64, String)> {
    let begun = Instant::now();
    let mut records = Vec::new();
    while records.len() < count {
        assert!(begun.elapsed() < LIMIT, "{} of {count} records: {records:?}", records.len());
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.unwrap();
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            records.push((message.partition(), message.offset(), value));
        }
    }
    records.sort_unstable();
    records
}

fn reader(way: &Way<'_>, topic: &str, isolation: &str) -> BaseConsumer {
    let group = way.name("librdkafka-reader");
    let more =
        [("group.id", group.as_str()), ("isolation.level", isolation), ("enable.partition.eof", "false")];
    let consumer: BaseConsumer = with(way.librdkafka(), &more).create().unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..3 {
        partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    consumer
}

fn committed_transactions_are_seen_and_aborted_ones_are_not(ground: &Ground) {
    let (committed, all) = ground.agree(|way| {
        let topic = way.topic("librdkafka-transactions", 3);
        let producer = producer(way, &[("transactional.id", &way.name("librdkafka-transactions"))]);
        producer.init_transactions(LIMIT).unwrap();
        for (number, commit) in [true, false, true].into_iter().enumerate() {
            producer.begin_transaction().unwrap();
            let begin = u32::try_from(number).unwrap() * 30;
            send(&producer, &topic, begin..begin + 30);
            if commit {
                producer.commit_transaction(LIMIT).unwrap();
            } else {
                producer.abort_transaction(LIMIT).unwrap();
            }
        }
        let committed = read(&reader(way, &topic, "read_committed"), 60);
        (committed, read(&reader(way, &topic, "read_uncommitted"), 90))
    });
    assert!(
        committed.iter().all(|(_, _, value)| !("0030".."0060").contains(&value.as_str())),
        "{committed:?}"
    );
    assert_eq!(all.len(), 90);
}

fn offsets_are_committed_within_a_transaction(ground: &Ground) {
    let committed = ground.agree(|way| {
        let (from, to) = (way.topic("librdkafka-from", 3), way.topic("librdkafka-to", 3));
        send(&producer(way, &[]), &from, 0..30);
        let group = way.name("librdkafka-copy");
        let more = [
            ("group.id", group.as_str()),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
        ];
        let consumer: BaseConsumer = with(way.librdkafka(), &more).create().unwrap();
        consumer.subscribe(&[&from]).unwrap();
        let copied = read(&consumer, 30);
        let producer = producer(way, &[("transactional.id", &way.name("librdkafka-copy"))]);
        producer.init_transactions(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, &to, 0..30);
        let metadata: ConsumerGroupMetadata = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&consumer.position().unwrap(), &metadata, LIMIT).unwrap();
        producer.commit_transaction(LIMIT).unwrap();
        assert_eq!(copied.len(), 30);
        let committed = consumer.committed(LIMIT).unwrap();
        let offset = |offset: Offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        committed.elements().iter().map(|e| offset(e.offset())).sum::<i64>()
    });
    assert_eq!(committed, 30);
}

fn two_members_of_a_classic_group_share_the_partitions(ground: &Ground) {
    share(ground, "librdkafka-classic", &[("partition.assignment.strategy", "cooperative-sticky")]);
}

fn two_members_of_a_kip_848_group_share_the_partitions(ground: &Ground) {
    share(ground, "librdkafka-848", &[("group.protocol", "consumer")]);
}

/// One member reads, a second one joins, both hold something, and the records that come then are read once.
fn share(ground: &Ground, name: &str, more: &[(&str, &str)]) {
    ground.agree(|way| {
        let topic = way.topic(name, 6);
        let producer = producer(way, &[]);
        send(&producer, &topic, 0..60);
        let group = way.name(name);
        let member = || -> BaseConsumer {
            let config = with(way.librdkafka(), more);
            let basics = [("group.id", group.as_str()), ("auto.offset.reset", "earliest")];
            let consumer: BaseConsumer = with(config, &basics).create().unwrap();
            consumer.subscribe(&[&topic]).unwrap();
            consumer
        };
        let one = member();
        assert_eq!(read(&one, 60).len(), 60);
        let other = member();
        let begun = Instant::now();
        loop {
            for consumer in [&one, &other] {
                if let Some(message) = consumer.poll(Duration::from_millis(50)) {
                    panic!("a record came twice: {:?}", message.unwrap().offset());
                }
            }
            let [first, second] = [&one, &other].map(|consumer| consumer.assignment().unwrap().count());
            if first == 3 && second == 3 {
                break;
            }
            assert!(begun.elapsed() < LIMIT * 2, "{first} and {second} partitions");
        }
        send(&producer, &topic, 60..120);
        let mut values = Vec::new();
        let begun = Instant::now();
        while values.len() < 60 {
            assert!(begun.elapsed() < LIMIT, "{values:?}");
            for consumer in [&one, &other] {
                if let Some(message) = consumer.poll(Duration::from_millis(50)) {
                    values.push(String::from_utf8(message.unwrap().payload().unwrap().to_vec()).unwrap());
                }
            }
        }
        values.sort_unstable();
        assert_eq!(values, (60..120).map(|value| format!("{value:04}")).collect::<Vec<_>>());
    });
}

fn a_record_of_eight_megabytes_arrives_as_it_was_sent(ground: &Ground) {
    ground.agree(|way| {
        let topic = way.name("librdkafka-large");
        let new = NewTopic::new(&topic, 3, TopicReplication::Fixed(3)).set("max.message.bytes", "20000000");
        ground.create(new);
        let value: Vec<u8> =
            (0..8_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let producer = producer(way, &[("message.max.bytes", "20000000")]);
        producer.send(BaseRecord::<(), _>::to(&topic).payload(&value)).map_err(|(error, _)| error).unwrap();
        producer.flush(LIMIT).unwrap();
        let consumer = reader(way, &topic, "read_committed");
        let begun = Instant::now();
        let message = loop {
            assert!(begun.elapsed() < LIMIT, "no record came");
            if let Some(message) = consumer.poll(Duration::from_millis(200)) {
                break message.unwrap().detach();
            }
        };
        assert!(message.payload() == Some(&value), "another value came");
    });
}
