//! The API table and the layouts, against Kafka's own message schemas of the lowest and the highest release spoken.
//!
//! The schemas are read out of the jar of `org.apache.kafka:kafka-clients`; Maven brings it where it is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod group;
mod jar;
mod schema;
mod throttle;

use std::collections::BTreeSet;

use schema::Schema;
use serde_json::Value;
use wire::api::{AnswerPath, Api, Stance};
use wire::layout::{Field, Kind, Message, of};

const LOWEST: &str = "3.9.1";
const HIGHEST: &str = "4.3.1";

/// APIs that are spoken up to a lower version than Kafka's, and why.
const CAPS: &[(Api, i16, &str)] =
    &[(Api::AddPartitionsToTxn, 3, "4 and later is what brokers send each other")];

/// Fields of answers that hold a broker's address and are rewritten or emptied.
const REWRITTEN: &[(Api, &[&str])] = &[
    (Api::Produce, &["NodeEndpoints[]", "NodeEndpoints[].Host", "NodeEndpoints[].Port"]),
    (Api::Fetch, &["NodeEndpoints[]", "NodeEndpoints[].Host", "NodeEndpoints[].Port"]),
    (Api::Metadata, &["Brokers[].Host", "Brokers[].Port"]),
    (Api::FindCoordinator, &["Host", "Port", "Coordinators[].Host", "Coordinators[].Port"]),
    (Api::DescribeQuorum, &["Nodes[].Listeners[]", "Nodes[].Listeners[].Host", "Nodes[].Listeners[].Port"]),
    (Api::DescribeCluster, &["Brokers[].Host", "Brokers[].Port"]),
    (Api::ShareFetch, &["NodeEndpoints[]", "NodeEndpoints[].Host", "NodeEndpoints[].Port"]),
    (Api::ShareAcknowledge, &["NodeEndpoints[]", "NodeEndpoints[].Host", "NodeEndpoints[].Port"]),
];

/// Fields of answers that only sound like a broker's address, and what they are instead.
const ACCEPTED: &[(Api, &[&str], &str)] = &[
    (Api::DescribeGroups, &["Groups[].Members[].ClientHost"], "where the broker saw a client"),
    (Api::ConsumerGroupDescribe, &["Groups[].Members[].ClientHost"], "where the broker saw a client"),
    (Api::ShareGroupDescribe, &["Groups[].Members[].ClientHost"], "where the broker saw a client"),
    (Api::DescribeAcls, &["Resources[].Acls[].Host"], "whom an ACL is about"),
    (Api::DeleteAcls, &["FilterResults[].MatchingAcls[].Host"], "whom an ACL is about"),
    (Api::DescribeCluster, &["EndpointType"], "brokers or controllers"),
    (Api::StreamsGroupDescribe, &["Groups[].Members[].ClientHost"], "where the broker saw a client"),
    (
        Api::StreamsGroupDescribe,
        &[
            "Groups[].Members[].UserEndpoint",
            "Groups[].Members[].UserEndpoint.Host",
            "Groups[].Members[].UserEndpoint.Port",
        ],
        "where an application answers queries of its own",
    ),
    (Api::StreamsGroupHeartbeat, &["EndpointInformationEpoch"], "a counter"),
    (
        Api::StreamsGroupHeartbeat,
        &[
            "PartitionsByUserEndpoint[]",
            "PartitionsByUserEndpoint[].UserEndpoint",
            "PartitionsByUserEndpoint[].UserEndpoint.Host",
            "PartitionsByUserEndpoint[].UserEndpoint.Port",
        ],
        "where an application answers queries of its own",
    ),
];

/// Words of a field's name that speak of an address.
const ADDRESS_WORDS: &[&str] = &[
    "host",
    "hosts",
    "hostname",
    "port",
    "ports",
    "endpoint",
    "endpoints",
    "listener",
    "listeners",
    "address",
    "addresses",
    "server",
    "servers",
    "url",
    "uri",
    "advertised",
];

fn requests(schemas: &[Value]) -> impl Iterator<Item = Schema<'_>> {
    let requests = schemas.iter().map(Schema).filter(|schema| schema.kind() == "request");
    requests.filter(Schema::is_client_facing)
}

