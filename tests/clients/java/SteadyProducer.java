import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The producing modes of Steady: idempotent, as is Java's default, or in transactions. */
final class SteadyProducer {
    private static final int TRANSACTION_RECORDS = 10;
    /** Every so many transactions one is aborted on purpose. */
    private static final int ABORTED = 8;

    private final Steady steady;
    private final KafkaProducer<byte[], byte[]> producer;

    static void run(Steady steady) throws Exception {
        if (steady.options.containsKey("--transactional-id")) {
            steady.properties.put("transactional.id", steady.options.get("--transactional-id"));
        }
        steady.properties.put("acks", "all");
        var producer = new KafkaProducer<>(steady.properties, new ByteArraySerializer(), new ByteArraySerializer());
        SteadyProducer mode = new SteadyProducer(steady, producer);
        if (steady.options.containsKey("--transactional-id")) {
            mode.transactions();
        } else {
            mode.records();
        }
        steady.write("ending");
        producer.close(Duration.ofSeconds(Steady.FLUSH_SECONDS));
    }

    private SteadyProducer(Steady steady, KafkaProducer<byte[], byte[]> producer) {
        this.steady = steady;
        this.producer = producer;
    }

    private void records() throws InterruptedException {
        while (steady.goesOn()) {
            steady.untilDue();
            long number = steady.take();
            try {
                producer.send(record(number), (metadata, error) -> {
                    if (error == null) {
                        steady.acknowledged(number, metadata.partition(), metadata.offset());
                    } else {
                        steady.failed(number, error);
                    }
                });
            } catch (RuntimeException thrown) {
                steady.failed(number, thrown);
            }
        }
    }

    private ProducerRecord<byte[], byte[]> record(long number) {
        return new ProducerRecord<>(steady.topic, steady.partition(number), null, steady.value(number));
    }

    private void transactions() throws InterruptedException {
        producer.initTransactions();
        for (long transaction = 1; steady.goesOn(); transaction++) {
            List<Long> numbers = new ArrayList<>();
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            try {
                producer.beginTransaction();
                for (int n = 0; n < TRANSACTION_RECORDS; n++) {
                    steady.untilDue();
                    numbers.add(steady.take());
                    sent.add(producer.send(record(numbers.get(n))));
                }
                if (transaction % ABORTED == 0) {
                    producer.abortTransaction();
                    numbers.forEach(steady::aborted);
                    continue;
                }
                producer.commitTransaction();
                for (int n = 0; n < TRANSACTION_RECORDS; n++) {
                    RecordMetadata metadata = sent.get(n).get();
                    steady.acknowledged(numbers.get(n), metadata.partition(), metadata.offset());
                }
            } catch (Exception thrown) {
                numbers.forEach(number -> steady.failed(number, thrown));
                giveUp(thrown);
            }
        }
    }

    /** As programs do: what failed is aborted, and where that is impossible it is over. */
    private void giveUp(Exception thrown) {
        try {
            producer.abortTransaction();
        } catch (RuntimeException fatal) {
            fatal.addSuppressed(thrown);
            throw fatal;
        }
    }
}
