import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Answers with addresses at their end, with and without them, with and without a node that the gateway does not have.
 * One line each: api key, version, offset of the tail, frame, rewritten frame.
 */
final class Streamed {
    private static List<String> lines;

    static List<String> all() {
        lines = new ArrayList<>();
        for (boolean hints : new boolean[] {false, true}) {
            for (boolean unknown : new boolean[] {false, true}) {
                tailed(ApiKeys.PRODUCE, 10, 1, version -> produce(hints, unknown));
                tailed(ApiKeys.FETCH, 16, 1, version -> fetch(hints, unknown));
                tailed(ApiKeys.SHARE_FETCH, 1, 2, version -> shareFetch(hints, unknown));
                tailed(ApiKeys.SHARE_ACKNOWLEDGE, 1, 2, version -> shareAcknowledge(hints, unknown));
            }
        }
        return lines;
    }

    private static final Uuid TOPIC = new Uuid(0x0102030405060708L, 0x1112131415161718L);

    private static MemoryRecords records(int bytes) {
        byte[] content = new byte[bytes];
        for (int i = 0; i < bytes; i++) {
            content[i] = (byte) (i * 7 + 1);
        }
        return MemoryRecords.readableRecords(ByteBuffer.wrap(content));
    }

    private static ApiMessage produce(boolean hints, boolean unknown) {
        ProduceResponseData data = new ProduceResponseData().setThrottleTimeMs(3);
        ProduceResponseData.TopicProduceResponse topic = new ProduceResponseData.TopicProduceResponse().setName("t").setTopicId(TOPIC);
        for (int i = 0; i < 3; i++) {
            ProduceResponseData.PartitionProduceResponse partition = new ProduceResponseData.PartitionProduceResponse()
                .setIndex(i).setErrorCode((short) (i * 6)).setBaseOffset(100L * i).setErrorMessage(i == 0 ? null : "moved");
            if (i == 1) {
                partition.currentLeader().setLeaderId(2).setLeaderEpoch(9);
                partition.recordErrors().add(new ProduceResponseData.BatchIndexAndErrorMessage().setBatchIndex(4).setBatchIndexErrorMessage("x"));
                partition.unknownTaggedFields().add(new RawTaggedField(9, new byte[130]));
            }
            topic.partitionResponses().add(partition);
        }
        data.responses().add(topic);
        if (hints) {
            for (int node : Gate.nodes(unknown)) {
                data.nodeEndpoints().add(new ProduceResponseData.NodeEndpoint().setNodeId(node).setHost(Gate.host(node)).setPort(Gate.port(node)).setRack(Gate.rack(node)));
            }
        }
        return data;
    }

    private static ApiMessage fetch(boolean hints, boolean unknown) {
        FetchResponseData data = new FetchResponseData().setThrottleTimeMs(3).setSessionId(77);
        for (int t = 0; t < 2; t++) {
            FetchResponseData.FetchableTopicResponse topic = new FetchResponseData.FetchableTopicResponse().setTopic("t" + t).setTopicId(TOPIC);
            for (int i = 0; i < 3; i++) {
                FetchResponseData.PartitionData partition = new FetchResponseData.PartitionData().setPartitionIndex(i).setErrorCode((short) (i * 6))
                    .setHighWatermark(5).setLastStableOffset(4).setLogStartOffset(1).setPreferredReadReplica(i - 1)
                    .setRecords(i == 2 ? null : records(i * 140));
                if (i == 0) {
                    partition.setAbortedTransactions(null);
                } else {
                    partition.setAbortedTransactions(new ArrayList<>(List.of(
                        new FetchResponseData.AbortedTransaction().setProducerId(1).setFirstOffset(2),
                        new FetchResponseData.AbortedTransaction().setProducerId(3).setFirstOffset(4))));
                    partition.currentLeader().setLeaderId(2).setLeaderEpoch(9);
                    partition.divergingEpoch().setEpoch(3).setEndOffset(4);
                    partition.snapshotId().setEpoch(1).setEndOffset(2);
                    partition.unknownTaggedFields().add(new RawTaggedField(31, new byte[] {1, 2, 3}));
                }
                topic.partitions().add(partition);
            }
            data.responses().add(topic);
        }
        if (hints) {
            for (int node : Gate.nodes(unknown)) {
                data.nodeEndpoints().add(new FetchResponseData.NodeEndpoint().setNodeId(node).setHost(Gate.host(node)).setPort(Gate.port(node)).setRack(Gate.rack(node)));
            }
        }
        return data;
    }

