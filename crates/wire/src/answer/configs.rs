//! `DescribeConfigs` of brokers: values that show where a broker is become null.

use super::{Splice, open};
use crate::api::Api;
use crate::error::Malformed;
use crate::reader::{Encoding, Reader};
use crate::splice::Splicer;
use crate::writer::Writer;

/// `ConfigResource.Type` of what a broker is configured with.
const BROKER: i8 = 4;
/// `ConfigResource.Type` of a broker's log levels.
const BROKER_LOGGER: i8 = 8;

/// Masks addresses in the configurations of brokers: where an entry's name speaks of addresses, or one of its values looks
/// like one, its value and its synonyms' values become null. Other resources stay as they are. `frame` begins with the
/// correlation id.
pub fn mask_broker_configs(version: i16, frame: &[u8]) -> Result<Splice, Malformed> {
    let mut reader = open(Api::DescribeConfigs, version, frame)?;
    let mut splicer = Splicer::new(frame);
    reader.i32("throttle time")?;
    for _ in 0..reader.array_len("results")? {
        reader.i16("error code")?;
        reader.nullable_string_bytes("error message")?;
        let resource = reader.i8("resource type")?;
        reader.string_bytes("resource name")?;
        for _ in 0..reader.array_len("configs")? {
            let start = reader.clone();
            let exposed = entry(&mut reader, version, |_, _| ())?;
            if exposed && (resource == BROKER || resource == BROKER_LOGGER) {
                let null = null(reader.encoding());
                entry(&mut start.clone(), version, |from, to| splicer.replace(from..to, &null))?;
            }
        }
        reader.skip_tags()?;
    }
    reader.skip_tags()?;
    reader.finish()?;
    Ok(splicer.finish())
}

fn null(encoding: Encoding) -> Vec<u8> {
    let mut writer = Writer::new(encoding);
    writer.nullable_string(None);
    writer.into_bytes()
}

/// Reads one entry, shows where each of its values is (length included), and says whether the entry exposes an address.
fn entry(
    reader: &mut Reader<'_>,
    version: i16,
    mut value_at: impl FnMut(usize, usize),
) -> Result<bool, Malformed> {
    let mut value = |reader: &mut Reader<'_>| {
        let name = reader.string_bytes("config name")?;
        let start = reader.position();
        let value = reader.nullable_string_bytes("config value")?;
        value_at(start, reader.position());
        Ok::<bool, Malformed>(names_address(name) || value.is_some_and(looks_like_address))
    };
    let mut exposed = value(reader)?;
    reader.bool("read only")?;
    // `IsDefault` in version 0, `ConfigSource` since.
    reader.i8("config source")?;
    reader.bool("is sensitive")?;
    if version >= 1 {
        for _ in 0..reader.array_len("synonyms")? {
            exposed |= value(reader)?;
            reader.i8("source")?;
            reader.skip_tags()?;
        }
    }
    if version >= 3 {
        reader.i8("config type")?;
        reader.nullable_string_bytes("documentation")?;
    }
    reader.skip_tags()?;
    Ok(exposed)
}

/// Whether an entry of this name holds addresses: `advertised.listeners`, `host.name`, `controller.quorum.voters`,
/// `controller.quorum.bootstrap.servers`, `zookeeper.connect` and their like. (`max.connections` is none of them.)
fn names_address(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    ["listener", "host", "voters", "servers"].iter().any(|word| name.contains(word))
        || name.split('.').any(|word| word == "connect" || word == "port")
}

/// Whether a value has a URL or something of the form `host:port` in it. A host has a letter or a dot, or is in brackets.
fn looks_like_address(value: &[u8]) -> bool {
    let value = String::from_utf8_lossy(value);
    value.contains("://")
        || value.split([',', ';', ' ', '\t', '\n', '@', '/', '=', '"', '\'']).any(|word| {
            word.rsplit_once(':').is_some_and(|(host, port)| {
                host.contains(|c: char| c.is_alphabetic() || c == '.' || c == ']')
                    && port.parse::<u16>().is_ok()
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_values() {
        for value in [
            "kafka-1:9092",
            "a,b:1",
            "1@10.0.0.1:9093",
            "SASL://x",
            "[::1]:9092",
            "EXTERNAL://:9092",
            "k=h:1",
        ] {
            assert!(looks_like_address(value.as_bytes()), "{value}");
        }
        for value in ["", "604800000", "0:1,1:2", "PLAINTEXT:PLAINTEXT", "compact,delete", "1.5", "a:70000"] {
            assert!(!looks_like_address(value.as_bytes()), "{value}");
        }
        for name in ["advertised.listeners", "Host.Name", "zookeeper.connect", "controller.quorum.voters"] {
            assert!(names_address(name.as_bytes()), "{name}");
        }
        for name in ["max.connections.per.ip", "connections.max.idle.ms", "log.retention.ms"] {
            assert!(!names_address(name.as_bytes()), "{name}");
        }
    }
}
