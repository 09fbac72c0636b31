//! Which quotas the brokers have, for all entities (KIP-546).

use super::request_writer;
use crate::address::CorrelationId;
use crate::api::Api;
use crate::error::Malformed;
use crate::head::answer_head;
use crate::reader::{Encoding, Reader};

/// What brokers say of their quotas.
#[derive(Debug, Clone, PartialEq)]
pub struct Quotas {
    /// 0 for none. Then there are no entries either.
    pub error: i16,
    /// What the error is about.
    pub message: Option<String>,
    /// One for each entity that has quotas.
    pub entries: Vec<QuotaEntry>,
}

/// The quotas of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaEntry {
    /// Its parts, as type (`user`, `client-id`, `ip`) and name; no name is the default of the type.
    pub entity: Vec<(String, Option<String>)>,
    /// Its quotas, as key (`producer_byte_rate` and so on) and value.
    pub values: Vec<(String, f64)>,
}

/// Asks for the quotas of all entities, in version 0 or 1.
pub fn quotas_request(version: i16, correlation: CorrelationId, client_id: &str) -> Vec<u8> {
    let mut request = request_writer(Api::DescribeClientQuotas, version, correlation, client_id);
    // No part of an entity is asked for, so that any entity will do, also one with other parts (it is not strict).
    request.array_len(0);
    request.bool(false);
    request.no_tags();
    request.into_frame()
}

/// Reads the answer, to its last byte.
pub fn read_quotas(version: i16, frame: &[u8]) -> Result<Quotas, Malformed> {
    let api = Api::DescribeClientQuotas;
    if !api.speaks(version) {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    let mut reader = Reader::new(frame, Encoding::of(api.request_is_flexible(version)));
    answer_head(&mut reader, api.answer_header_is_flexible(version))?;
    reader.i32("throttle time")?;
    let error = reader.i16("error code")?;
    let message = reader.nullable_string("error message")?.map(str::to_owned);
    let mut entries = Vec::new();
    for _ in 0..reader.nullable_array_len("entries")?.unwrap_or(0) {
        entries.push(read_entry(&mut reader)?);
    }
    reader.skip_tags()?;
    reader.finish()?;
    Ok(Quotas { error, message, entries })
}

fn read_entry(reader: &mut Reader<'_>) -> Result<QuotaEntry, Malformed> {
    let (mut entity, mut values) = (Vec::new(), Vec::new());
    for _ in 0..reader.array_len("entity")? {
        let kind = reader.string("entity type")?.to_owned();
        let name = reader.nullable_string("entity name")?.map(str::to_owned);
        reader.skip_tags()?;
        entity.push((kind, name));
    }
    for _ in 0..reader.array_len("quotas")? {
        let key = reader.string("quota key")?.to_owned();
        let value = reader.f64("quota value")?;
        reader.skip_tags()?;
        values.push((key, value));
    }
    reader.skip_tags()?;
    Ok(QuotaEntry { entity, values })
}
