import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DeleteRecordsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringSerializer;

/** What an ordinary user's programs ask Java's Admin for. Arguments: properties, name of its own. */
public final class Tour {
    public static void main(String[] arguments) throws Exception {
        String file = arguments[0], name = arguments[1];
        TopicPartition first = new TopicPartition(name, 0);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
        try (Admin admin = Admin.create(Said.properties(file, Map.of()))) {
            Said.line("create", () -> admin.createTopics(List.of(new NewTopic(name, 2, (short) 3))).all().get());
            Said.line("create again", () -> admin.createTopics(List.of(new NewTopic(name, 2, (short) 3))).all().get());
            Said.line("cluster", () -> admin.describeCluster().clusterId().get());
            Said.line("nodes", () -> new TreeSet<>(admin.describeCluster().nodes().get().stream().map(Node::id).toList()));
            Said.line("racks", () -> new TreeSet<>(admin.describeCluster().nodes().get().stream().map(Node::rack).toList()));
            // Each broker hears of a new topic in its own time.
            Said.line("listed", () -> {
                for (int tries = 0; tries < 400 && !admin.listTopics().names().get().contains(name); tries++) {
                    Thread.sleep(25);
                }
                return admin.listTopics().names().get().contains(name);
            });
            // Of today: records of long ago are deleted whenever the brokers look.
            long begun = System.currentTimeMillis();
            Said.line("partitions", () -> admin.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all().get());
            try (var producer = new KafkaProducer<>(Said.properties(file, Map.of("acks", "all")), new StringSerializer(), new StringSerializer())) {
                for (int n = 0; n < 30; n++) {
                    producer.send(new ProducerRecord<>(name, n % 3, begun + n, "k", "v" + n)).get();
                }
            }
            Said.line("end", () -> admin.listOffsets(Map.of(first, OffsetSpec.latest())).all().get().get(first).offset());
            Said.line("by time", () -> admin.listOffsets(Map.of(first, OffsetSpec.forTimestamp(begun + 15))).all().get().get(first).offset());
            Said.line("max time", () -> admin.listOffsets(Map.of(first, OffsetSpec.maxTimestamp())).all().get().get(first).offset());
            Said.line("delete records", () -> deleted(admin, first));
            Said.line("begin", () -> admin.listOffsets(Map.of(first, OffsetSpec.earliest())).all().get().get(first).offset());
            Said.line("producers", () -> admin.describeProducers(List.of(first)).all().get().get(first).activeProducers().size());
            Said.line("alter config", () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "7654321"), AlterConfigOp.OpType.SET)))).all().get());
            Said.line("config", () -> changed(admin, resource));
            Said.line("group offsets", () -> admin.alterConsumerGroupOffsets(name, Map.of(first, new OffsetAndMetadata(7))).all().get());
            Said.line("committed", () -> new TreeMap<>(Map.of("0", admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().get(first).offset())));
            Said.line("group", () -> admin.describeConsumerGroups(List.of(name)).all().get().get(name).members().size());
            Said.line("forget offsets", () -> admin.deleteConsumerGroupOffsets(name, Set.of(first)).all().get());
            Said.line("delete group", () -> admin.deleteConsumerGroups(List.of(name)).all().get());
            Said.line("fence", () -> admin.fenceProducers(List.of(name)).all().get());
            Said.line("transaction", () -> admin.describeTransactions(List.of(name)).all().get().get(name).state());
            Said.line("features", () -> new TreeMap<>(admin.describeFeatures().featureMetadata().get().finalizedFeatures()));
            Said.line("delete", () -> admin.deleteTopics(List.of(name)).all().get());
            Said.line("delete again", () -> admin.deleteTopics(List.of(name)).all().get());
        }
    }

    /** Brokers answer when all replicas have deleted, and at times miss that they have: then they are asked again. */
    private static Object deleted(Admin admin, TopicPartition partition) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                DeleteRecordsOptions options = new DeleteRecordsOptions().timeoutMs(15_000);
                return admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4)), options).all().get();
            } catch (ExecutionException thrown) {
                if (attempt == 4 || !(thrown.getCause() instanceof TimeoutException)) {
                    throw thrown;
                }
            }
        }
    }

    /** Brokers learn of a change one after the other. */
    private static String changed(Admin admin, ConfigResource resource) throws Exception {
        for (int attempt = 0; ; attempt++) {
            String value = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
            if (value.equals("7654321") || attempt == 100) {
                return value;
            }
            Thread.sleep(50);
        }
    }

    private Tour() {}
}
