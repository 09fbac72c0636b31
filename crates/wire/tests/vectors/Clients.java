import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;

/** Requests of producers, consumers and other applications, to be refused: as Refusals has those of administration. */
final class Clients {
    private static final short MOVED = Errors.NOT_LEADER_OR_FOLLOWER.code();
    private static final short COORDINATOR = Errors.NOT_COORDINATOR.code();
    private static final Uuid ID = new Uuid(5, 7);
    private static final String[] NAMES = {"orders", "zahlungen-ü"};

    static void all() {
        Refusals.attempt(Clients::fetch);
        Refusals.attempt(Clients::share);
        Refusals.attempt(Clients::offsets);
        Refusals.attempt(Clients::committed);
        Refusals.attempt(Clients::classicGroups);
        Refusals.attempt(Clients::groups);
        Refusals.attempt(Clients::newGroups);
        Refusals.attempt(Clients::streams);
        Refusals.attempt(Clients::shareOffsets);
        Refusals.attempt(Clients::transactions);
        Refusals.attempt(Clients::metadata);
        Refusals.attempt(Clients::telemetry);
    }

    private static void fetch() {
        for (int topics = 0; topics <= 2; topics++) {
            FetchRequestData byName = new FetchRequestData().setMaxWaitMs(500).setMinBytes(1).setMaxBytes(1 << 20).setSessionId(3).setSessionEpoch(4);
            FetchRequestData byId = byName.duplicate();
            for (int topic = 0; topic < topics; topic++) {
                List<FetchRequestData.FetchPartition> partitions = new ArrayList<>();
                for (int i = 0; i <= topic; i++) {
                    partitions.add(new FetchRequestData.FetchPartition().setPartition(7 + i).setFetchOffset(3).setPartitionMaxBytes(1 << 20));
                }
                byName.topics().add(new FetchRequestData.FetchTopic().setTopic(NAMES[topic]).setPartitions(partitions));
                byId.topics().add(new FetchRequestData.FetchTopic().setTopicId(new Uuid(topic, 9)).setPartitions(partitions));
            }
            for (Errors error : new Errors[] {Errors.NOT_LEADER_OR_FOLLOWER, Errors.FETCH_SESSION_ID_NOT_FOUND}) {
                Refusals.every(byName, ApiKeys.FETCH, error.code(), 0, 12);
                Refusals.every(byId, ApiKeys.FETCH, error.code(), 13, 99);
            }
        }
    }

    private static void share() {
        ShareFetchRequestData fetch = new ShareFetchRequestData().setGroupId("g").setMemberId("m").setShareSessionEpoch(1).setMaxWaitMs(500)
            .setMinBytes(1).setMaxRecords(9).setBatchSize(8);
        ShareAcknowledgeRequestData acknowledge = new ShareAcknowledgeRequestData().setGroupId("g").setMemberId(null).setShareSessionEpoch(2);
        for (int i = 0; i < 2; i++) {
            for (Errors error : new Errors[] {Errors.NOT_LEADER_OR_FOLLOWER, Errors.SHARE_SESSION_NOT_FOUND}) {
                Refusals.every(fetch, ApiKeys.SHARE_FETCH, error.code());
                Refusals.every(acknowledge, ApiKeys.SHARE_ACKNOWLEDGE, error.code());
            }
            ShareFetchRequestData.FetchPartition fetched = new ShareFetchRequestData.FetchPartition().setPartitionIndex(7);
            ShareAcknowledgeRequestData.AcknowledgePartition acknowledged = new ShareAcknowledgeRequestData.AcknowledgePartition().setPartitionIndex(7);
            fetched.acknowledgementBatches().add(new ShareFetchRequestData.AcknowledgementBatch().setFirstOffset(1).setLastOffset(3)
                .setAcknowledgeTypes(List.of((byte) 1, (byte) 2, (byte) 1)));
            acknowledged.acknowledgementBatches().add(new ShareAcknowledgeRequestData.AcknowledgementBatch().setFirstOffset(1).setLastOffset(3)
                .setAcknowledgeTypes(List.of((byte) 1)));
            ShareFetchRequestData.FetchTopic fetchTopic = new ShareFetchRequestData.FetchTopic().setTopicId(ID);
            fetchTopic.partitions().add(fetched);
            fetchTopic.partitions().add(new ShareFetchRequestData.FetchPartition().setPartitionIndex(8));
            fetch.topics().add(fetchTopic);
            fetch.forgottenTopicsData().add(new ShareFetchRequestData.ForgottenTopic().setTopicId(ID).setPartitions(List.of(9)));
            ShareAcknowledgeRequestData.AcknowledgeTopic acknowledgeTopic = new ShareAcknowledgeRequestData.AcknowledgeTopic().setTopicId(ID);
            acknowledgeTopic.partitions().add(acknowledged);
            acknowledge.topics().add(acknowledgeTopic);
        }
    }

