"""confluent-kafka: admin, produce, transactions, consume and groups. Arguments: bootstrap servers, user or -, password,
name of its own, group protocol (classic or consumer).

Prints one JSON object, which must not depend on the way to the cluster.
"""

import json
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

bootstrap, user, password, name, protocol = sys.argv[1:6]
common = {"bootstrap.servers": bootstrap}
if user != "-":
    common.update({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                   "sasl.username": user, "sasl.password": password})
said = {}

admin = AdminClient(common)
admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=3)])[name].result(30)
described = admin.describe_cluster().result(30)
said["nodes"] = sorted(node.id for node in described.nodes)
for attempt in range(100):
    config = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)])
    try:
        said["topic config"] = sorted(list(config.values())[0].result(30))
        break
    except KafkaException:
        # Brokers learn of a topic one after the other.
        time.sleep(0.1)

failed = []
producer = Producer({**common, "transactional.id": name, "compression.type": "zstd"})
producer.init_transactions(30)
for commit in (True, False, True):
    producer.begin_transaction()
    for n in range(9):
        producer.produce(name, key=f"k{n}", value=f"{commit}", partition=n % 3,
                         on_delivery=lambda error, _: failed.append(str(error)) if error else None)
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)
said["failed"] = failed

group = {"group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False, "group.protocol": protocol}
consumer = Consumer({**common, **group})
consumer.subscribe([name])
records = []
while len(records) < 18:
    message = consumer.poll(30)
    if message is None or message.error():
        raise KafkaException(message and message.error())
    records.append([message.partition(), message.offset(), message.value().decode()])
consumer.commit(asynchronous=False)
said["read"] = sorted(records)
consumer.close()

committed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result(30)
# Before or after the last transaction's marker, as the last fetch had it.
said["committed"] = [partition.offset in (11, 12) for partition in committed.topic_partitions]
ends = admin.list_offsets({TopicPartition(name, partition): OffsetSpec.latest() for partition in range(3)})
said["ends"] = sorted(future.result(30).offset for future in ends.values())
said["groups"] = name in [listing.group_id for listing in admin.list_consumer_groups().result(30).valid]
admin.delete_consumer_groups([name])[name].result(30)
admin.delete_topics([name])[name].result(30)
print(json.dumps(said))
