"""kafka-python: the client that steady.py describes."""

import time

import kafka
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer

from steady import FLUSH_SECONDS, Steady


def common(steady):
    told = steady.told
    config = {"bootstrap_servers": told.bootstrap.split(",")}
    if told.user != "-":
        config.update(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                      sasl_plain_username=told.user, sasl_plain_password=told.password)
    return config


def produce(steady):
    def send():
        number, partition, value = steady.take()
        try:
            sent = producer.send(steady.told.topic, value, partition=partition)
        except Exception as error:
            steady.failed(number, error)
        else:
            sent.add_callback(lambda metadata: steady.acknowledged(number, metadata.partition, metadata.offset))
            sent.add_errback(lambda error: steady.failed(number, error))

    producer = KafkaProducer(acks="all", **common(steady))
    while steady.goes_on():
        time.sleep(steady.until_due())
        send()
    steady.ending()
    producer.flush(FLUSH_SECONDS)
    producer.close(5)


class Assignments(ConsumerRebalanceListener):
    def __init__(self, steady):
        self.steady = steady

    def on_partitions_assigned(self, assigned):
        self.steady.assigned(assigned)

    def on_partitions_revoked(self, revoked):
        self.steady.revoked(revoked)


def consume(steady):
    told = steady.told
    consumer = KafkaConsumer(group_id=told.group, auto_offset_reset="earliest", **common(steady))
    consumer.subscribe([told.topic], listener=Assignments(steady))
    while steady.goes_on():
        try:
            for records in consumer.poll(100).values():
                for record in records:
                    steady.read(record.topic, record.partition, record.offset, record.value)
        except Exception as error:
            steady.error("poll", error)
        if steady.is_commit_due():
            try:
                consumer.commit()
                steady.committed()
            except Exception as error:
                steady.error("commit", error)
    steady.ending()
    consumer.close()


steady = Steady("kafka-python", kafka.__version__)
steady.listen("kafka")
steady.run(produce, consume)