fn answer<'a>(schemas: &'a [Value], request: &Schema<'_>) -> Schema<'a> {
    let name = request.name().replace("Request", "Response");
    let found = schemas.iter().map(Schema).find(|schema| schema.name() == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// Every API that clients can reach, as a release has it, with its request and its answer.
fn each_api(release: &str, mut check: impl FnMut(Api, &Schema<'_>, &Schema<'_>)) {
    let schemas = jar::schemas(release);
    let mut count = 0;
    for request in requests(&schemas) {
        let api = Api::from_key(request.key())
            .unwrap_or_else(|| panic!("{} of {release} has no row", request.name()));
        check(api, &request, &answer(&schemas, &request));
        count += 1;
    }
    assert!(count > 60, "{release} has {count} APIs only");
}

#[test]
fn every_api_that_a_client_can_reach_has_a_row_of_all_its_versions() {
    let mut capped = BTreeSet::new();
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, request, answer| {
            let (row, versions) = (api.row(), request.versions());
            let name = request.name().strip_suffix("Request").unwrap();
            // Kafka 4.1 gave key 74 another name, and more types.
            assert!(name == api.name() || name == "ListClientMetricsResources", "{name} is {api}");
            assert_eq!(row.flexible_from, request.flexible_from(), "{api} of {release}");
            assert_eq!(row.flexible_from, answer.flexible_from(), "{api} of {release}");
            if versions.max < versions.min {
                return;
            }
            assert!(row.min <= versions.min, "{api} of {release} begins with {}", versions.min);
            if row.max < versions.max {
                let cap = CAPS.iter().find(|(capped, max, _)| *capped == api && *max == row.max);
                assert!(cap.is_some(), "{api} of {release} goes to {}", versions.max);
                capped.insert(api);
            }
        });
    }
    assert_eq!(capped, CAPS.iter().map(|(api, ..)| *api).collect(), "a cap that caps nothing");
}

#[test]
fn no_version_is_spoken_that_kafka_does_not_have() {
    let mut spoken = BTreeSet::new();
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, request, _| {
            let versions = request.versions();
            spoken.extend((versions.min..=versions.max).map(|version| (api, version)));
        });
    }
    for api in Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden) {
        for version in api.row().min..=api.row().max {
            assert!(spoken.contains(&(api, version)), "{api} {version}");
        }
    }
}

#[test]
fn headers_follow_from_the_schemas() {
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, request, answer| {
            for version in request.versions().min..=request.versions().max {
                assert_eq!(api.request_is_flexible(version), version >= request.flexible_from(), "{api}");
                // Kafka's generator makes one exception: a client reads this answer before it knows the broker.
                let flexible = version >= answer.flexible_from() && api != Api::ApiVersions;
                assert_eq!(api.answer_header_is_flexible(version), flexible, "{api} {version} of {release}");
            }
        });
    }
}

/// Whether a field's name speaks of an address: one of its `CamelCase` words does.
fn speaks_of_an_address(name: &str) -> bool {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().unwrap().extend(letter.to_lowercase());
    }
    words.iter().any(|word| ADDRESS_WORDS.contains(&word.as_str()))
}

#[test]
fn every_field_that_speaks_of_an_address_is_rewritten_or_known_to_be_harmless() {
    assert!(speaks_of_an_address("NodeEndpoints") && !speaks_of_an_address("SupportedFeatures"));
    let mut met = BTreeSet::new();
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, _, answer| {
            if api.stance() == Stance::Hidden {
                return;
            }
            for version in (answer.versions().min..=answer.versions().max).filter(|v| api.speaks(*v)) {
                for (path, name) in answer.paths(version) {
                    if !speaks_of_an_address(&name) {
                        continue;
                    }
                    let rewritten = REWRITTEN.iter().any(|(a, paths)| *a == api && paths.contains(&&*path));
                    let accepted = ACCEPTED.iter().any(|(a, paths, _)| *a == api && paths.contains(&&*path));
                    assert!(rewritten || accepted, "{api} {version} of {release} shows {path} to clients");
                    let passes = api.answer_path(version) == AnswerPath::Pass;
                    assert!(accepted || !passes, "{api} {version} has {path}, and is passed on as it is");
                    met.insert((api, path));
                }
            }
        });
    }
    let rewritten = REWRITTEN.iter().flat_map(|(api, paths)| paths.iter().map(move |path| (*api, *path)));
    let accepted = ACCEPTED.iter().flat_map(|(api, paths, _)| paths.iter().map(move |path| (*api, *path)));
    for (api, path) in rewritten.chain(accepted) {
        assert!(met.contains(&(api, path.to_owned())), "{api} has no {path}");
    }
}