    private static void offsets() {
        ListOffsetsRequestData list = new ListOffsetsRequestData().setReplicaId(-1);
        OffsetForLeaderEpochRequestData epochs = new OffsetForLeaderEpochRequestData();
        DeleteRecordsRequestData delete = new DeleteRecordsRequestData().setTimeoutMs(5);
        for (String name : NAMES) {
            Refusals.every(list, ApiKeys.LIST_OFFSETS, MOVED);
            Refusals.every(epochs, ApiKeys.OFFSET_FOR_LEADER_EPOCH, MOVED);
            Refusals.every(delete, ApiKeys.DELETE_RECORDS, MOVED);
            ListOffsetsRequestData.ListOffsetsTopic listed = new ListOffsetsRequestData.ListOffsetsTopic().setName(name);
            OffsetForLeaderEpochRequestData.OffsetForLeaderTopic asked = new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic(name);
            DeleteRecordsRequestData.DeleteRecordsTopic deleted = new DeleteRecordsRequestData.DeleteRecordsTopic().setName(name);
            for (int i = 0; i < 2; i++) {
                listed.partitions().add(new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(i).setTimestamp(-2));
                asked.partitions().add(new OffsetForLeaderEpochRequestData.OffsetForLeaderPartition().setPartition(i).setLeaderEpoch(3));
                deleted.partitions().add(new DeleteRecordsRequestData.DeleteRecordsPartition().setPartitionIndex(i).setOffset(3));
            }
            list.topics().add(listed);
            epochs.topics().add(asked);
            delete.topics().add(deleted);
        }
        Refusals.every(list, ApiKeys.LIST_OFFSETS, MOVED);
        Refusals.every(epochs, ApiKeys.OFFSET_FOR_LEADER_EPOCH, MOVED);
        Refusals.every(delete, ApiKeys.DELETE_RECORDS, MOVED);
    }

    private static void committed() {
        for (int id = 0; id < 2; id++) {
            OffsetCommitRequestData commit = new OffsetCommitRequestData().setGroupId("g").setMemberId("m").setGenerationIdOrMemberEpoch(4);
            OffsetFetchRequestData.OffsetFetchRequestGroup group = new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId("g").setTopics(new ArrayList<>());
            OffsetFetchRequestData old = new OffsetFetchRequestData().setGroupId("g").setTopics(new ArrayList<>());
            OffsetDeleteRequestData delete = new OffsetDeleteRequestData().setGroupId("g");
            for (String name : NAMES) {
                OffsetCommitRequestData.OffsetCommitRequestTopic topic = new OffsetCommitRequestData.OffsetCommitRequestTopic();
                OffsetFetchRequestData.OffsetFetchRequestTopics asked = new OffsetFetchRequestData.OffsetFetchRequestTopics().setPartitionIndexes(List.of(1, 2));
                if (id == 1) {
                    topic.setTopicId(ID);
                    asked.setTopicId(ID);
                } else {
                    topic.setName(name);
                    asked.setName(name);
                }
                topic.partitions().add(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(1).setCommittedOffset(2).setCommittedMetadata("x"));
                topic.partitions().add(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(2).setCommittedOffset(2).setCommittedMetadata(null));
                commit.topics().add(topic);
                group.topics().add(asked);
                old.topics().add(new OffsetFetchRequestData.OffsetFetchRequestTopic().setName(name).setPartitionIndexes(List.of(1)));
                OffsetDeleteRequestData.OffsetDeleteRequestTopic deleted = new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(name);
                deleted.partitions().add(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(1));
                delete.topics().add(deleted);
            }
            int from = id == 1 ? 10 : 0;
            int to = id == 1 ? 99 : 9;
            Refusals.every(commit, ApiKeys.OFFSET_COMMIT, COORDINATOR, from, to);
            OffsetFetchRequestData.OffsetFetchRequestGroup all = new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId("h").setTopics(null);
            Refusals.every(new OffsetFetchRequestData().setGroups(List.of(group, all)), ApiKeys.OFFSET_FETCH, COORDINATOR, Math.max(from, 8), to);
            Refusals.every(old, ApiKeys.OFFSET_FETCH, COORDINATOR, 0, 7);
            Refusals.every(new OffsetFetchRequestData().setGroupId("g").setTopics(null), ApiKeys.OFFSET_FETCH, COORDINATOR, 2, 7);
            Refusals.every(delete, ApiKeys.OFFSET_DELETE, COORDINATOR);
        }
    }

