"""librdkafka, by confluent-kafka: the client that steady.py describes."""

import logging
import time

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from steady import FLUSH_SECONDS, Steady


def common(steady):
    told = steady.told
    config = {
        "bootstrap.servers": told.bootstrap,
        "error_cb": lambda error: steady.error("callback", error),
        "logger": logging.getLogger("librdkafka"),
    }
    if told.user != "-":
        config.update({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                       "sasl.username": told.user, "sasl.password": told.password})
    return config


def produce(steady):
    def send():
        number, partition, value = steady.take()

        def delivered(error, message):
            if error:
                steady.failed(number, error)
            else:
                steady.acknowledged(number, message.partition(), message.offset())

        try:
            producer.produce(steady.told.topic, value, partition=partition, on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            steady.failed(number, error)

    producer = confluent_kafka.Producer({**common(steady), "acks": "all"})
    while steady.goes_on():
        due = steady.until_due()
        producer.poll(due)
        if steady.until_due() == 0:
            send()
    steady.ending()
    late = time.monotonic() + FLUSH_SECONDS
    while len(producer) > 0 and time.monotonic() < late:
        producer.flush(1)


def consume(steady):
    told = steady.told
    consumer = confluent_kafka.Consumer({
        **common(steady), "group.id": told.group, "group.protocol": told.protocol, "auto.offset.reset": "earliest",
    })
    consumer.subscribe([told.topic], on_assign=lambda _, partitions: steady.assigned(partitions),
                       on_revoke=lambda _, partitions: steady.revoked(partitions),
                       on_lost=lambda _, partitions: steady.revoked(partitions))
    while steady.goes_on():
        message = consumer.poll(0.1)
        if message is not None and message.error():
            steady.error("poll", message.error())
        elif message is not None:
            steady.read(message.topic(), message.partition(), message.offset(), message.value())
        if steady.is_commit_due():
            try:
                consumer.commit(asynchronous=False)
                steady.committed()
            except KafkaException as error:
                # What there was to commit may just have been committed by the library itself.
                if error.args[0].code() != KafkaError._NO_OFFSET:
                    steady.error("commit", error)
    steady.ending()
    consumer.close()


steady = Steady("librdkafka", confluent_kafka.libversion()[0])
steady.listen("librdkafka")
steady.run(produce, consume)
