import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.AbstractRequest;
import org.apache.kafka.common.requests.AbstractResponse;

/**
 * Requests, and how Kafka's own AbstractRequest.getErrorResponse refuses them; what the gateway composes must equal it.
 * One line each: api key, version, request body, error code, message (hex), answer body.
 * message() names the few places where the gateway says more than getErrorResponse does.
 */
final class Refusals {
    static final String MESSAGE = "refused by the gate";
    private static List<String> lines;

    static List<String> all() {
        lines = new ArrayList<>();
        short cluster = Errors.CLUSTER_AUTHORIZATION_FAILED.code();
        attempt(Refusals::topics);
        attempt(() -> acls(cluster));
        attempt(() -> configs(cluster));
        attempt(() -> logDirs(cluster));
        attempt(() -> partitions(cluster));
        attempt(() -> quotas(cluster));
        attempt(() -> clusterWide(cluster));
        attempt(() -> every(new ListConfigResourcesRequestData(), ApiKeys.forId(74), cluster));
        attempt(() -> every(new ListConfigResourcesRequestData().setResourceTypes(List.of((byte) 2, (byte) 4)), ApiKeys.forId(74), cluster));
        attempt(Refusals::coordinators);
        attempt(Refusals::describeCluster);
        Clients.all();
        return lines;
    }

    private static void topics() {
        short code = Errors.THROTTLING_QUOTA_EXCEEDED.code();
        CreateTopicsRequestData create = new CreateTopicsRequestData();
        CreatePartitionsRequestData grow = new CreatePartitionsRequestData();
        DeleteTopicsRequestData byName = new DeleteTopicsRequestData();
        DeleteTopicsRequestData byState = new DeleteTopicsRequestData();
        every(create, ApiKeys.CREATE_TOPICS, code);
        every(grow, ApiKeys.CREATE_PARTITIONS, code);
        every(byName, ApiKeys.DELETE_TOPICS, code);
        for (int i = 0; i < 2; i++) {
            String name = i == 0 ? "orders" : "zahlungen-ü";
            CreateTopicsRequestData.CreatableTopic topic = new CreateTopicsRequestData.CreatableTopic().setName(name)
                .setNumPartitions(i == 0 ? 12 : -1).setReplicationFactor((short) -1);
            CreatePartitionsRequestData.CreatePartitionsTopic grown = new CreatePartitionsRequestData.CreatePartitionsTopic().setName(name).setCount(9);
            if (i == 1) {
                topic.assignments().add(new CreateTopicsRequestData.CreatableReplicaAssignment().setPartitionIndex(0).setBrokerIds(List.of(1, 2)));
                topic.configs().add(new CreateTopicsRequestData.CreatableTopicConfig().setName("a").setValue(null));
                topic.configs().add(new CreateTopicsRequestData.CreatableTopicConfig().setName("b").setValue("v"));
                grown.setAssignments(List.of(new CreatePartitionsRequestData.CreatePartitionsAssignment().setBrokerIds(List.of(1, 2))));
            } else {
                grown.setAssignments(null);
            }
            create.topics().add(topic);
            grow.topics().add(grown);
            byName.topicNames().add(name);
            byState.topics().add(new DeleteTopicsRequestData.DeleteTopicState().setName(name));
            every(create, ApiKeys.CREATE_TOPICS, code);
            every(grow, ApiKeys.CREATE_PARTITIONS, code);
            every(byName, ApiKeys.DELETE_TOPICS, code);
        }
        byState.topics().add(new DeleteTopicsRequestData.DeleteTopicState().setName(null).setTopicId(new org.apache.kafka.common.Uuid(5, 7)));
        every(byState, ApiKeys.DELETE_TOPICS, code);
    }

    private static void acls(short code) {
        for (byte pattern = 3; pattern <= 4; pattern++) {
            every(new DescribeAclsRequestData().setResourceTypeFilter((byte) 2).setResourceNameFilter("a").setPatternTypeFilter(pattern)
                .setPrincipalFilter(null).setHostFilter("*").setOperation((byte) 1).setPermissionType((byte) 1), ApiKeys.DESCRIBE_ACLS, code);
            CreateAclsRequestData create = new CreateAclsRequestData();
            DeleteAclsRequestData delete = new DeleteAclsRequestData();
            every(create, ApiKeys.CREATE_ACLS, code);
            every(delete, ApiKeys.DELETE_ACLS, code);
            for (String name : new String[] {"orders", "zahlungen-ü"}) {
                create.creations().add(new CreateAclsRequestData.AclCreation().setResourceType((byte) 2).setResourceName(name)
                    .setResourcePatternType(pattern).setPrincipal("User:a").setHost("10.0.0.1").setOperation((byte) 3).setPermissionType((byte) 3));
                delete.filters().add(new DeleteAclsRequestData.DeleteAclsFilter().setResourceTypeFilter((byte) 2).setResourceNameFilter(name)
                    .setPatternTypeFilter(pattern).setPrincipalFilter("User:a").setHostFilter(null).setOperation((byte) 3).setPermissionType((byte) 3));
                every(create, ApiKeys.CREATE_ACLS, code);
                every(delete, ApiKeys.DELETE_ACLS, code);
            }
        }
    }