    private static void classicGroups() {
        JoinGroupRequestData join = new JoinGroupRequestData().setGroupId("g").setMemberId("m").setSessionTimeoutMs(9).setProtocolType("consumer");
        join.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range").setMetadata(new byte[] {1, 2}));
        Refusals.every(join, ApiKeys.JOIN_GROUP, COORDINATOR);
        SyncGroupRequestData sync = new SyncGroupRequestData().setGroupId("g").setMemberId("m").setGenerationId(4);
        sync.assignments().add(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId("m").setAssignment(new byte[] {3}));
        Refusals.every(sync, ApiKeys.SYNC_GROUP, COORDINATOR);
        Refusals.every(new HeartbeatRequestData().setGroupId("g").setMemberId("m").setGenerationId(4), ApiKeys.HEARTBEAT, COORDINATOR);
        Refusals.every(new LeaveGroupRequestData().setGroupId("g").setMemberId("m"), ApiKeys.LEAVE_GROUP, COORDINATOR);
        Refusals.every(new LeaveGroupRequestData().setGroupId("g").setMembers(List.of(new LeaveGroupRequestData.MemberIdentity().setMemberId("m"))),
            ApiKeys.LEAVE_GROUP, COORDINATOR);
    }

    private static void groups() {
        for (List<String> groups : List.of(List.<String>of(), List.of("g"), List.of("g", "häuser"))) {
            Refusals.every(new DescribeGroupsRequestData().setGroups(groups), ApiKeys.DESCRIBE_GROUPS, COORDINATOR);
            DeleteGroupsRequestData delete = new DeleteGroupsRequestData().setGroupsNames(groups);
            Refusals.every(delete, ApiKeys.DELETE_GROUPS, COORDINATOR);
        }
        Refusals.every(new ListGroupsRequestData(), ApiKeys.LIST_GROUPS, COORDINATOR);
    }

    private static void newGroups() {
        Refusals.every(new ConsumerGroupHeartbeatRequestData().setGroupId("g").setMemberId("m").setMemberEpoch(3), ApiKeys.CONSUMER_GROUP_HEARTBEAT, COORDINATOR);
        Refusals.every(new ConsumerGroupDescribeRequestData().setGroupIds(List.of("g", "häuser")), ApiKeys.CONSUMER_GROUP_DESCRIBE, COORDINATOR);
        Refusals.every(new ShareGroupHeartbeatRequestData().setGroupId("g").setMemberId("m").setMemberEpoch(3), ApiKeys.SHARE_GROUP_HEARTBEAT, COORDINATOR);
        Refusals.every(new ShareGroupDescribeRequestData().setGroupIds(List.of("g", "häuser")), ApiKeys.SHARE_GROUP_DESCRIBE, COORDINATOR);
    }

