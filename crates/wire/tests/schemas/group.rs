//! Where requests name a group.

use std::collections::BTreeSet;

use wire::api::{Api, Stance};
use wire::reader::Encoding;
use wire::request::{Named, group};
use wire::writer::Writer;

use crate::schema::Schema;
use crate::{HIGHEST, LOWEST, each_api};

const GROUPS: &[&str] = &["Groups[]", "GroupIds[]", "GroupsNames[]"];

/// The beginning of a body up to the name of its group, as the schema has it. `None` where it has no group.
fn begun(schema: &Schema<'_>, version: i16, group: &str) -> Option<Vec<u8>> {
    let mut body = Writer::new(Encoding::of(version >= schema.flexible_from()));
    let own = schema.own_lines(version);
    for (at, line) in own.iter().enumerate() {
        let (path, kind) = line.split_once(": ").unwrap();
        match (path, kind.trim_end_matches(" nullable")) {
            ("GroupId", "string") => {
                body.string(group);
                return Some(body.into_bytes());
            }
            (path, kind) if GROUPS.contains(&path) => {
                let inner = schema.lines(version).contains(&format!("{path}.GroupId: string"));
                assert_eq!(kind, if inner { "[]struct" } else { "[]string" });
                body.array_len(1);
                body.string(group);
                return Some(body.into_bytes());
            }
            (_, "string") => body.string("else"),
            (_, "bool" | "int8") => body.i8(0),
            (_, "int16") => body.i16(0),
            (_, "int32") => body.i32(0),
            (_, "int64") => body.i64(0),
            _ => {
                let late = own[at..].iter().find(|line| {
                    line.starts_with("GroupId:") || GROUPS.iter().any(|name| line.starts_with(name))
                });
                assert_eq!(late, None, "{} {version} has its group behind {line}", schema.name());
                return None;
            }
        }
    }
    None
}

#[test]
fn groups_are_named_where_kafka_has_them() {
    let mut found = BTreeSet::new();
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, request, _| {
            let versions = request.versions();
            if api.stance() == Stance::Hidden {
                return;
            }
            for version in (versions.min..=versions.max).filter(|version| api.speaks(*version)) {
                let what = format!("{api} {version} of {release}");
                match begun(request, version, "the-group") {
                    Some(body) => {
                        assert_eq!(
                            group(api, version, &body),
                            Ok(Some(Named::Group(b"the-group"))),
                            "{what}"
                        );
                        for end in 0..body.len() {
                            assert_eq!(group(api, version, &body[..end]), Ok(None), "{what} of {end}");
                        }
                        found.insert(api);
                    }
                    None => assert_eq!(group(api, version, &[]), Ok(Some(Named::NoGroup)), "{what}"),
                }
            }
        });
    }
    assert_eq!(found.len(), 22, "{found:?}");
    assert!(Api::ALL.iter().all(|api| group(*api, api.row().max + 1, &[]).is_err()));
}
