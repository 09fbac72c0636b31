//! Messages as tables of fields, in the words and the order of Kafka's own schemas, for the messages that are walked
//! while they stream. A test compares them field by field with the schemas.

mod fetch;
mod produce;
mod share;

use crate::api::Api;

/// Versions from `min` to `max`, both included; `max` is `i16::MAX` where Kafka writes `N+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// First version.
    pub min: i16,
    /// Last version.
    pub max: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Versions = Versions { min: 0, max: -1 };

    /// Whether `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether there is none.
    pub const fn is_none(self) -> bool {
        self.max < self.min
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int16`, what became of one partition: the walker counts partitions where it is not 0.
    ErrorCode {
        /// Whether it is the partition's first; one may have another.
        first: bool,
    },
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uuid`
    Uuid,
    /// `string`
    String,
    /// `records`; `bytes` is encoded the same way.
    Records,
    /// A structure, where its name stands as the type.
    Struct(&'static [Field]),
    /// `[]…`
    Array(&'static Kind),
}

impl Kind {
    /// Bytes of a kind that always has the same number of them.
    pub const fn width(self) -> Option<u8> {
        match self {
            Kind::Int8 => Some(1),
            Kind::Int16 | Kind::ErrorCode { .. } => Some(2),
            Kind::Int32 => Some(4),
            Kind::Int64 => Some(8),
            Kind::Uuid => Some(16),
            Kind::String | Kind::Records | Kind::Struct(_) | Kind::Array(_) => None,
        }
    }
}

/// A field that travels in the tag section of its structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The tag's number.
    pub number: u32,
    /// Versions in which the field is tagged; in ours, always all of the field's.
    pub versions: Versions,
}

/// A field that a walk tells of while it passes; see [`crate::meter::Visit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A topic's name.
    Name,
    /// A topic's id.
    Id,
    /// A partition's index.
    Partition,
    /// A partition's records.
    Records,
}

/// One field, as in Kafka's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Kafka's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Versions that have it.
    pub versions: Versions,
    /// Versions in which it may be null.
    pub nullable: Versions,
    /// Where it is not in its place but in the tag section.
    pub tag: Option<Tag>,
    /// Whether a walk tells of it, and as what.
    pub heard: Option<Heard>,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, from: i16) -> Field {
        let versions = Versions { min: from, max: i16::MAX };
        Field { name, kind, versions, nullable: Versions::NONE, tag: None, heard: None }
    }

    const fn until(mut self, max: i16) -> Field {
        self.versions.max = max;
        self
    }

    const fn nullable(mut self, from: i16) -> Field {
        self.nullable = Versions { min: from, max: i16::MAX };
        self
    }

    const fn nullable_until(mut self, max: i16) -> Field {
        self.nullable = Versions { min: 0, max };
        self
    }

    const fn tagged(mut self, number: u32) -> Field {
        self.tag = Some(Tag { number, versions: self.versions });
        self
    }

    const fn heard(mut self, heard: Heard) -> Field {
        self.heard = Some(heard);
        self
    }

    /// Whether the field stands in its place, not in the tag section, in this version.
    pub const fn in_place(&self, version: i16) -> bool {
        self.versions.contains(version)
            && match self.tag {
                Some(tag) => !tag.versions.contains(version),
                None => true,
            }
    }

    /// Whether this is the field of tag `number` in this version.
    pub const fn has_tag(&self, number: u32, version: i16) -> bool {
        match self.tag {
            Some(tag) => tag.number == number && tag.versions.contains(version),
            None => false,
        }
    }
}

/// The messages that have a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kafka's own")]
pub enum Message {
    ProduceRequest,
    ProduceResponse,
    FetchRequest,
    FetchResponse,
    ShareFetchResponse,
    ShareAcknowledgeResponse,
}

impl Message {
    /// Every message that has a table.
    pub const ALL: [Message; 6] = [
        Message::ProduceRequest,
        Message::ProduceResponse,
        Message::FetchRequest,
        Message::FetchResponse,
        Message::ShareFetchResponse,
        Message::ShareAcknowledgeResponse,
    ];