    private static void streams() {
        Refusals.every(new StreamsGroupHeartbeatRequestData().setGroupId("g").setMemberId("m").setMemberEpoch(3), ApiKeys.STREAMS_GROUP_HEARTBEAT, COORDINATOR);
        Refusals.every(new StreamsGroupDescribeRequestData().setGroupIds(List.of("g", "häuser")), ApiKeys.STREAMS_GROUP_DESCRIBE, COORDINATOR);
    }

    private static void shareOffsets() {
        DescribeShareGroupOffsetsRequestData describe = new DescribeShareGroupOffsetsRequestData();
        describe.groups().add(new DescribeShareGroupOffsetsRequestData.DescribeShareGroupOffsetsRequestGroup().setGroupId("g").setTopics(List.of(
            new DescribeShareGroupOffsetsRequestData.DescribeShareGroupOffsetsRequestTopic().setTopicName("orders").setPartitions(List.of(1, 2)))));
        describe.groups().add(new DescribeShareGroupOffsetsRequestData.DescribeShareGroupOffsetsRequestGroup().setGroupId("h").setTopics(null));
        Refusals.every(describe, ApiKeys.DESCRIBE_SHARE_GROUP_OFFSETS, COORDINATOR);
        Refusals.every(new AlterShareGroupOffsetsRequestData().setGroupId("g"), ApiKeys.ALTER_SHARE_GROUP_OFFSETS, COORDINATOR);
        Refusals.every(new DeleteShareGroupOffsetsRequestData().setGroupId("g"), ApiKeys.DELETE_SHARE_GROUP_OFFSETS, COORDINATOR);
    }

    private static void transactions() {
        Refusals.every(new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(5), ApiKeys.INIT_PRODUCER_ID, COORDINATOR);
        Refusals.every(new InitProducerIdRequestData().setTransactionalId("t").setTransactionTimeoutMs(5), ApiKeys.INIT_PRODUCER_ID, COORDINATOR);
        Refusals.every(new AddOffsetsToTxnRequestData().setTransactionalId("t").setProducerId(9).setGroupId("g"), ApiKeys.ADD_OFFSETS_TO_TXN, COORDINATOR);
        Refusals.every(new EndTxnRequestData().setTransactionalId("t").setProducerId(9).setCommitted(true), ApiKeys.END_TXN, COORDINATOR);
        AddPartitionsToTxnRequestData add = new AddPartitionsToTxnRequestData().setV3AndBelowTransactionalId("t").setV3AndBelowProducerId(9);
        TxnOffsetCommitRequestData commit = new TxnOffsetCommitRequestData().setTransactionalId("t").setGroupId("g").setProducerId(9);
        DescribeProducersRequestData producers = new DescribeProducersRequestData();
        for (String name : NAMES) {
            add.v3AndBelowTopics().add(new AddPartitionsToTxnRequestData.AddPartitionsToTxnTopic().setName(name).setPartitions(List.of(1, 2)));
            TxnOffsetCommitRequestData.TxnOffsetCommitRequestTopic topic = new TxnOffsetCommitRequestData.TxnOffsetCommitRequestTopic().setName(name);
            topic.partitions().add(new TxnOffsetCommitRequestData.TxnOffsetCommitRequestPartition().setPartitionIndex(1).setCommittedOffset(3).setCommittedMetadata(null));
            topic.partitions().add(new TxnOffsetCommitRequestData.TxnOffsetCommitRequestPartition().setPartitionIndex(2).setCommittedOffset(3).setCommittedMetadata("x"));
            commit.topics().add(topic);
            producers.topics().add(new DescribeProducersRequestData.TopicRequest().setName(name).setPartitionIndexes(List.of(1)));
        }
        Refusals.every(add, ApiKeys.ADD_PARTITIONS_TO_TXN, COORDINATOR, 0, 3);
        Refusals.every(commit, ApiKeys.TXN_OFFSET_COMMIT, COORDINATOR);
        Refusals.every(producers, ApiKeys.DESCRIBE_PRODUCERS, MOVED);
        Refusals.every(new DescribeTransactionsRequestData().setTransactionalIds(List.of("t", "ü")), ApiKeys.DESCRIBE_TRANSACTIONS, COORDINATOR);
        Refusals.every(new ListTransactionsRequestData(), ApiKeys.LIST_TRANSACTIONS, COORDINATOR);
    }

