"""kafka-python: the load that load.py describes."""

import kafka
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer

from load import HEARTBEAT_MS, Load, key, value


def common(load):
    told = load.told
    config = {"bootstrap_servers": told.bootstrap.split(",")}
    if told.user != "-":
        config.update(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                      sasl_plain_username=told.user, sasl_plain_password=told.password)
    if told.client_id:
        config["client_id"] = told.client_id
    return config


def look(load, metrics):
    """Only the longest throttle of late is told, so all that is known is whether there was one."""
    longest = [values[name] for values in metrics.values() for name in values if name.endswith("throttle-time-max")]
    if any(value > 0 for value in longest) and not load.throttled:
        load.throttle()


def produce(load):
    config = common(load)
    if load.told.acks:
        config["acks"] = load.told.acks if load.told.acks == "all" else int(load.told.acks)
    if load.told.batch_bytes:
        config["batch_size"] = load.told.batch_bytes
    producer = KafkaProducer(**config)
    load.begin()
    for number in load.numbers():
        sent = producer.send(load.told.topic, key=key(number), value=value(number, load.told.size))
        sent.add_callback(lambda _: load.acknowledge())
        sent.add_errback(load.failed)
        if number % 1000 == 0:
            look(load, producer.metrics())
    try:
        producer.flush(load.told.deadline_seconds)
    except kafka.errors.KafkaTimeoutError as error:
        load.failed(error)
    look(load, producer.metrics())
    load.leaving = True
    producer.close(5)


class Assignments(ConsumerRebalanceListener):
    def __init__(self, load):
        self.load = load

    def on_partitions_assigned(self, assigned):
        self.load.assign(assigned)

    def on_partitions_revoked(self, revoked):
        self.load.revoke()


def consume(load):
    told = load.told
    consumer = KafkaConsumer(group_id=told.group, auto_offset_reset="earliest", session_timeout_ms=told.session_ms,
                             heartbeat_interval_ms=HEARTBEAT_MS, **common(load))
    consumer.subscribe([told.topic], listener=Assignments(load))
    load.begin()
    while load.goes_on():
        for records in consumer.poll(200).values():
            for record in records:
                load.read(record.key, record.value)
        look(load, consumer.metrics())
    load.leaving = True
    consumer.close()


def of_its_own(load, record):
    """What the library logs of itself, whatever a broker does."""
    # At its end it may still read from a socket that it has closed itself.
    if load.leaving and record.name == "kafka.net.transport":
        return True
    # The thread that fetches may take a connection for ready that the one that reads pauses at that moment, since an
    # answer told of a throttle. Nothing was sent, and it fetches when the pause is over.
    return record.name == "kafka.consumer.fetcher" and "Node paused: {'throttle'}" in record.getMessage()


load = Load("kafka-python", kafka.__version__)
load.throttled = 0
load.listen("kafka", but=lambda record: of_its_own(load, record))
load.run(produce, consume)
load.end()
