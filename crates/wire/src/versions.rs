//! `ApiVersions`: what each side speaks, asked and answered, and the arithmetic of version ranges.
//!
//! What is composed here as a frame is ready to send, size included.

use crate::address::CorrelationId;
use crate::api::{API_COUNT, Api};
use crate::ask::request_writer;
use crate::error::{Malformed, code};
use crate::head::answer_writer;
use crate::reader::{Encoding, Reader};
use crate::writer::Writer;

/// Versions of one API, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// Lowest.
    pub min: i16,
    /// Highest.
    pub max: i16,
}

/// Versions of every API; `None` for one that is not spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRanges([Option<VersionRange>; API_COUNT]);

impl Default for ApiRanges {
    fn default() -> ApiRanges {
        ApiRanges([None; API_COUNT])
    }
}

impl ApiRanges {
    /// The versions of one API.
    pub fn get(&self, api: Api) -> Option<VersionRange> {
        self.0.get(api.index()).copied().flatten()
    }

    /// Sets the versions of one API.
    pub fn set(&mut self, api: Api, range: Option<VersionRange>) {
        if let Some(place) = self.0.get_mut(api.index()) {
            *place = range;
        }
    }

    /// Every API that is spoken, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (Api, VersionRange)> {
        Api::ALL.into_iter().filter_map(|api| self.get(api).map(|range| (api, range)))
    }

    /// Whether one version of one API is spoken.
    pub fn allows(&self, api: Api, version: i16) -> bool {
        self.get(api).is_some_and(|range| (range.min..=range.max).contains(&version))
    }

    /// Whether everything in `other` is also in here; if not, the first API of `other` that is not, with its range there.
    pub fn covers(&self, other: &ApiRanges) -> Result<(), (Api, VersionRange)> {
        let missing =
            other.iter().find(|(api, range)| !self.allows(*api, range.min) || !self.allows(*api, range.max));
        missing.map_or(Ok(()), Err)
    }
}

/// A feature of the cluster and its levels (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Such as `transaction.version`.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// All that an `ApiVersions` answer can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// APIs and their versions; those that the gateway does not know are left out.
    pub ranges: ApiRanges,
    /// Levels that the broker could run with.
    pub supported: Vec<Feature>,
    /// Grows whenever `finalized` changes; -1 for unknown.
    pub finalized_epoch: i64,
    /// Levels that the cluster runs with.
    pub finalized: Vec<Feature>,
    /// Whether a cluster with `ZooKeeper` could become one without (3.x).
    pub zk_migration_ready: bool,
}

impl Default for Offered {
    fn default() -> Offered {
        Offered {
            ranges: ApiRanges::default(),
            supported: Vec::new(),
            finalized_epoch: -1,
            finalized: Vec::new(),
            zk_migration_ready: false,
        }
    }
}

/// Reads a broker's answer to a question of ours in `version`: the error, and what it offers.
///
/// A broker that does not speak `version` answers 35 in the layout of version 0, whatever the question was; since
/// Kafka 2.4 with the one entry that says which versions of `ApiVersions` it does speak (KIP-511). That entry is a
/// hint: without one that can be read (librdkafka's mock brokers write it in a layout of their own), the next question
/// is in version 0.
pub fn read_answer(version: i16, frame: &[u8]) -> Result<(i16, Offered), Malformed> {
    let mut reader = Reader::new(frame, Encoding::Classic);
    reader.i32("correlation id")?;
    let error = reader.i16("error")?;
    if error == code::UNSUPPORTED_VERSION {
        return Ok((error, read_offered(&mut reader, 0).unwrap_or_default()));
    }
    read_offered(&mut reader, version).map(|offered| (error, offered))
}

fn read_offered(reader: &mut Reader<'_>, version: i16) -> Result<Offered, Malformed> {
    reader.set_encoding(encoding(version));
    let mut offered = Offered::default();
    for _ in 0..reader.array_len("API keys")? {
        let key = reader.i16("API key")?;
        let min = reader.i16("lowest version")?;
        let max = reader.i16("highest version")?;
        reader.skip_tags()?;
        if let Some(api) = Api::from_key(key).filter(|_| min <= max) {
            offered.ranges.set(api, Some(VersionRange { min, max }));
        }
    }
    if version >= 1 {
        reader.i32("throttle time")?;
    }
    for _ in 0..reader.tag_count()? {
        let (tag, content) = reader.tag()?;
        read_tag(&mut offered, tag, content)
            .map_err(|_| Malformed::TagSize { tag, at: reader.position() })?;
    }
    Ok(offered)
}

fn read_tag(offered: &mut Offered, tag: u32, content: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(content, Encoding::Flexible);
    match tag {
        0 => offered.supported = read_features(&mut reader, |min, max| (min, max))?,
        1 => offered.finalized_epoch = reader.i64("epoch of finalized features")?,
        // Here the schema has the highest level first.
        2 => offered.finalized = read_features(&mut reader, |max, min| (min, max))?,
        3 => offered.zk_migration_ready = reader.bool("readiness for migration")?,
        _ => return Ok(()),
    }
    reader.finish()
}

fn read_features(
    reader: &mut Reader<'_>,
    levels: fn(i16, i16) -> (i16, i16),
) -> Result<Vec<Feature>, Malformed> {
    let mut features = Vec::new();
    for _ in 0..reader.array_len("features")? {
        let name = reader.string("feature")?.to_owned();
        let (min, max) = levels(reader.i16("level")?, reader.i16("level")?);
        reader.skip_tags()?;
        features.push(Feature { name, min, max });
    }
    Ok(features)
}

