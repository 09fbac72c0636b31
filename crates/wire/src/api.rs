//! Every API of Kafka in one table: which versions the gateway speaks, how each is encoded, who may use it, and how its
//! requests and answers travel. An API without a row is not spoken.

mod class;
mod errors;
mod path;
mod table;

use std::fmt;

pub use class::Class;
pub use errors::{coordinator_error, top_error};
pub use path::{AnswerPath, RequestPath};
use table::ROWS;

/// Kafka's API keys, 0 to 94. Named as Kafka names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
#[allow(missing_docs, reason = "the names are Kafka's own")]
pub enum Api {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    LeaderAndIsr = 4,
    StopReplica = 5,
    UpdateMetadata = 6,
    ControlledShutdown = 7,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    SaslHandshake = 17,
    ApiVersions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    OffsetForLeaderEpoch = 23,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    WriteTxnMarkers = 27,
    TxnOffsetCommit = 28,
    DescribeAcls = 29,
    CreateAcls = 30,
    DeleteAcls = 31,
    DescribeConfigs = 32,
    AlterConfigs = 33,
    AlterReplicaLogDirs = 34,
    DescribeLogDirs = 35,
    SaslAuthenticate = 36,
    CreatePartitions = 37,
    CreateDelegationToken = 38,
    RenewDelegationToken = 39,
    ExpireDelegationToken = 40,
    DescribeDelegationToken = 41,
    DeleteGroups = 42,
    ElectLeaders = 43,
    IncrementalAlterConfigs = 44,
    AlterPartitionReassignments = 45,
    ListPartitionReassignments = 46,
    OffsetDelete = 47,
    DescribeClientQuotas = 48,
    AlterClientQuotas = 49,
    DescribeUserScramCredentials = 50,
    AlterUserScramCredentials = 51,
    Vote = 52,
    BeginQuorumEpoch = 53,
    EndQuorumEpoch = 54,
    DescribeQuorum = 55,
    AlterPartition = 56,
    UpdateFeatures = 57,
    Envelope = 58,
    FetchSnapshot = 59,
    DescribeCluster = 60,
    DescribeProducers = 61,
    BrokerRegistration = 62,
    BrokerHeartbeat = 63,
    UnregisterBroker = 64,
    DescribeTransactions = 65,
    ListTransactions = 66,
    AllocateProducerIds = 67,
    ConsumerGroupHeartbeat = 68,
    ConsumerGroupDescribe = 69,
    ControllerRegistration = 70,
    GetTelemetrySubscriptions = 71,
    PushTelemetry = 72,
    AssignReplicasToDirs = 73,
    ListConfigResources = 74,
    DescribeTopicPartitions = 75,
    ShareGroupHeartbeat = 76,
    ShareGroupDescribe = 77,
    ShareFetch = 78,
    ShareAcknowledge = 79,
    AddRaftVoter = 80,
    RemoveRaftVoter = 81,
    UpdateRaftVoter = 82,
    InitializeShareGroupState = 83,
    ReadShareGroupState = 84,
    WriteShareGroupState = 85,
    DeleteShareGroupState = 86,
    ReadShareGroupStateSummary = 87,
    StreamsGroupHeartbeat = 88,
    StreamsGroupDescribe = 89,
    DescribeShareGroupOffsets = 90,
    AlterShareGroupOffsets = 91,
    DeleteShareGroupOffsets = 92,
    StreamsGroupTopologyDescriptionUpdate = 93,
    UnregisterController = 94,
}

/// Number of rows; keys are 0 to `API_COUNT - 1`.
pub const API_COUNT: usize = 95;

/// One API as the gateway speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The API.
    pub api: Api,
    /// Kafka's name of it.
    pub name: &'static str,
    /// Lowest version spoken: the lowest that any of Kafka 3.9 to 4.3 offers to clients.
    pub min: i16,
    /// Highest version spoken: the highest of 4.3, or the cap.
    pub max: i16,
    /// First version with header v2 / v1 and compact lengths; `i16::MAX` for never.
    pub flexible_from: i16,
    /// Who may use it.
    pub stance: Stance,
}

/// Who answers, and who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// The gateway answers.
    Local,
    /// Brokers answer.
    Proxied,
    /// Brokers answer administrators; others get an error.
    Admin,
    /// Not offered; the connection is closed if it comes anyway.
    Hidden,
}

impl Api {
    /// Every API in the order of the keys.
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub const ALL: [Api; API_COUNT] = {
        let mut all = [Api::Produce; API_COUNT];
        let mut at = 0;
        while at < API_COUNT {
            all[at] = ROWS[at].api;
            at += 1;
        }
        all
    };

    /// The API with this key; `None` when Kafka has none, or a newer one than is known here.
    pub fn from_key(key: i16) -> Option<Api> {
        let at = usize::try_from(key).ok()?;
        Api::ALL.get(at).copied()
    }

    /// The key on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// The place in arrays of [`API_COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The API's row.
    #[allow(clippy::indexing_slicing, reason = "keys are 0..API_COUNT; a test walks them all")]
    pub fn row(self) -> &'static Row {
        &ROWS[self.index()]
    }

    /// Whether requests of this version have header v2 and compact lengths.
    pub fn request_is_flexible(self, version: i16) -> bool {
        version >= self.row().flexible_from
    }

    /// Whether answers of this version have header v1. Those of `ApiVersions` never do, though their bodies are compact
    /// from version 3: a client reads them before it knows what the broker speaks.
    pub fn answer_header_is_flexible(self, version: i16) -> bool {
        self != Api::ApiVersions && self.request_is_flexible(version)
    }

    /// Who may use it.
    pub fn stance(self) -> Stance {
        self.row().stance
    }

    /// Whether the gateway speaks this version at all.
    pub fn speaks(self, version: i16) -> bool {
        let row = self.row();
        (row.min..=row.max).contains(&version)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_keys() {
        for (at, api) in Api::ALL.iter().enumerate() {
            assert_eq!(api.index(), at);
            assert_eq!(Api::from_key(api.key()), Some(*api));
            assert_eq!(format!("{api:?}"), api.name());
            assert!(api.row().min <= api.row().max, "{api}");
        }
        for key in [-1, 95, i16::MAX, i16::MIN] {
            assert_eq!(Api::from_key(key), None);
        }
    }

    #[test]
    fn nothing_of_a_hidden_api_and_nothing_unheard_of_an_admin_api_reaches_a_broker() {
        for api in Api::ALL {
            for version in api.row().min..=api.row().max {
                let path = api.request_path(version);
                match api.stance() {
                    Stance::Hidden | Stance::Local => assert_eq!(path, RequestPath::Answered, "{api}"),
                    Stance::Admin => assert_eq!(path, RequestPath::Held, "{api}"),
                    Stance::Proxied => assert_ne!(path, RequestPath::Answered, "{api}"),
                }
            }
        }
    }

    #[test]
    fn answers_of_api_versions_have_the_old_header() {
        assert!(Api::ApiVersions.request_is_flexible(3));
        assert!(!Api::ApiVersions.answer_header_is_flexible(4));
        assert!(!Api::SaslHandshake.request_is_flexible(1));
        assert!(Api::Metadata.answer_header_is_flexible(9));
        assert!(!Api::Metadata.answer_header_is_flexible(8));
    }
}