    private static void configs(short code) {
        DescribeConfigsRequestData describe = new DescribeConfigsRequestData();
        AlterConfigsRequestData alter = new AlterConfigsRequestData();
        IncrementalAlterConfigsRequestData incremental = new IncrementalAlterConfigsRequestData();
        for (int i = 0; i < 3; i++) {
            byte type = (byte) (4 + 4 * i);
            String name = "n" + i;
            DescribeConfigsRequestData.DescribeConfigsResource resource =
                new DescribeConfigsRequestData.DescribeConfigsResource().setResourceType(type).setResourceName(name);
            describe.resources().add(i == 1 ? resource.setConfigurationKeys(null) : resource.setConfigurationKeys(List.of("listeners", "k")));
            AlterConfigsRequestData.AlterConfigsResource altered =
                new AlterConfigsRequestData.AlterConfigsResource().setResourceType(type).setResourceName(name);
            altered.configs().add(new AlterConfigsRequestData.AlterableConfig().setName("a").setValue(null));
            altered.configs().add(new AlterConfigsRequestData.AlterableConfig().setName("b").setValue("v"));
            alter.resources().add(altered);
            IncrementalAlterConfigsRequestData.AlterConfigsResource step =
                new IncrementalAlterConfigsRequestData.AlterConfigsResource().setResourceType(type).setResourceName(name);
            step.configs().add(new IncrementalAlterConfigsRequestData.AlterableConfig().setName("a").setConfigOperation((byte) 1).setValue(null));
            step.configs().add(new IncrementalAlterConfigsRequestData.AlterableConfig().setName("b").setConfigOperation((byte) 0).setValue("v"));
            incremental.resources().add(step);
            every(describe, ApiKeys.DESCRIBE_CONFIGS, code);
            every(alter, ApiKeys.ALTER_CONFIGS, code);
            every(incremental, ApiKeys.INCREMENTAL_ALTER_CONFIGS, code);
        }
    }

    private static void logDirs(short code) {
        AlterReplicaLogDirsRequestData alter = new AlterReplicaLogDirsRequestData();
        every(alter, ApiKeys.ALTER_REPLICA_LOG_DIRS, code);
        AlterReplicaLogDirsRequestData.AlterReplicaLogDir one = new AlterReplicaLogDirsRequestData.AlterReplicaLogDir().setPath("/data/1");
        one.topics().add(new AlterReplicaLogDirsRequestData.AlterReplicaLogDirTopic().setName("a").setPartitions(List.of(0, 7)));
        one.topics().add(new AlterReplicaLogDirsRequestData.AlterReplicaLogDirTopic().setName("b").setPartitions(List.of(1)));
        AlterReplicaLogDirsRequestData.AlterReplicaLogDir two = new AlterReplicaLogDirsRequestData.AlterReplicaLogDir().setPath("/data/2");
        two.topics().add(new AlterReplicaLogDirsRequestData.AlterReplicaLogDirTopic().setName("c").setPartitions(List.of(3)));
        alter.dirs().add(one);
        alter.dirs().add(two);
        every(alter, ApiKeys.ALTER_REPLICA_LOG_DIRS, code);
        every(new DescribeLogDirsRequestData().setTopics(null), ApiKeys.DESCRIBE_LOG_DIRS, code);
        DescribeLogDirsRequestData describe = new DescribeLogDirsRequestData();
        describe.topics().add(new DescribeLogDirsRequestData.DescribableLogDirTopic().setTopic("a").setPartitions(List.of(0, 1)));
        every(describe, ApiKeys.DESCRIBE_LOG_DIRS, code);
    }

