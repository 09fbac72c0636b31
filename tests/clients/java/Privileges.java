import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What administrators ask for, and others must not. Arguments: properties, an existing topic. */
public final class Privileges {
    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        TopicPartition first = new TopicPartition(topic, 0);
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL),
            new AccessControlEntry("User:eve", "*", AclOperation.READ, AclPermissionType.ALLOW));
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, topic));
        try (Admin admin = Admin.create(Said.properties(arguments[0], Map.of()))) {
            Said.line("describe acls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get().size());
            Said.line("create acls", () -> admin.createAcls(List.of(acl)).all().get());
            Said.line("delete acls", () -> admin.deleteAcls(List.of(acl.toFilter())).all().get().size());
            Said.line("describe quotas", () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().containsKey(entity));
            Said.line("alter quotas", () -> admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity,
                List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).all().get());
            Said.line("log dirs", () -> admin.describeLogDirs(List.of(1, 2, 3)).allDescriptions().get().size());
            Said.line("reassign", () -> admin.alterPartitionReassignments(
                Map.of(first, Optional.of(new NewPartitionReassignment(List.of(1, 2, 3))))).all().get());
            Said.line("list reassignments", () -> admin.listPartitionReassignments(Set.of(first)).reassignments().get().isEmpty() ? "none" : "none");
            Said.line("elect", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(first)).partitions().get().keySet());
            Said.line("quorum", () -> admin.describeMetadataQuorum().quorumInfo().get().voters().size());
            Said.line("scram", () -> admin.describeUserScramCredentials().all().get().size());
            Said.line("alter scram", () -> admin.alterUserScramCredentials(
                List.of(new UserScramCredentialDeletion(topic, ScramMechanism.SCRAM_SHA_512))).all().get());
            Said.line("unregister", () -> admin.unregisterBroker(99).all().get());
            Said.line("broker config", () -> admin.describeConfigs(List.of(broker)).all().get().get(broker).get("broker.rack").value());
            Said.line("alter broker config", () -> admin.incrementalAlterConfigs(Map.of(broker, List.of(
                new AlterConfigOp(new ConfigEntry("log.cleaner.threads", "1"), AlterConfigOp.OpType.SET)))).all().get());
            Said.line("token", () -> admin.describeDelegationToken().delegationTokens().get().size());
            Said.line("still there", () -> admin.describeTopics(List.of(topic)).allTopicNames().get().containsKey(topic));
        }
    }

    private Privileges() {}
}
