import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads from the replica in its rack. Arguments: properties, topic, rack, records to read. */
public final class Follower {
    public static void main(String[] arguments) throws Exception {
        TopicPartition partition = new TopicPartition(arguments[1], 0);
        Map<String, String> more = Map.of("client.rack", arguments[2], "group.id", "none", "enable.auto.commit", "false", "max.poll.records", "10");
        try (var consumer = new KafkaConsumer<>(Said.properties(arguments[0], more), new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            int count = 0;
            double replica = -1;
            long begun = System.nanoTime();
            while (count < Integer.parseInt(arguments[3]) && System.nanoTime() - begun < 60_000_000_000L) {
                count += consumer.poll(Duration.ofMillis(500)).count();
                for (var metric : consumer.metrics().entrySet()) {
                    if (metric.getKey().name().equals("preferred-read-replica")) {
                        replica = Math.max(replica, ((Number) metric.getValue().metricValue()).doubleValue());
                    }
                }
            }
            System.out.println(count + " records, from replica " + (int) replica);
        }
    }

    private Follower() {}
}
