import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The consuming mode of Steady. */
final class SteadyConsumer implements ConsumerRebalanceListener {
    private final Steady steady;

    static void run(Steady steady) {
        steady.properties.put("group.id", steady.options.get("--group"));
        steady.properties.put("group.protocol", steady.options.getOrDefault("--protocol", "classic"));
        steady.properties.put("isolation.level", steady.options.getOrDefault("--isolation", "read_uncommitted"));
        steady.properties.put("auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(steady.properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            SteadyConsumer mode = new SteadyConsumer(steady);
            consumer.subscribe(List.of(steady.topic), mode);
            while (steady.goesOn()) {
                mode.turn(consumer);
            }
            steady.write("ending");
        }
    }

    private SteadyConsumer(Steady steady) {
        this.steady = steady;
    }

    private void turn(KafkaConsumer<byte[], byte[]> consumer) {
        try {
            consumer.poll(Duration.ofMillis(100))
                .forEach(record -> steady.read(record.topic(), record.partition(), record.offset(), record.value()));
        } catch (RuntimeException thrown) {
            steady.error("poll", thrown);
        }
        if (steady.isCommitDue()) {
            try {
                consumer.commitSync();
                steady.committed();
            } catch (RuntimeException thrown) {
                steady.error("commit", thrown);
            }
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        steady.write("assigned", partitions.size());
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        steady.revoked(partitions.size());
    }
}
