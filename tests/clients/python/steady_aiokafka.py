"""aiokafka: the client that steady.py describes."""

import asyncio

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

from steady import FLUSH_SECONDS, Steady


def common(steady):
    told = steady.told
    config = {"bootstrap_servers": told.bootstrap}
    if told.user != "-":
        config.update(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                      sasl_plain_username=told.user, sasl_plain_password=told.password)
    return config


async def produce(steady):
    async def send():
        number, partition, value = steady.take()

        def ended(sent):
            if sent.exception():
                steady.failed(number, sent.exception())
            else:
                steady.acknowledged(number, sent.result().partition, sent.result().offset)

        try:
            sent = await producer.send(steady.told.topic, value, partition=partition)
        except Exception as error:
            steady.failed(number, error)
        else:
            sent.add_done_callback(ended)

    producer = AIOKafkaProducer(acks="all", **common(steady))
    await producer.start()
    while steady.goes_on():
        await asyncio.sleep(steady.until_due())
        await send()
    steady.ending()
    await asyncio.wait_for(producer.flush(), FLUSH_SECONDS)
    await asyncio.wait_for(producer.stop(), 5)


class Assignments(ConsumerRebalanceListener):
    def __init__(self, steady):
        self.steady = steady

    def on_partitions_assigned(self, assigned):
        self.steady.assigned(assigned)

    def on_partitions_revoked(self, revoked):
        self.steady.revoked(revoked)


async def consume(steady):
    told = steady.told
    consumer = AIOKafkaConsumer(group_id=told.group, auto_offset_reset="earliest", **common(steady))
    consumer.subscribe([told.topic], listener=Assignments(steady))
    await consumer.start()
    while steady.goes_on():
        try:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    steady.read(record.topic, record.partition, record.offset, record.value)
        except Exception as error:
            steady.error("poll", error)
            # What fails at once would fail a thousand times a second.
            await asyncio.sleep(0.1)
        if steady.is_commit_due():
            try:
                await consumer.commit()
                steady.committed()
            except Exception as error:
                steady.error("commit", error)
    steady.ending()
    await consumer.stop()


steady = Steady("aiokafka", aiokafka.__version__)
steady.listen("aiokafka", "asyncio")
steady.run(lambda steady: asyncio.run(produce(steady)), lambda steady: asyncio.run(consume(steady)))