    /// Kafka's name, which is that of the schema's file.
    pub const fn name(self) -> &'static str {
        match self {
            Message::ProduceRequest => "ProduceRequest",
            Message::ProduceResponse => "ProduceResponse",
            Message::FetchRequest => "FetchRequest",
            Message::FetchResponse => "FetchResponse",
            Message::ShareFetchResponse => "ShareFetchResponse",
            Message::ShareAcknowledgeResponse => "ShareAcknowledgeResponse",
        }
    }

    /// Whether clients send it.
    pub const fn is_request(self) -> bool {
        match self {
            Message::ProduceRequest | Message::FetchRequest => true,
            Message::ProduceResponse
            | Message::FetchResponse
            | Message::ShareFetchResponse
            | Message::ShareAcknowledgeResponse => false,
        }
    }

    /// The API that it belongs to; versions and encodings are in the API's row.
    pub const fn api(self) -> Api {
        match self {
            Message::ProduceRequest | Message::ProduceResponse => Api::Produce,
            Message::FetchRequest | Message::FetchResponse => Api::Fetch,
            Message::ShareFetchResponse => Api::ShareFetch,
            Message::ShareAcknowledgeResponse => Api::ShareAcknowledge,
        }
    }
}

/// The top-level fields of a message.
pub const fn of(message: Message) -> &'static [Field] {
    match message {
        Message::ProduceRequest => produce::REQUEST,
        Message::ProduceResponse => produce::RESPONSE,
        Message::FetchRequest => fetch::REQUEST,
        Message::FetchResponse => fetch::RESPONSE,
        Message::ShareFetchResponse => share::FETCH_RESPONSE,
        Message::ShareAcknowledgeResponse => share::ACKNOWLEDGE_RESPONSE,
    }
}

/// How many of the top-level fields come before the tail. The tail is the top-level tag section, and for `ShareFetch` and
/// `ShareAcknowledge` the array before it, where the addresses are.
pub fn before_tail(message: Message) -> usize {
    let fields = of(message);
    let addresses = fields.iter().position(|field| field.name == "NodeEndpoints" && field.tag.is_none());
    addresses.unwrap_or(fields.len())
}

/// `NodeEndpoint`, the same structure in each of the four answers.
const fn node_endpoints(from: i16) -> [Field; 4] {
    [
        Field::new("NodeId", Kind::Int32, from),
        Field::new("Host", Kind::String, from),
        Field::new("Port", Kind::Int32, from),
        Field::new("Rack", Kind::String, from).nullable(from),
    ]
}

/// `LeaderIdAndEpoch`, likewise.
const fn leader_id_and_epoch(from: i16) -> [Field; 2] {
    [Field::new("LeaderId", Kind::Int32, from), Field::new("LeaderEpoch", Kind::Int32, from)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the walker relies on, for every structure below the top of every message.
    fn check(fields: &'static [Field], versions: Versions, depth: usize, in_tag: bool) {
        assert!(depth <= crate::walk::DEPTH_MAX, "deeper than the walker's stack");
        // A partition's first error code is told from its others, and a length is between them: one is looked for at a time.
        let (mut first_code, mut alone) = (true, true);
        for field in fields {
            if let Kind::ErrorCode { first } = field.kind {
                assert!(first == first_code && alone, "{}", field.name);
                (first_code, alone) = (false, false);
            }
            if let Some(heard) = field.heard {
                let kind = match heard {
                    Heard::Name => Kind::String,
                    Heard::Id => Kind::Uuid,
                    Heard::Partition => Kind::Int32,
                    Heard::Records => Kind::Records,
                };
                assert!(field.kind == kind && !in_tag && field.tag.is_none(), "{}", field.name);
            }
            alone |= field.kind == Kind::String && field.versions == fields[0].versions;
            assert!(field.tag.is_none_or(|tag| tag.versions == field.versions), "{}", field.name);
            assert!(!(in_tag && field.tag.is_some()), "{}: a known tag within a known tag", field.name);
            let inner = match field.kind {
                Kind::Struct(inner) => inner,
                Kind::Array(Kind::Struct(inner)) => *inner,
                Kind::Array(element) => {
                    assert!(element.width().is_some(), "{}", field.name);
                    continue;
                }
                Kind::ErrorCode { .. } => {
                    assert!(depth > 1 && !in_tag && field.tag.is_none(), "{}", field.name);
                    continue;
                }
                Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Uuid => continue,
                Kind::String | Kind::Records => {
                    assert!(depth == 1 || field.tag.is_none(), "{}", field.name);
                    continue;
                }
            };
            for version in versions.min.max(field.versions.min)..=versions.max.min(field.versions.max) {
                assert!(inner.iter().any(|f| f.in_place(version)), "{} is empty in {version}", field.name);
            }
            check(inner, versions, depth + 1, in_tag || field.tag.is_some());
        }
    }

    #[test]
    fn the_tables_hold_what_the_walker_can_walk() {
        for message in Message::ALL {
            let row = message.api().row();
            check(of(message), Versions { min: row.min, max: row.max }, 1, false);
            for field in of(message).iter().take(before_tail(message)) {
                assert!(
                    field.name != "NodeEndpoints" || field.tag.is_some(),
                    "{} is before the tail",
                    field.name
                );
            }
        }
    }
}