    private static void partitions(short code) {
        every(new ElectLeadersRequestData().setTopicPartitions(null).setTimeoutMs(5), ApiKeys.ELECT_LEADERS, code);
        ElectLeadersRequestData elect = new ElectLeadersRequestData().setTimeoutMs(5);
        elect.topicPartitions().add(new ElectLeadersRequestData.TopicPartitions().setTopic("a").setPartitions(List.of(0, 1)));
        elect.topicPartitions().add(new ElectLeadersRequestData.TopicPartitions().setTopic("b").setPartitions(List.of(2)));
        every(elect, ApiKeys.ELECT_LEADERS, code);
        AlterPartitionReassignmentsRequestData alter = new AlterPartitionReassignmentsRequestData().setTimeoutMs(5);
        AlterPartitionReassignmentsRequestData.ReassignableTopic topic = new AlterPartitionReassignmentsRequestData.ReassignableTopic().setName("a");
        topic.partitions().add(new AlterPartitionReassignmentsRequestData.ReassignablePartition().setPartitionIndex(1).setReplicas(null));
        topic.partitions().add(new AlterPartitionReassignmentsRequestData.ReassignablePartition().setPartitionIndex(2).setReplicas(List.of(1, 2, 3)));
        alter.topics().add(topic);
        every(alter, ApiKeys.ALTER_PARTITION_REASSIGNMENTS, code);
        every(new ListPartitionReassignmentsRequestData().setTopics(null), ApiKeys.LIST_PARTITION_REASSIGNMENTS, code);
        ListPartitionReassignmentsRequestData list = new ListPartitionReassignmentsRequestData().setTopics(new ArrayList<>());
        list.topics().add(new ListPartitionReassignmentsRequestData.ListPartitionReassignmentsTopics().setName("a").setPartitionIndexes(List.of(4, 5)));
        every(list, ApiKeys.LIST_PARTITION_REASSIGNMENTS, code);
    }

    private static void quotas(short code) {
        DescribeClientQuotasRequestData describe = new DescribeClientQuotasRequestData().setStrict(true);
        describe.components().add(new DescribeClientQuotasRequestData.ComponentData().setEntityType("user").setMatchType((byte) 1).setMatch(null));
        every(describe, ApiKeys.DESCRIBE_CLIENT_QUOTAS, code);
        AlterClientQuotasRequestData alter = new AlterClientQuotasRequestData();
        for (int i = 0; i < 2; i++) {
            AlterClientQuotasRequestData.EntryData entry = new AlterClientQuotasRequestData.EntryData();
            entry.entity().add(new AlterClientQuotasRequestData.EntityData().setEntityType("user").setEntityName(i == 0 ? null : "bob"));
            if (i == 0) {
                entry.entity().add(new AlterClientQuotasRequestData.EntityData().setEntityType("client-id").setEntityName("c"));
            }
            entry.ops().add(new AlterClientQuotasRequestData.OpData().setKey("producer_byte_rate").setValue(1.5).setRemove(i == 0));
            alter.entries().add(entry);
            every(alter, ApiKeys.ALTER_CLIENT_QUOTAS, code);
        }
        DescribeUserScramCredentialsRequestData users = new DescribeUserScramCredentialsRequestData();
        users.users().add(new DescribeUserScramCredentialsRequestData.UserName().setName("bob"));
        every(users, ApiKeys.DESCRIBE_USER_SCRAM_CREDENTIALS, code);
    }

    private static void clusterWide(short code) {
        DescribeQuorumRequestData.TopicData topic = new DescribeQuorumRequestData.TopicData().setTopicName("__cluster_metadata");
        topic.partitions().add(new DescribeQuorumRequestData.PartitionData().setPartitionIndex(0));
        DescribeQuorumRequestData quorum = new DescribeQuorumRequestData();
        quorum.topics().add(topic);
        every(quorum, ApiKeys.DESCRIBE_QUORUM, code);
        UpdateFeaturesRequestData features = new UpdateFeaturesRequestData();
        features.featureUpdates().add(new UpdateFeaturesRequestData.FeatureUpdateKey().setFeature("metadata.version").setMaxVersionLevel((short) 7));
        features.featureUpdates().add(new UpdateFeaturesRequestData.FeatureUpdateKey().setFeature("share.version").setMaxVersionLevel((short) 0));
        every(features, ApiKeys.UPDATE_FEATURES, code);
        every(new UnregisterBrokerRequestData().setBrokerId(3), ApiKeys.UNREGISTER_BROKER, code);
    }

