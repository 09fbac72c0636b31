//! What can be wrong with bytes, and the error codes that the gateway itself puts into answers.

/// Bytes that are not the message they claim to be. Says what was being read, and where in the slice it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end before the field does.
    #[error("ends inside {what} at byte {at}")]
    Truncated {
        /// The field.
        what: &'static str,
        /// Offset of the field.
        at: usize,
    },
    /// An array, a string or a tag section announces more than can follow.
    #[error("{what} at byte {at} announces {count}, more than can follow")]
    Count {
        /// The field.
        what: &'static str,
        /// The announced number.
        count: u32,
        /// Offset just after the count.
        at: usize,
    },
    /// A length or count below zero (-1 where null is allowed is not one).
    #[error("{what} at byte {at} has the length {length}")]
    Negative {
        /// The field.
        what: &'static str,
        /// The announced length.
        length: i32,
        /// Offset just after the length.
        at: usize,
    },
    /// Null where the schema has no null.
    #[error("{what} at byte {at} is null")]
    Null {
        /// The field.
        what: &'static str,
        /// Offset just after the length.
        at: usize,
    },
    /// A varint of more than five bytes, or of more than 32 bits.
    #[error("the varint of {what} at byte {at} is longer than 32 bits")]
    Varint {
        /// The field.
        what: &'static str,
        /// Offset of the byte that is too much.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    Text {
        /// The field.
        what: &'static str,
        /// Offset of the string's first byte.
        at: usize,
    },
    /// Tags must ascend without duplicates (KIP-482).
    #[error("tag {tag} at byte {at} is out of order")]
    TagOrder {
        /// The tag's number.
        tag: u32,
        /// Offset of the tag's content.
        at: usize,
    },
    /// A tag that Kafka knows, whose announced size is not the size of its content. Kafka's own reader ignores the
    /// announced size, so what follows would be read differently here and there.
    #[error("tag {tag} at byte {at} has another size than its content")]
    TagSize {
        /// The tag's number.
        tag: u32,
        /// Offset of the tag's content, or where the difference was noticed.
        at: usize,
    },
    /// Bytes after the end of the message.
    #[error("{left} bytes follow the end of the message")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A value that the field cannot have.
    #[error("{what} at byte {at} cannot be")]
    Invalid {
        /// The field.
        what: &'static str,
        /// Offset of the field.
        at: usize,
    },
    /// An API or a version that the caller must not bring here.
    #[error("{api} version {version} is not read here")]
    Unspoken {
        /// Kafka's name of the API.
        api: &'static str,
        /// The version.
        version: i16,
    },
}

/// Kafka's error codes, as far as the gateway writes or looks at them (`org.apache.kafka.common.protocol.Errors`).
pub mod code {
    /// No error.
    pub const NONE: i16 = 0;
    /// An unexpected error.
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    /// Topic or partition does not exist.
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    /// No leader for now; right in Metadata only.
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    /// The one code that every client retries.
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    /// Outcome unknown; a producer sends again to the same broker.
    pub const REQUEST_TIMED_OUT: i16 = 7;
    /// Same coordinator, later.
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    /// Ask for the coordinator again, later.
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    /// Ask for the coordinator again.
    pub const NOT_COORDINATOR: i16 = 16;
    /// Too few replicas for now; every producer sends again.
    pub const NOT_ENOUGH_REPLICAS: i16 = 19;
    /// Acks other than -1, 0 and 1.
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    /// Ask for the controller again.
    pub const NOT_CONTROLLER: i16 = 41;
    /// Topic not allowed.
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    /// Group not allowed.
    pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
    /// Administration not allowed.
    pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    /// Mechanism not enabled here.
    pub const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    /// SASL request in the wrong place.
    pub const ILLEGAL_SASL_STATE: i16 = 34;
    /// Version not spoken.
    pub const UNSUPPORTED_VERSION: i16 = 35;
    /// A field with a value that it cannot have.
    pub const INVALID_REQUEST: i16 = 42;
    /// Transactional id not allowed.
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
    /// Wrong user or password.
    pub const SASL_AUTHENTICATION_FAILED: i16 = 58;
    /// Open a new fetch session.
    pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    /// Open a new fetch session.
    pub const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    /// Too many changes of topics and partitions; later (KIP-599).
    pub const THROTTLING_QUOTA_EXCEEDED: i16 = 89;
    /// No topic has this id (KIP-516).
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    /// The endpoint type exists, but not on this listener (KIP-919).
    pub const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
    /// No such endpoint type (KIP-919).
    pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
    /// Open a new share session (KIP-932).
    pub const SHARE_SESSION_NOT_FOUND: i16 = 122;
    /// Start again from the bootstrap addresses (KIP-899, KIP-1102).
    pub const REBOOTSTRAP_REQUIRED: i16 = 129;
}