    private static void metadata() {
        short none = Errors.LEADER_NOT_AVAILABLE.code();
        MetadataRequestData request = new MetadataRequestData().setTopics(new ArrayList<>());
        Refusals.every(request, ApiKeys.METADATA, none);
        Refusals.every(new MetadataRequestData().setTopics(null), ApiKeys.METADATA, none, 1, 99);
        DescribeTopicPartitionsRequestData describe = new DescribeTopicPartitionsRequestData();
        for (String name : NAMES) {
            request.topics().add(new MetadataRequestData.MetadataRequestTopic().setName(name));
            Refusals.every(request, ApiKeys.METADATA, none);
            describe.topics().add(new DescribeTopicPartitionsRequestData.TopicRequest().setName(name));
        }
        request.topics().add(new MetadataRequestData.MetadataRequestTopic().setName(null).setTopicId(ID));
        Refusals.every(request, ApiKeys.METADATA, none, 10, 99);
        Refusals.every(describe, ApiKeys.DESCRIBE_TOPIC_PARTITIONS, none);
    }

    private static void telemetry() {
        short later = Errors.COORDINATOR_NOT_AVAILABLE.code();
        Refusals.every(new GetTelemetrySubscriptionsRequestData().setClientInstanceId(ID), ApiKeys.GET_TELEMETRY_SUBSCRIPTIONS, later);
        PushTelemetryRequestData push = new PushTelemetryRequestData().setClientInstanceId(ID).setSubscriptionId(5);
        Refusals.every(push, ApiKeys.PUSH_TELEMETRY, later);
    }

    /** Whether a code is about partitions, so that clients look for it there. */
    private static boolean isOfPartitions(short code) {
        return code == MOVED;
    }

    /**
     * How the gateway differs from getErrorResponse. A Fetch is refused as a broker does it that has read the request: by its
     * partitions, or by its session. So is what is shared. A topic that has only an id in the question has no name, as
     * brokers answer.
     */
    static void adapt(Object answer, short version, Object request, short code) {
        if (answer instanceof FetchResponseData data) {
            data.responses().clear();
            data.setSessionId(0);
            if (version >= 7 && !isOfPartitions(code)) {
                return;
            }
            data.setErrorCode((short) 0);
            for (FetchRequestData.FetchTopic topic : ((FetchRequestData) request).topics()) {
                List<FetchResponseData.PartitionData> partitions = new ArrayList<>();
                for (FetchRequestData.FetchPartition partition : topic.partitions()) {
                    partitions.add(new FetchResponseData.PartitionData().setPartitionIndex(partition.partition()).setErrorCode(code)
                        .setHighWatermark(-1).setAbortedTransactions(null));
                    noRecords(partitions.get(partitions.size() - 1));
                }
                data.responses().add(new FetchResponseData.FetchableTopicResponse().setTopic(topic.topic()).setTopicId(topic.topicId()).setPartitions(partitions));
            }
        }
        if (answer instanceof MetadataResponseData data && version >= 12) {
            data.topics().forEach(topic -> topic.setName(topic.topicId().equals(ID) ? null : topic.name()));
        }
        words(answer, version);
    }