#[test]
fn answers_that_are_rewritten_have_an_address_in_them() {
    each_api(HIGHEST, |api, _, answer| {
        for version in (answer.versions().min..=answer.versions().max).filter(|v| api.speaks(*v)) {
            if api.answer_path(version) != AnswerPath::Pass {
                let found = answer.paths(version).iter().any(|(_, name)| speaks_of_an_address(name));
                assert!(found, "{api} {version} is held for nothing");
            }
        }
    });
}

#[test]
fn errors_stand_where_kafka_puts_them() {
    let (mut compared, mut found) = (BTreeSet::new(), BTreeSet::new());
    for release in [LOWEST, HIGHEST] {
        each_api(release, |api, _, answer| {
            for version in answer.versions().min..=answer.versions().max {
                let hidden = api.stance() == Stance::Hidden || !api.speaks(version);
                let at = if hidden { None } else { answer.error_at(version) };
                assert_eq!(api.error_at(version), at, "{api} {version} of {release}");
                if !hidden {
                    compared.insert((api, version));
                }
                found.extend(at.map(|_| api));
            }
        });
    }
    for api in Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden) {
        for version in api.row().min..=api.row().max {
            assert!(compared.contains(&(api, version)), "{api} {version} was not compared");
        }
        assert_eq!(api.error_at(api.row().min - 1), None, "{api}");
        assert_eq!(api.error_at(api.row().max + 1), None, "{api}");
    }
    assert!(found.len() > 30, "{found:?}");
}

/// The fields of a layout in `version`, written as [`Schema::lines`] writes them.
fn layout_lines(fields: &[Field], version: i16, above: &str, lines: &mut Vec<String>) {
    for field in fields.iter().filter(|field| field.versions.contains(version)) {
        let (array, element) =
            if let Kind::Array(element) = field.kind { ("[]", *element) } else { ("", field.kind) };
        let shown = match element {
            Kind::Int8 => "int8",
            Kind::Int16 | Kind::ErrorCode { .. } => "int16",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uuid => "uuid",
            Kind::String => "string",
            Kind::Records => "records",
            Kind::Struct(_) => "struct",
            Kind::Array(_) => "array",
        };
        let counted = !above.is_empty() && field.name.ends_with("ErrorCode");
        assert_eq!(matches!(field.kind, Kind::ErrorCode { .. }), counted, "{above}{}", field.name);
        let nullable = if field.nullable.contains(version) { " nullable" } else { "" };
        let tag = match field.tag {
            Some(tag) if tag.versions.contains(version) => format!(" tag {}", tag.number),
            Some(_) | None => String::new(),
        };
        lines.push(format!("{above}{}{array}: {array}{shown}{nullable}{tag}", field.name));
        if let Kind::Struct(inner) = element {
            layout_lines(inner, version, &format!("{above}{}{array}.", field.name), lines);
        }
    }
}

#[test]
fn layouts_are_kafkas_field_by_field() {
    let mut compared = 0;
    for release in [LOWEST, HIGHEST] {
        let schemas = jar::schemas(release);
        for message in Message::ALL {
            let schema = schemas.iter().map(Schema).find(|schema| schema.name() == message.name());
            let schema = schema.unwrap_or_else(|| panic!("{release} has no {}", message.name()));
            let versions = schema.versions();
            for version in (versions.min..=versions.max).filter(|v| message.api().speaks(*v)) {
                let mut lines = Vec::new();
                layout_lines(of(message), version, "", &mut lines);
                assert_eq!(lines, schema.lines(version), "{} {version} of {release}", message.name());
                compared += 1;
            }
        }
    }
    assert!(compared > 80, "{compared}");
}
