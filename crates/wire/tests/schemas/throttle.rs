//! Where answers say for how long a client is to be quiet.

use std::collections::BTreeSet;

use wire::api::{Api, Stance};
use wire::throttle::{Place, place};

use crate::{HIGHEST, LOWEST, each_api};

/// Bytes of a field of fixed width, as its line has it.
fn width(line: &str) -> Option<usize> {
    match line.split_once(": ").unwrap().1 {
        "bool" | "int8" => Some(1),
        "int16" | "uint16" => Some(2),
        "int32" | "uint32" => Some(4),
        "int64" | "float64" => Some(8),
        "uuid" => Some(16),
        _ => None,
    }
}

#[test]
fn throttle_times_stand_where_kafka_puts_them() {
    let (mut compared, mut found) = (BTreeSet::new(), BTreeSet::new());
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, _, answer| {
            for version in (answer.versions().min..=answer.versions().max).filter(|v| api.speaks(*v)) {
                let what = format!("{api} {version} of {release}");
                let ours = place(api, version);
                if api.stance() == Stance::Hidden {
                    assert_eq!(ours, Place::None, "{what}");
                    continue;
                }
                compared.insert((api, version));
                let Some((before, behind)) = answer.around_throttle(version) else {
                    let paths = answer.paths(version);
                    assert!(paths.iter().all(|(_, name)| !name.contains("Throttle")), "{what}: {paths:?}");
                    assert_eq!(ours, Place::None, "{what}");
                    continue;
                };
                found.insert(api);
                match ours {
                    Place::None => panic!("{what} has one, behind {before:?}"),
                    Place::At(at) => {
                        let widths: Option<usize> = before.iter().map(|line| width(line)).sum();
                        assert_eq!(widths, Some(at), "{what} has it behind {before:?}");
                    }
                    Place::BehindKeys => {
                        assert_eq!(before, ["ErrorCode: int16", "ApiKeys[]: []struct"], "{what}");
                        let mut keys = answer.lines(version);
                        keys.retain(|line| line.starts_with("ApiKeys[]."));
                        let widths: Option<usize> = keys.iter().map(|line| width(line)).sum();
                        assert_eq!(widths, Some(6), "{what}");
                    }
                    Place::BehindWalk => {
                        assert_eq!(before, ["Responses[]: []struct"], "{what}");
                        assert!(behind.is_empty(), "{what}: {behind:?}");
                    }
                }
            }
        });
    }
    for api in Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden) {
        for version in api.row().min..=api.row().max {
            assert!(compared.contains(&(api, version)), "{api} {version} was not compared");
        }
        assert_eq!(place(api, api.row().min - 1), Place::None, "{api}");
        assert_eq!(place(api, api.row().max + 1), Place::None, "{api}");
    }
    assert!(found.len() > 55, "{found:?}");
}