    /** MemoryRecords.EMPTY, which releases have in different places. */
    private static void noRecords(Object partition) {
        try {
            for (var setter : partition.getClass().getMethods()) {
                if (setter.getName().equals("setRecords")) {
                    String type = setter.getParameterTypes()[0].getPackageName();
                    setter.invoke(partition, Class.forName(type + ".MemoryRecords").getField("EMPTY").get(null));
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void words(Object answer, short version) {
        if (answer instanceof DescribeGroupsResponseData data && version >= 6) {
            data.groups().forEach(group -> group.setErrorMessage(Refusals.MESSAGE));
        } else if (answer instanceof ConsumerGroupHeartbeatResponseData data) {
            data.setErrorMessage(Refusals.MESSAGE);
        } else if (answer instanceof ConsumerGroupDescribeResponseData data) {
            data.groups().forEach(group -> group.setErrorMessage(Refusals.MESSAGE));
        } else if (answer instanceof DescribeProducersResponseData data) {
            data.topics().forEach(topic -> topic.partitions().forEach(partition -> partition.setErrorMessage(Refusals.MESSAGE)));
        }
    }

    /** As adapt, for what an old release does not have. */
    static void adaptNew(Object answer, Object request, short code) {
        if (answer instanceof ShareGroupHeartbeatResponseData data) {
            data.setErrorMessage(Refusals.MESSAGE);
        } else if (answer instanceof ShareGroupDescribeResponseData data) {
            data.groups().forEach(group -> group.setErrorMessage(Refusals.MESSAGE));
        } else if (answer instanceof StreamsGroupHeartbeatResponseData data) {
            data.setErrorMessage(Refusals.MESSAGE);
        } else if (answer instanceof StreamsGroupDescribeResponseData data) {
            data.groups().forEach(group -> group.setErrorMessage(Refusals.MESSAGE));
        } else if (answer instanceof DescribeShareGroupOffsetsResponseData data) {
            data.groups().forEach(group -> group.setErrorMessage(Refusals.MESSAGE));
        } else if (answer instanceof AlterShareGroupOffsetsResponseData data) {
            data.setErrorMessage(Refusals.MESSAGE);
        } else if (answer instanceof DeleteShareGroupOffsetsResponseData data) {
            data.setErrorMessage(Refusals.MESSAGE);
        } else if (answer instanceof ShareFetchResponseData data) {
            sharedByPartition(data, (ShareFetchRequestData) request, code);
        } else if (answer instanceof ShareAcknowledgeResponseData data) {
            acknowledgedByPartition(data, (ShareAcknowledgeRequestData) request, code);
        }
    }

    private static void sharedByPartition(ShareFetchResponseData data, ShareFetchRequestData request, short code) {
        data.responses().clear();
        data.setErrorMessage(isOfPartitions(code) ? null : Refusals.MESSAGE);
        if (!isOfPartitions(code)) {
            return;
        }
        data.setErrorCode((short) 0);
        for (ShareFetchRequestData.FetchTopic topic : request.topics()) {
            List<ShareFetchResponseData.PartitionData> partitions = new ArrayList<>();
            for (ShareFetchRequestData.FetchPartition partition : topic.partitions()) {
                partitions.add(new ShareFetchResponseData.PartitionData().setPartitionIndex(partition.partitionIndex()).setErrorCode(code)
                    .setErrorMessage(Refusals.MESSAGE));
                noRecords(partitions.get(partitions.size() - 1));
            }
            data.responses().add(new ShareFetchResponseData.ShareFetchableTopicResponse().setTopicId(topic.topicId()).setPartitions(partitions));
        }
    }

    private static void acknowledgedByPartition(ShareAcknowledgeResponseData data, ShareAcknowledgeRequestData request, short code) {
        data.responses().clear();
        data.setErrorMessage(isOfPartitions(code) ? null : Refusals.MESSAGE);
        if (!isOfPartitions(code)) {
            return;
        }
        data.setErrorCode((short) 0);
        for (ShareAcknowledgeRequestData.AcknowledgeTopic topic : request.topics()) {
            List<ShareAcknowledgeResponseData.PartitionData> partitions = new ArrayList<>();
            for (ShareAcknowledgeRequestData.AcknowledgePartition partition : topic.partitions()) {
                partitions.add(new ShareAcknowledgeResponseData.PartitionData().setPartitionIndex(partition.partitionIndex()).setErrorCode(code)
                    .setErrorMessage(Refusals.MESSAGE));
            }
            data.responses().add(new ShareAcknowledgeResponseData.ShareAcknowledgeTopicResponse().setTopicId(topic.topicId()).setPartitions(partitions));
        }
    }

    private Clients() {}
}
