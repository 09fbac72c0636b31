import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.FetchRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.types.RawTaggedField;

/** Writes the test vectors of this folder with one release of kafka-clients; README.md says how it is run. */
public final class Vectors {
    private static final String REFUSALS = "api version request code message answer";
    private static final String ANSWERS = "api version tail frame rewritten";

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        String release = org.apache.kafka.common.utils.AppInfoParser.getVersion();
        if (release.startsWith("3.")) {
            // Of an old release only what the new one cannot write any more.
            write(folder.resolve("refusals-" + release + ".txt"), release, REFUSALS, without(folder.resolve("refusals.txt"), Refusals.all()));
            write(folder.resolve("answers-" + release + ".txt"), release, ANSWERS, without(folder.resolve("answers.txt"), Held.configs()));
        } else {
            write(folder.resolve("refusals.txt"), release, REFUSALS, Refusals.all());
            write(folder.resolve("answers.txt"), release, ANSWERS, Stream.concat(Streamed.all().stream(), Held.all().stream()).toList());
            write(folder.resolve("headers.txt"), release, "api version request-header answer-header", headers());
            write(folder.resolve("fetch-requests.txt"), release, "version tail body forced", fetchRequests());
        }
    }

    private static List<String> without(Path newer, List<String> lines) throws IOException {
        List<String> spoken = Files.readAllLines(newer).stream().map(Vectors::apiAndVersion).toList();
        return lines.stream().filter(line -> !spoken.contains(apiAndVersion(line))).toList();
    }

    private static String apiAndVersion(String line) {
        String[] words = line.split(" ");
        return words[0] + " " + words[1];
    }

    private static List<String> headers() {
        List<String> lines = new ArrayList<>();
        for (ApiKeys api : ApiKeys.clientApis()) {
            for (short version : api.allVersions()) {
                lines.add(api.id + " " + version + " " + api.requestHeaderVersion(version) + " " + api.responseHeaderVersion(version));
            }
        }
        return lines;
    }

    private static List<String> fetchRequests() {
        List<String> lines = new ArrayList<>();
        for (short version = 15; version <= ApiKeys.FETCH.latestVersion(); version++) {
            for (int replica : new int[] {-1, 0, 5, -3}) {
                byte[] bare = Hex.bytes(fetchRequest(version, -1, -1, false), version);
                // Without an epoch, Java would leave the tag out where the gateway can only overwrite it.
                long epoch = replica == -1 ? -1 : 7;
                lines.add(version + " " + (bare.length - 1) + " " + Hex.of(Hex.bytes(fetchRequest(version, replica, epoch, true), version))
                    + " " + Hex.of(Hex.bytes(fetchRequest(version, -1, epoch, true), version)));
            }
        }
        return lines;
    }

    private static FetchRequestData fetchRequest(short version, int replica, long epoch, boolean tagged) {
        FetchRequestData data = new FetchRequestData().setMaxWaitMs(500).setMinBytes(1).setMaxBytes(1 << 20).setIsolationLevel((byte) 1)
            .setSessionId(3).setSessionEpoch(4).setRackId("zone-a");
        FetchRequestData.FetchTopic topic = new FetchRequestData.FetchTopic().setTopicId(new Uuid(1, 2));
        for (int i = 0; i < 3; i++) {
            FetchRequestData.FetchPartition partition = new FetchRequestData.FetchPartition().setPartition(i).setCurrentLeaderEpoch(2).setFetchOffset(3)
                .setPartitionMaxBytes(1 << 20);
            if (version >= 17 && i == 1) {
                partition.setReplicaDirectoryId(new Uuid(3, 4));
            }
            if (version >= 18 && i == 2) {
                partition.setHighWatermark(6);
            }
            topic.partitions().add(partition);
        }
        data.topics().add(topic);
        data.forgottenTopicsData().add(new FetchRequestData.ForgottenTopic().setTopicId(new Uuid(5, 6)).setPartitions(List.of(1, 2)));
        data.replicaState().setReplicaId(replica).setReplicaEpoch(epoch);
        if (tagged) {
            data.setClusterId("id-of-the-cluster");
            data.unknownTaggedFields().add(new RawTaggedField(50, new byte[] {1}));
        }
        return data;
    }

    private static void write(Path file, String release, String columns, List<String> lines) throws IOException {
        List<String> all = new ArrayList<>();
        all.add("# " + columns + "; written by Vectors.java with kafka-clients " + release);
        all.addAll(lines.stream().distinct().toList());
        Files.write(file, all);
    }

    private Vectors() {}
}
