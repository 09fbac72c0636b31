import java.lang.reflect.Field;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Commits, aborts and copies within transactions. Arguments: properties, topic, topic of copies, group. The version of
 * the protocol (V1 with AddPartitionsToTxn, V2 without) is what the cluster's features ask for.
 */
public final class Transactions {
    public static void main(String[] arguments) throws Exception {
        String file = arguments[0], topic = arguments[1], copies = arguments[2], group = arguments[3];
        Map<String, String> serial = Map.of("transactional.id", group, "linger.ms", "5", "transaction.timeout.ms", "20000");
        try (var producer = new KafkaProducer<>(Said.properties(file, serial), new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (int round = 0; round < 4; round++) {
                producer.beginTransaction();
                for (int n = 0; n < 12; n++) {
                    producer.send(new ProducerRecord<>(topic, n % 3, "k" + n, round + ":" + n));
                }
                if (round % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
            System.out.println("V2: " + isV2(producer));
            copy(file, topic, copies, group, producer);
        }
        System.out.println("uncommitted: " + read(file, topic, "read_uncommitted", 48).size());
        System.out.println("committed: " + read(file, topic, "read_committed", 24));
        System.out.println("copied: " + read(file, copies, "read_committed", 24));
    }

    private static void copy(String file, String from, String to, String group, KafkaProducer<String, String> producer) throws Exception {
        try (var consumer = consumer(file, "read_committed", group)) {
            consumer.subscribe(List.of(from));
            Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
            producer.beginTransaction();
            for (int count = 0; count < 24; ) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(30))) {
                    producer.send(new ProducerRecord<>(to, record.partition(), record.key(), record.value()));
                    positions.put(new TopicPartition(from, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                    count++;
                }
            }
            producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
            producer.commitTransaction();
            long sum = consumer.committed(positions.keySet()).values().stream().mapToLong(OffsetAndMetadata::offset).sum();
            System.out.println("offsets committed: " + sum);
        }
    }

    private static List<String> read(String file, String topic, String isolation, int count) throws Exception {
        List<String> values = new ArrayList<>();
        try (var consumer = consumer(file, isolation, "none")) {
            List<TopicPartition> partitions = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1), new TopicPartition(topic, 2));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long begun = System.nanoTime();
            while (values.size() < count && System.nanoTime() - begun < 30_000_000_000L) {
                consumer.poll(Duration.ofMillis(500)).forEach(record -> values.add(record.value()));
            }
        }
        Collections.sort(values);
        return values;
    }

    private static KafkaConsumer<String, String> consumer(String file, String isolation, String group) throws Exception {
        Map<String, String> more = Map.of("isolation.level", isolation, "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        return new KafkaConsumer<>(Said.properties(file, more), new StringDeserializer(), new StringDeserializer());
    }

    /** Nothing public tells it. */
    private static Object isV2(KafkaProducer<String, String> producer) throws Exception {
        Field field = KafkaProducer.class.getDeclaredField("transactionManager");
        field.setAccessible(true);
        Object manager = field.get(producer);
        try {
            var method = manager.getClass().getDeclaredMethod("isTransactionV2Enabled");
            method.setAccessible(true);
            return method.invoke(manager);
        } catch (NoSuchMethodException older) {
            return false;
        }
    }

    private Transactions() {}
}
