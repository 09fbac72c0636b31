import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Java's own client: the load that ../python/load.py describes. */
public final class Load {
    private static final int ERRORS_MAX = 20;

    private final String mode, topic;
    private final Map<String, String> options = new HashMap<>();
    private final Properties properties = new Properties();
    private final long records;
    private final List<String> errors = Collections.synchronizedList(new ArrayList<>());
    private final BitSet seen = new BitSet();
    private long sent, bytes, revoked, assigned, throttled;
    private volatile long acknowledged;
    private volatile long begun = System.nanoTime(), last = begun;
    private boolean leaving;
    private final byte[] noise = noise();

    /** What the client logs goes to standard output, which is the report's. */
    public static void main(String[] arguments) throws Exception {
        PrintStream report = System.out;
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setOut(new PrintStream(log, true, StandardCharsets.UTF_8));
        Load load = new Load(arguments);
        try {
            if (load.mode.equals("produce")) {
                load.produce();
            } else {
                load.consume();
            }
        } catch (Exception thrown) {
            load.failed(thrown.toString());
        }
        log.toString(StandardCharsets.UTF_8).lines().filter(line -> line.contains(" ERROR ")).forEach(load::failed);
        report.println(load.report());
        report.flush();
        Runtime.getRuntime().halt(load.isDone() ? 0 : 1);
    }

    private Load(String[] arguments) throws Exception {
        mode = arguments[0];
        properties.put("bootstrap.servers", arguments[1]);
        if (!arguments[2].equals("-")) {
            properties.put("security.protocol", "SASL_PLAINTEXT");
            properties.put("sasl.mechanism", "PLAIN");
            properties.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username="
                + quoted(arguments[2]) + " password=" + quoted(arguments[3]) + ";");
        }
        topic = arguments[4];
        for (int n = 5; n < arguments.length; n += 2) {
            options.put(arguments[n], arguments[n + 1]);
        }
        records = Long.parseLong(options.get("--records"));
        sent = records;
        if (options.containsKey("--client-id")) {
            properties.put("client.id", options.get("--client-id"));
        }
    }

    private double seconds(String option, double otherwise) {
        return options.containsKey(option) ? Double.parseDouble(options.get(option)) : otherwise;
    }

    private static double since(long moment) {
        return (System.nanoTime() - moment) / 1e9;
    }

    private boolean isDone() {
        return mode.equals("produce") ? acknowledged >= sent : seen.cardinality() >= records;
    }

    private boolean isLate() {
        return since(begun) > seconds("--deadline-seconds", 120);
    }

    private void failed(String error) {
        if (errors.size() < ERRORS_MAX) {
            errors.add(error);
        }
    }

    /** A MiB that no compression makes smaller. */
    private static byte[] noise() throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-512");
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] block = {};
        for (int n = 0; n < 16384; n++) {
            block = digest.digest(block);
            all.write(block);
        }
        return all.toByteArray();
    }

    /** What the record of this number holds: the number, then noise, each record's beginning where the last one's ends. */
    private byte[] value(long number, int size) {
        byte[] head = (number + ":").getBytes(StandardCharsets.UTF_8);
        byte[] value = Arrays.copyOf(head, size);
        int start = (int) (number * size % noise.length);
        for (int at = head.length; at < size; start = 0) {
            int length = Math.min(size - at, noise.length - start);
            System.arraycopy(noise, start, value, at, length);
            at += length;
        }
        return value;
    }

    private void produce() throws Exception {
        int size = Integer.parseInt(options.get("--size"));
        if (options.containsKey("--acks")) {
            properties.put("acks", options.get("--acks"));
            if (!options.get("--acks").equals("all")) {
                properties.put("enable.idempotence", "false");
            }
        }
        if (options.containsKey("--batch-bytes")) {
            properties.put("batch.size", options.get("--batch-bytes"));
        }
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            begun = last = System.nanoTime();
            for (long number = 0; number < records; number++) {
                if (since(begun) > seconds("--seconds", Double.MAX_VALUE)) {
                    sent = number;
                    break;
                }
                byte[] key = Long.toString(number).getBytes(StandardCharsets.UTF_8);
                producer.send(new ProducerRecord<>(topic, key, value(number, size)), (metadata, error) -> {
                    if (error == null) {
                        acknowledged++;
                        bytes += size;
                        last = System.nanoTime();
                    } else {
                        failed(error.toString());
                    }
                });
            }
            // Nothing but the time that each record has ends a flush.
            Thread flush = new Thread(producer::flush);
            flush.setDaemon(true);
            flush.start();
            while (flush.isAlive() && !isLate()) {
                flush.join(100);
                look(producer.metrics().values());
            }
            look(producer.metrics().values());
            if (flush.isAlive()) {
                failed("not everything was acknowledged in time");
                producer.close(Duration.ZERO);
            }
        }
    }

    private void consume() {
        properties.put("group.id", options.get("--group"));
        properties.put("group.protocol", "classic");
        properties.put("auto.offset.reset", "earliest");
        properties.put("session.timeout.ms", options.getOrDefault("--session-ms", "10000"));
        properties.put("heartbeat.interval.ms", "3000");
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic), new Assignments());
            begun = last = System.nanoTime();
            while (isDone() ? since(last) < seconds("--linger-seconds", 0) : !isLate()) {
                consumer.poll(Duration.ofMillis(200)).forEach(this::read);
                look(consumer.metrics().values());
            }
            leaving = true;
        }
    }

    private void read(ConsumerRecord<byte[], byte[]> record) {
        int number = Integer.parseInt(new String(record.key(), StandardCharsets.UTF_8));
        if (!Arrays.equals(record.value(), value(number, record.value().length))) {
            failed("record " + number + " does not hold what was sent");
        }
        if (!seen.get(number)) {
            seen.set(number);
            bytes += record.value().length;
            last = System.nanoTime();
        }
    }

    /** Only the longest throttle of late is told, so all that is known is whether there was one. */
    private void look(Collection<? extends Metric> metrics) {
        for (Metric metric : metrics) {
            if (metric.metricName().name().endsWith("throttle-time-max") && (double) metric.metricValue() > 0) {
                throttled = 1;
            }
        }
    }

    private String report() {
        long count = mode.equals("produce") ? acknowledged : seen.cardinality();
        String said = errors.stream().map(Load::quoted).collect(Collectors.joining(", ", "[", "]"));
        return "{\"library\": \"kafka-clients\", \"version\": " + quoted(AppInfoParser.getVersion()) + ", \"mode\": " + quoted(mode)
            + ", \"records\": " + count + ", \"bytes\": " + bytes + ", \"seconds\": " + (last - begun) / 1e9 + ", \"errors\": " + said
            + ", \"rebalances\": " + Math.max(0, Math.max(revoked, assigned - 1)) + ", \"throttled\": " + throttled + "}";
    }

    /** For JSON and for JAAS. */
    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            quoted.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? " " : String.valueOf(c));
        }
        return quoted.append('"').toString();
    }

    private final class Assignments implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assigned++;
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revoked += assigned > 0 && !leaving ? 1 : 0;
        }
    }
}
