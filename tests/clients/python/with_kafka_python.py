"""kafka-python: admin, produce, consume and groups. Arguments: bootstrap servers, user or -, password, name of its own.

Prints one JSON object, which must not depend on the way to the cluster.
"""

import json
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

bootstrap, user, password, name = sys.argv[1:5]
common = {"bootstrap_servers": bootstrap}
if user != "-":
    common.update(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                  sasl_plain_username=user, sasl_plain_password=password)
said = {}

admin = KafkaAdminClient(**common)
admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=3)])
# Brokers learn of a topic one after the other.
for attempt in range(100):
    said["listed"] = name in admin.list_topics()
    if said["listed"]:
        break
    time.sleep(0.1)

producer = KafkaProducer(acks="all", compression_type="gzip", **common)
metadata = [producer.send(name, key=b"k%d" % n, value=b"v%d" % n, partition=n % 3) for n in range(30)]
producer.flush()
said["offsets"] = [[future.get(30).partition, future.get(30).offset] for future in metadata]
producer.close()


def read(count):
    consumer = KafkaConsumer(name, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                             consumer_timeout_ms=30000, **common)
    records = []
    for record in consumer:
        records.append([record.partition, record.offset, record.key.decode(), record.value.decode()])
        if len(records) == count:
            break
    consumer.commit()
    end = consumer.end_offsets([TopicPartition(name, partition) for partition in range(3)])
    consumer.close()
    return sorted(records), sorted(end.values())


said["read"], said["end"] = read(30)
offsets = admin.list_group_offsets(name) if hasattr(admin, "list_group_offsets") else admin.list_consumer_group_offsets(name)
said["committed"] = str(offsets).count("offset=10")
admin.delete_topics([name])
admin.close()
print(json.dumps(said))
