import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.types.RawTaggedField;

/**
 * Answers that are rewritten from their beginning. One line each: api key, version, "-", frame, rewritten frame.
 */
final class Held {
    private static final Uuid TOPIC = new Uuid(0x0102030405060708L, 0x1112131415161718L);

    static List<String> all() {
        List<String> lines = new ArrayList<>(Gate.whole(ApiKeys.METADATA, 0, Held::metadata));
        for (int node : new int[] {1, 2, 9, -1}) {
            lines.addAll(Gate.whole(ApiKeys.FIND_COORDINATOR, 0, version -> coordinator(node, version)));
        }
        lines.addAll(Gate.whole(ApiKeys.DESCRIBE_CLUSTER, 0, Held::cluster));
        lines.addAll(Gate.whole(ApiKeys.DESCRIBE_QUORUM, 2, Held::quorum));
        lines.addAll(configs());
        return lines;
    }

    /** The one answer here with a version (0) that only an old release can write. */
    static List<String> configs() {
        return Gate.whole(ApiKeys.DESCRIBE_CONFIGS, 0, Held::configs);
    }

    private static ApiMessage metadata(short version) {
        MetadataResponseData data = new MetadataResponseData().setThrottleTimeMs(3).setClusterId("id-of-the-cluster").setControllerId(9);
        for (int node : Gate.nodes(true)) {
            data.brokers().add(new MetadataResponseData.MetadataResponseBroker().setNodeId(node).setHost(Gate.host(node)).setPort(Gate.port(node)).setRack(Gate.rack(node)));
        }
        MetadataResponseData.MetadataResponseTopic topic = new MetadataResponseData.MetadataResponseTopic().setName("t").setTopicId(TOPIC).setIsInternal(true);
        topic.partitions().add(new MetadataResponseData.MetadataResponsePartition().setPartitionIndex(0).setLeaderId(9).setLeaderEpoch(4)
            .setReplicaNodes(List.of(1, 9)).setIsrNodes(List.of(9)).setOfflineReplicas(List.of(1)));
        data.topics().add(topic);
        if (version >= 9) {
            data.unknownTaggedFields().add(new RawTaggedField(5, new byte[] {1, 2}));
            topic.unknownTaggedFields().add(new RawTaggedField(6, new byte[] {3}));
        }
        return data;
    }

    private static ApiMessage coordinator(int node, short version) {
        FindCoordinatorResponseData data = new FindCoordinatorResponseData().setThrottleTimeMs(3);
        boolean known = node == 1 || node == 2;
        boolean found = Gate.upstream ? node >= 0 : known;
        int id = found ? node : -1;
        String host = found ? Gate.host(node) : "";
        int port = found ? Gate.port(node) : -1;
        short error = (short) (found ? 0 : 15);
        if (version < 4) {
            data.setErrorCode(error).setNodeId(id).setHost(host).setPort(port);
            return version < 1 ? data : data.setErrorMessage(null);
        }
        data.coordinators().add(new FindCoordinatorResponseData.Coordinator().setKey("a").setNodeId(id).setHost(host).setPort(port).setErrorCode(error).setErrorMessage(null));
        data.coordinators().add(new FindCoordinatorResponseData.Coordinator().setKey("b").setNodeId(2).setHost(Gate.host(2)).setPort(Gate.port(2)).setErrorMessage("so"));
        data.unknownTaggedFields().add(new RawTaggedField(3, new byte[] {1}));
        return data;
    }

    private static ApiMessage cluster(short version) {
        DescribeClusterResponseData data = new DescribeClusterResponseData().setThrottleTimeMs(3).setClusterId("id-of-the-cluster").setControllerId(2)
            .setClusterAuthorizedOperations(5);
        for (int node : Gate.nodes(true)) {
            data.brokers().add(new DescribeClusterResponseData.DescribeClusterBroker().setBrokerId(node).setHost(Gate.host(node)).setPort(Gate.port(node))
                .setRack(Gate.rack(node)).setIsFenced(version >= 2 && node == 2));
        }
        data.unknownTaggedFields().add(new RawTaggedField(3, new byte[] {1}));
        return data;
    }

    private static ApiMessage quorum(short version) {
        DescribeQuorumResponseData data = new DescribeQuorumResponseData().setErrorMessage("fine");
        DescribeQuorumResponseData.TopicData topic = new DescribeQuorumResponseData.TopicData().setTopicName("__cluster_metadata");
        DescribeQuorumResponseData.PartitionData partition = new DescribeQuorumResponseData.PartitionData().setLeaderId(1).setLeaderEpoch(2).setHighWatermark(3)
            .setErrorMessage(null);
        partition.currentVoters().add(new DescribeQuorumResponseData.ReplicaState().setReplicaId(1).setReplicaDirectoryId(TOPIC).setLogEndOffset(4));
        partition.observers().add(new DescribeQuorumResponseData.ReplicaState().setReplicaId(2).setReplicaDirectoryId(TOPIC).setLogEndOffset(4));
        topic.partitions().add(partition);
        data.topics().add(topic);
        if (Gate.upstream) {
            DescribeQuorumResponseData.Node node = new DescribeQuorumResponseData.Node().setNodeId(1);
            node.listeners().add(new DescribeQuorumResponseData.Listener().setName("CONTROLLER").setHost(Gate.host(1)).setPort(9093));
            data.nodes().add(node);
        }
        data.unknownTaggedFields().add(new RawTaggedField(3, new byte[] {1}));
        return data;
    }

    private static ApiMessage configs(short version) {
        DescribeConfigsResponseData data = new DescribeConfigsResponseData().setThrottleTimeMs(3);
        DescribeConfigsResponseData.DescribeConfigsResult topic = new DescribeConfigsResponseData.DescribeConfigsResult().setResourceType((byte) 2)
            .setResourceName("t").setErrorMessage(null);
        topic.configs().add(entry("retention.ms", "5", "log.retention.ms", "5", version));
        DescribeConfigsResponseData.DescribeConfigsResult broker = new DescribeConfigsResponseData.DescribeConfigsResult().setResourceType((byte) 4)
            .setResourceName("1").setErrorMessage("");
        String address = "PLAINTEXT://kafka-1.behind.the.gate:9092";
        broker.configs().add(entry("advertised.listeners", Gate.upstream ? address : null, "listeners", Gate.upstream ? address : null, version));
        broker.configs().add(entry("num.io.threads", "8", "num.io.threads", "8", version));
        String own = Gate.upstream ? "kafka-1.behind.the.gate:9092" : null;
        broker.configs().add(entry("metric.of.mine", own, "metric.of.mine", own, version));
        data.results().add(topic);
        data.results().add(broker);
        return data;
    }

    private static DescribeConfigsResponseData.DescribeConfigsResourceResult entry(String name, String value, String synonym, String other, short version) {
        DescribeConfigsResponseData.DescribeConfigsResourceResult entry = new DescribeConfigsResponseData.DescribeConfigsResourceResult()
            .setName(name).setValue(value).setConfigSource((byte) 4);
        entry.synonyms().add(new DescribeConfigsResponseData.DescribeConfigsSynonym().setName(synonym).setValue(other).setSource((byte) 5));
        return version < 3 ? entry : entry.setDocumentation(null).setConfigType((byte) 2);
    }

    private Held() {}
}
