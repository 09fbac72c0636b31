import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Java's own client: the steady client that ../python/steady.py describes. This is what its modes share: the command line,
 * the pace, and the journal. Also takes --transactional-id of produce and --isolation of consume.
 */
public final class Steady {
    private static final int SIZE = 100;
    private static final double COMMIT_SECONDS = 1;
    /** After the last send: longer than the brokers are away. */
    static final int FLUSH_SECONDS = 40;

    final String topic;
    final Map<String, String> options = new HashMap<>();
    final Properties properties = new Properties();
    private final PrintStream journal;
    private final long begun = System.nanoTime();
    private final Map<Long, Double> pending = new ConcurrentHashMap<>();
    private volatile boolean ended;
    private long sent;
    private boolean unsaved;
    private double committedAt;

    public static void main(String[] arguments) throws Exception {
        Steady steady = new Steady(arguments);
        try {
            if (arguments[0].equals("produce")) {
                SteadyProducer.run(steady);
            } else {
                SteadyConsumer.run(steady);
            }
        } catch (Exception thrown) {
            steady.error(steady.ended ? "end" : "fatal", thrown);
        }
        steady.pending.keySet().forEach(number -> steady.failed(number, "no answer came"));
        steady.write("end", steady.sent);
        Runtime.getRuntime().halt(0);
    }

    private Steady(String[] arguments) throws IOException {
        properties.put("bootstrap.servers", arguments[1]);
        if (!arguments[2].equals("-")) {
            properties.put("security.protocol", "SASL_PLAINTEXT");
            properties.put("sasl.mechanism", "PLAIN");
            properties.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\""
                + arguments[2] + "\" password=\"" + arguments[3] + "\";");
        }
        topic = arguments[4];
        for (int n = 5; n < arguments.length; n += 2) {
            options.put(arguments[n], arguments[n + 1]);
        }
        journal = new PrintStream(Files.newOutputStream(Path.of(options.get("--journal"))), true, StandardCharsets.UTF_8);
        System.setOut(new PrintStream(new Log(), true, StandardCharsets.UTF_8));
        write("begin", "kafka-clients", AppInfoParser.getVersion());
        Thread waiting = new Thread(this::waitForEnd);
        waiting.setDaemon(true);
        waiting.start();
    }

    private void waitForEnd() {
        try {
            while (System.in.read() >= 0) {
            }
        } catch (IOException closed) {
            // As good as its end.
        }
        ended = true;
    }

    boolean goesOn() {
        return !ended && seconds() < Double.parseDouble(options.getOrDefault("--deadline-seconds", "300"));
    }

    private double seconds() {
        return (System.nanoTime() - begun) / 1e9;
    }

    private static double milliseconds() {
        var now = java.time.Instant.now();
        return now.getEpochSecond() * 1e3 + now.getNano() / 1e6;
    }

    synchronized void write(String kind, Object... fields) {
        StringBuilder line = new StringBuilder(kind).append(String.format(Locale.ROOT, "\t%.3f", milliseconds()));
        for (Object field : fields) {
            line.append('\t').append(String.valueOf(field).strip().replaceAll("\\s+", " "));
        }
        // In one write, so that whoever reads meanwhile sees whole lines.
        byte[] bytes = line.append('\n').toString().getBytes(StandardCharsets.UTF_8);
        journal.write(bytes, 0, bytes.length);
    }

    void error(String where, Object error) {
        write("error", where, error);
    }

    // Of producers.

    void untilDue() throws InterruptedException {
        double rest = sent / Double.parseDouble(options.get("--rate")) - seconds();
        Thread.sleep(Math.max(0, (long) (rest * 1000)));
    }

    /** The number of the next record. */
    long take() {
        pending.put(sent, milliseconds());
        return sent++;
    }

    int partition(long number) {
        return (int) (number % Integer.parseInt(options.get("--partitions")));
    }

    byte[] value(long number) {
        byte[] head = (options.get("--name") + ":" + number + ":").getBytes(StandardCharsets.UTF_8);
        byte[] value = Arrays.copyOf(head, SIZE);
        Arrays.fill(value, head.length, SIZE, (byte) '.');
        return value;
    }

    void acknowledged(long number, int partition, long offset) {
        Double since = pending.remove(number);
        double latency = since == null ? 0 : milliseconds() - since;
        write("ack", number, topic, partition, Math.max(-1, offset), String.format(Locale.ROOT, "%.3f", latency));
    }

    void failed(long number, Object error) {
        pending.remove(number);
        write("failed", number, error);
    }

    void aborted(long number) {
        pending.remove(number);
        write("aborted", number);
    }

    // Of consumers.

    void read(String from, int partition, long offset, byte[] value) {
        unsaved = true;
        String[] parts = new String(value, StandardCharsets.UTF_8).split(":");
        write("read", from, partition, offset, parts[0] + ":" + parts[1]);
    }

    /** Whether something was read that is to be committed now. */
    boolean isCommitDue() {
        if (!unsaved || seconds() - committedAt < COMMIT_SECONDS) {
            return false;
        }
        committedAt = seconds();
        return true;
    }

    void committed() {
        unsaved = false;
        write("committed");
    }

    void revoked(int partitions) {
        if (goesOn()) {
            write("revoked", partitions);
        }
    }

    /** What the client logs goes to standard output; here its errors go to the journal. */
    private final class Log extends OutputStream {
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();

        @Override
        public synchronized void write(int b) {
            if (b != '\n') {
                line.write(b);
                return;
            }
            String text = line.toString(StandardCharsets.UTF_8);
            line.reset();
            if (text.contains(" ERROR ")) {
                Steady.this.write("logged", text);
            }
        }
    }
}