/// Composes the body of an answer in version 0 to 4, without header.
///
/// Supported features whose lowest level is 0 are left out below version 4: older clients cannot read them (KAFKA-17492).
pub fn answer_body(version: i16, offered: &Offered, throttle_ms: i32) -> Vec<u8> {
    let mut answer = Writer::new(encoding(version));
    write_answer(&mut answer, version, code::NONE, offered, throttle_ms);
    answer.into_bytes()
}

fn write_answer(answer: &mut Writer, version: i16, error: i16, offered: &Offered, throttle_ms: i32) {
    answer.i16(error);
    answer.array_len(offered.ranges.iter().count());
    for (api, range) in offered.ranges.iter() {
        answer.i16(api.key());
        answer.i16(range.min);
        answer.i16(range.max);
        answer.no_tags();
    }
    if version >= 1 {
        answer.i32(throttle_ms);
    }
    if version >= 3 {
        write_features(answer, version, offered);
    }
}

fn write_features(answer: &mut Writer, version: i16, offered: &Offered) {
    let mut tags: Vec<(u32, Vec<u8>)> = Vec::new();
    let readable = |feature: &&Feature| version >= 4 || feature.min != 0;
    let supported: Vec<_> =
        offered.supported.iter().filter(readable).map(|f| (f.name.as_str(), f.min, f.max)).collect();
    if !supported.is_empty() {
        tags.push((0, features(&supported)));
    }
    if offered.finalized_epoch != -1 {
        tags.push((1, offered.finalized_epoch.to_be_bytes().to_vec()));
    }
    if !offered.finalized.is_empty() {
        let finalized: Vec<_> = offered.finalized.iter().map(|f| (f.name.as_str(), f.max, f.min)).collect();
        tags.push((2, features(&finalized)));
    }
    if offered.zk_migration_ready {
        tags.push((3, vec![1]));
    }
    answer.tag_count(u32::try_from(tags.len()).unwrap_or(u32::MAX));
    for (tag, content) in tags {
        answer.tag(tag, &content);
    }
}

fn features(features: &[(&str, i16, i16)]) -> Vec<u8> {
    let mut content = Writer::new(Encoding::Flexible);
    content.array_len(features.len());
    for (name, first, second) in features {
        content.string(name);
        content.i16(*first);
        content.i16(*second);
        content.no_tags();
    }
    content.into_bytes()
}

/// What a client says of its own making (KIP-511). Both are clean: letters, digits, `-` and `.`, the ends neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Such as `apache-kafka-java`.
    pub name: String,
    /// Such as `4.3.1`.
    pub version: String,
}

/// Why a client's question is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSoftware {
    /// The bytes are not an `ApiVersions` request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Name or version is not clean; the answer is 42 in the version of the question.
    #[error("the client's software name or version is not clean")]
    BadName,
}

/// Reads a client's question in version 0 to 4. The software is there from version 3 on.
pub fn read_request(version: i16, body: &[u8]) -> Result<Option<Software>, InvalidSoftware> {
    if version < 3 {
        return Ok(None);
    }
    let mut reader = Reader::new(body, encoding(version));
    let name = reader.string_bytes("software name")?;
    let software = reader.string_bytes("software version")?;
    reader.skip_tags()?;
    match (clean(name), clean(software)) {
        (Some(name), Some(version)) => Ok(Some(Software { name, version })),
        _ => Err(InvalidSoftware::BadName),
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as brokers check it.
fn clean(text: &[u8]) -> Option<String> {
    let ends = [text.first()?, text.last()?];
    let ends_are_clean = ends.into_iter().all(u8::is_ascii_alphanumeric);
    let all_is_clean = text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    (ends_are_clean && all_is_clean).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Asks a broker what it speaks, in version 0 to 4.
pub fn request_frame(
    version: i16,
    correlation: CorrelationId,
    client_id: &str,
    software: &Software,
) -> Vec<u8> {
    let mut request = request_writer(Api::ApiVersions, version, correlation, client_id);
    if version >= 3 {
        request.string(&software.name);
        request.string(&software.version);
        request.no_tags();
    }
    request.into_frame()
}

/// Answers a question in a version that the gateway does not speak: error 35 in the layout of version 0, with the one
/// entry that says which versions it does.
pub fn unsupported_frame(correlation: CorrelationId) -> Vec<u8> {
    let row = Api::ApiVersions.row();
    let mut offered = Offered::default();
    offered.ranges.set(Api::ApiVersions, Some(VersionRange { min: row.min, max: row.max }));
    frame(0, correlation, code::UNSUPPORTED_VERSION, &offered)
}

/// Answers a question with an error and nothing else, in the version of the question (0 to 4).
pub fn error_frame(version: i16, correlation: CorrelationId, code: i16) -> Vec<u8> {
    frame(version, correlation, code, &Offered::default())
}

fn frame(version: i16, correlation: CorrelationId, error: i16, offered: &Offered) -> Vec<u8> {
    let flexible = Api::ApiVersions.answer_header_is_flexible(version);
    let mut answer = answer_writer(correlation, flexible, encoding(version));
    write_answer(&mut answer, version, error, offered, 0);
    answer.into_frame()
}

fn encoding(version: i16) -> Encoding {
    Encoding::of(Api::ApiVersions.request_is_flexible(version))
}