    private static ApiMessage shareFetch(boolean hints, boolean unknown) {
        ShareFetchResponseData data = new ShareFetchResponseData().setThrottleTimeMs(3).setErrorMessage("fine").setAcquisitionLockTimeoutMs(30000);
        ShareFetchResponseData.ShareFetchableTopicResponse topic = new ShareFetchResponseData.ShareFetchableTopicResponse().setTopicId(TOPIC);
        for (int i = 0; i < 3; i++) {
            ShareFetchResponseData.PartitionData partition = new ShareFetchResponseData.PartitionData().setPartitionIndex(i).setErrorCode((short) (i * 6))
                .setErrorMessage(i == 0 ? null : "moved").setAcknowledgeErrorCode((short) i).setAcknowledgeErrorMessage(i == 1 ? "ack" : null)
                .setRecords(records(i * 200));
            partition.currentLeader().setLeaderId(i).setLeaderEpoch(i);
            for (int a = 0; a < i; a++) {
                partition.acquiredRecords().add(new ShareFetchResponseData.AcquiredRecords().setFirstOffset(a).setLastOffset(a + 1).setDeliveryCount((short) 2));
            }
            topic.partitions().add(partition);
        }
        data.responses().add(topic);
        if (hints) {
            for (int node : Gate.nodes(unknown)) {
                data.nodeEndpoints().add(new ShareFetchResponseData.NodeEndpoint().setNodeId(node).setHost(Gate.host(node)).setPort(Gate.port(node)).setRack(Gate.rack(node)));
            }
        }
        return data;
    }

    private static ApiMessage shareAcknowledge(boolean hints, boolean unknown) {
        ShareAcknowledgeResponseData data = new ShareAcknowledgeResponseData().setThrottleTimeMs(3).setErrorMessage(null).setAcquisitionLockTimeoutMs(5);
        ShareAcknowledgeResponseData.ShareAcknowledgeTopicResponse topic = new ShareAcknowledgeResponseData.ShareAcknowledgeTopicResponse().setTopicId(TOPIC);
        for (int i = 0; i < 2; i++) {
            ShareAcknowledgeResponseData.PartitionData partition =
                new ShareAcknowledgeResponseData.PartitionData().setPartitionIndex(i).setErrorCode((short) (i * 6)).setErrorMessage(i == 0 ? null : "moved");
            partition.currentLeader().setLeaderId(i).setLeaderEpoch(i);
            partition.unknownTaggedFields().add(new RawTaggedField(0, new byte[] {9}));
            topic.partitions().add(partition);
        }
        data.responses().add(topic);
        if (hints) {
            for (int node : Gate.nodes(unknown)) {
                data.nodeEndpoints().add(new ShareAcknowledgeResponseData.NodeEndpoint().setNodeId(node).setHost(Gate.host(node)).setPort(Gate.port(node)).setRack(Gate.rack(node)));
            }
        }
        return data;
    }

    /** A message with nothing in its tail ends with emptyTail bytes: the tag count, and for two an empty array before it. */
    private static void tailed(ApiKeys api, int from, int emptyTail, Gate.Maker maker) {
        for (short version : api.allVersions()) {
            if (version < from) {
                continue;
            }
            for (boolean tagged : new boolean[] {false, true}) {
                Gate.upstream = true;
                ApiMessage message = maker.make(version);
                int tail = Gate.frame(api, version, bare(maker.make(version))).length - emptyTail;
                byte[] frame = Gate.frame(api, version, tag(message, tagged));
                Gate.upstream = false;
                byte[] rewritten = Gate.frame(api, version, tag(maker.make(version), tagged));
                lines.add(api.id + " " + version + " " + tail + " " + Hex.of(frame) + " " + Hex.of(rewritten));
            }
        }
    }

    private static ApiMessage tag(ApiMessage message, boolean tagged) {
        if (tagged) {
            message.unknownTaggedFields().add(new RawTaggedField(200, new byte[] {7, 7}));
        }
        return message;
    }

    private static ApiMessage bare(ApiMessage bare) {
        if (bare instanceof ProduceResponseData data) {
            data.nodeEndpoints().clear();
        } else if (bare instanceof FetchResponseData data) {
            data.nodeEndpoints().clear();
        } else if (bare instanceof ShareFetchResponseData data) {
            data.nodeEndpoints().clear();
        } else if (bare instanceof ShareAcknowledgeResponseData data) {
            data.nodeEndpoints().clear();
        }
        return bare;
    }

    private Streamed() {}
}