    private static void coordinators() {
        for (Errors error : new Errors[] {Errors.INVALID_REQUEST, Errors.COORDINATOR_NOT_AVAILABLE}) {
            every(new FindCoordinatorRequestData().setKey("g"), ApiKeys.FIND_COORDINATOR, error.code());
            every(new FindCoordinatorRequestData().setKey("t").setKeyType((byte) 1), ApiKeys.FIND_COORDINATOR, error.code());
            every(new FindCoordinatorRequestData().setKeyType((byte) 2).setCoordinatorKeys(List.of("g:AAAAAAAAAAAAAAAAAAAAAA:0", "h")),
                ApiKeys.FIND_COORDINATOR, error.code());
        }
    }

    private static void describeCluster() {
        every(new DescribeClusterRequestData(), ApiKeys.DESCRIBE_CLUSTER, Errors.INVALID_REQUEST.code());
        every(new DescribeClusterRequestData().setEndpointType((byte) 2), ApiKeys.DESCRIBE_CLUSTER, Errors.MISMATCHED_ENDPOINT_TYPE.code());
    }

    /** The request in every version that this release speaks and that can hold its fields. */
    static void every(ApiMessage request, ApiKeys api, short code) {
        every(request, api, code, 0, Short.MAX_VALUE);
    }

    /** As above, in the versions from one to the other. */
    static void every(ApiMessage request, ApiKeys api, short code, int from, int to) {
        for (short version : api.allVersions()) {
            byte[] body;
            if (version < from || version > to || !api.isVersionEnabled(version, false)) {
                continue;
            }
            try {
                body = Hex.bytes(request, version);
            } catch (RuntimeException unsupported) {
                continue;
            }
            ApiMessage answer = refused(api, version, body, code);
            lines.add(api.id + " " + version + " " + Hex.of(body) + " " + code + " " + Hex.of(MESSAGE.getBytes()) + " "
                + Hex.of(Hex.bytes(answer, version)));
        }
    }

    private static ApiMessage refused(ApiKeys api, short version, byte[] body, short code) {
        try {
            Object input = ByteBuffer.wrap(body);
            Method parse = null;
            for (Method method : AbstractRequest.class.getDeclaredMethods()) {
                if (method.getName().equals("parseRequest")) {
                    parse = method;
                }
            }
            if (!parse.getParameterTypes()[2].isInstance(input)) {
                input = new org.apache.kafka.common.protocol.ByteBufferAccessor((ByteBuffer) input);
            }
            Object parsed = parse.invoke(null, api, version, input);
            AbstractRequest request = (AbstractRequest) parsed.getClass().getField("request").get(parsed);
            AbstractResponse response = request.getErrorResponse(0, Errors.forCode(code).exception(MESSAGE));
            Clients.adapt(response.data(), version, request.data(), code);
            if (api.id >= ApiKeys.SHARE_GROUP_HEARTBEAT.id) {
                Clients.adaptNew(response.data(), request.data(), code);
            }
            return message(response.data(), version, request.data());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Where getErrorResponse has the code's default text, or forgets a name, and the gateway says more. */
    private static ApiMessage message(ApiMessage answer, short version, ApiMessage request) {
        if (answer instanceof DescribeConfigsResponseData data) {
            data.results().forEach(result -> result.setErrorMessage(MESSAGE));
        } else if (answer instanceof AlterClientQuotasResponseData data) {
            data.entries().forEach(entry -> entry.setErrorMessage(MESSAGE));
        } else if (answer instanceof DeleteTopicsResponseData data && version >= 5) {
            data.responses().forEach(response -> response.setErrorMessage(MESSAGE));
        } else if (answer instanceof DescribeQuorumResponseData data && version >= 2) {
            data.setErrorMessage(MESSAGE);
        } else if (answer instanceof FindCoordinatorResponseData data) {
            if (version >= 1 && version < 4) {
                data.setErrorMessage(MESSAGE);
            }
            data.coordinators().forEach(coordinator -> coordinator.setErrorMessage(MESSAGE));
        } else if (answer instanceof DescribeUserScramCredentialsResponseData data) {
            var users = ((DescribeUserScramCredentialsRequestData) request).users();
            for (int i = 0; i < users.size(); i++) {
                data.results().get(i).setUser(users.get(i).name());
            }
        } else if (answer instanceof ListPartitionReassignmentsResponseData data) {
            // A listed partition is one that is being moved; an error needs none.
            data.topics().clear();
        }
        return answer;
    }

    static void attempt(Runnable part) {
        try {
            part.run();
        } catch (LinkageError absent) {
            System.err.println("not in this release: " + absent.getMessage());
        }
    }
}
