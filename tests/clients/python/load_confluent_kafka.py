"""librdkafka, by confluent-kafka: the load that load.py describes."""

import logging

import confluent_kafka

from load import HEARTBEAT_MS, Load, key, value


def common(load):
    told = load.told
    config = {
        "bootstrap.servers": told.bootstrap,
        "error_cb": load.failed,
        "throttle_cb": lambda event: load.throttle() if event.throttle_time > 0 else None,
        "logger": logging.getLogger("librdkafka"),
    }
    if told.user != "-":
        config.update({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                       "sasl.username": told.user, "sasl.password": told.password})
    if told.client_id:
        config["client.id"] = told.client_id
    return config


def produce(load):
    def delivered(error, _):
        load.failed(error) if error else load.acknowledge()

    config = common(load)
    if load.told.acks:
        config["acks"] = load.told.acks
    if load.told.batch_bytes:
        config["batch.size"] = load.told.batch_bytes
    producer = confluent_kafka.Producer(config)
    load.begin()
    for number in load.numbers():
        while True:
            try:
                producer.produce(load.told.topic, key=key(number), value=value(number, load.told.size), on_delivery=delivered)
                break
            except BufferError:
                # Its queue is full, as it may be.
                producer.poll(0.1)
        producer.poll(0)
    while len(producer) > 0 and not load.is_late():
        producer.flush(1)


def consume(load):
    told = load.told
    consumer = confluent_kafka.Consumer({
        **common(load), "group.id": told.group, "group.protocol": "classic", "auto.offset.reset": "earliest",
        "session.timeout.ms": told.session_ms, "heartbeat.interval.ms": HEARTBEAT_MS,
    })
    consumer.subscribe([told.topic], on_assign=lambda _, partitions: load.assign(partitions), on_revoke=lambda *_: load.revoke(),
                       on_lost=lambda *_: load.revoke())
    load.begin()
    while load.goes_on():
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            load.failed(message.error())
        else:
            load.read(message.key(), message.value())
    load.leaving = True
    consumer.close()


load = Load("librdkafka", confluent_kafka.libversion()[0])
load.throttled = 0
load.listen("librdkafka")
load.run(produce, consume)
load.end()
