"""aiokafka: the load that load.py describes."""

import asyncio

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

from load import HEARTBEAT_MS, Load, key, value


def common(load):
    told = load.told
    config = {"bootstrap_servers": told.bootstrap}
    if told.user != "-":
        config.update(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                      sasl_plain_username=told.user, sasl_plain_password=told.password)
    if told.client_id:
        config["client_id"] = told.client_id
    return config


async def produce(load):
    def ended(sent):
        load.failed(sent.exception()) if sent.exception() else load.acknowledge()

    config = common(load)
    if load.told.acks:
        config["acks"] = load.told.acks if load.told.acks == "all" else int(load.told.acks)
    if load.told.batch_bytes:
        config["max_batch_size"] = load.told.batch_bytes
    producer = AIOKafkaProducer(**config)
    await producer.start()
    load.begin()
    for number in load.numbers():
        sent = await producer.send(load.told.topic, key=key(number), value=value(number, load.told.size))
        sent.add_done_callback(ended)
    try:
        await asyncio.wait_for(producer.flush(), load.told.deadline_seconds)
        await asyncio.wait_for(producer.stop(), 5)
    except asyncio.TimeoutError:
        load.failed("not everything was acknowledged in time")


class Assignments(ConsumerRebalanceListener):
    def __init__(self, load):
        self.load = load

    def on_partitions_assigned(self, assigned):
        self.load.assign(assigned)

    def on_partitions_revoked(self, revoked):
        self.load.revoke()


async def consume(load):
    told = load.told
    consumer = AIOKafkaConsumer(group_id=told.group, auto_offset_reset="earliest", session_timeout_ms=told.session_ms,
                                heartbeat_interval_ms=HEARTBEAT_MS, **common(load))
    consumer.subscribe([told.topic], listener=Assignments(load))
    load.begin()
    # This joins the group.
    await consumer.start()
    while load.goes_on():
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                load.read(record.key, record.value)
    load.leaving = True
    await consumer.stop()


load = Load("aiokafka", aiokafka.__version__)
load.listen("aiokafka", "asyncio")
load.run(lambda load: asyncio.run(produce(load)), lambda load: asyncio.run(consume(load)))
load.end()
