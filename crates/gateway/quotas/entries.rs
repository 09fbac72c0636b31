//! Brokers' quotas as the text of `[[limit]]` entries: one for each kind of quota, since Kafka looks for the closest
//! entity of each of them alone.

use std::fmt::Write as _;

use wire::ask::QuotaEntry;

/// What Kafka grants at once of a mutation rate: so many seconds' worth (`controller.quota.window.num` of 1 s).
const MUTATION_WINDOWS: f64 = 11.0;

/// Names that mean something else here.
const DEFAULT: &str = "<default>";

/// A kind of quota that has a counterpart.
struct Kind {
    /// Kafka's key.
    key: &'static str,
    /// The end of the limit's name.
    suffix: &'static str,
    limit: &'static str,
    /// The lines of an amount.
    amount: fn(f64) -> String,
}

const KINDS: [Kind; 4] = [
    Kind {
        key: "producer_byte_rate",
        suffix: "produce-quota",
        limit: "bytes",
        amount: |rate| format!("produce_rate = \"{}\"\n", byte_rate(rate)),
    },
    Kind {
        key: "consumer_byte_rate",
        suffix: "fetch-quota",
        limit: "bytes",
        amount: |rate| format!("fetch_rate = \"{}\"\n", byte_rate(rate)),
    },
    Kind {
        key: "controller_mutation_rate",
        suffix: "mutation-quota",
        limit: "mutations",
        amount: |rate| {
            let burst = (rate * MUTATION_WINDOWS).ceil().clamp(1.0, 1e9);
            format!("rate = {}\nburst = {burst:.0}\n", per_second(rate))
        },
    },
    Kind {
        key: "connection_creation_rate",
        suffix: "connection-quota",
        limit: "connection-rate",
        amount: |rate| format!("rate = {}\n", per_second(rate)),
    },
];

/// The entries of all quotas; comments for what they cannot say.
pub(super) fn text(cluster: &str, quotas: &[QuotaEntry]) -> String {
    // A cluster's name may be as long as a limit's, which has an end to it.
    let prefix: String = cluster.chars().take(80).collect();
    let mut text = format!(
        "# The quotas of {}'s brokers. Each broker grants them for itself; these limits are for all of the\n\
         # cluster, at each replica of the gateway.\n",
        quoted(cluster)
    );
    let mut quotas = quotas.to_vec();
    // Each broker has an order of its own; here users come before their clients.
    for entry in &mut quotas {
        entry.entity.sort_by(|one, other| other.cmp(one));
    }
    quotas.sort_by(|one, other| one.entity.cmp(&other.entity));
    for kind in &KINDS {
        let mut overrides = String::new();
        for entry in &quotas {
            for (_, rate) in entry.values.iter().filter(|(key, _)| key == kind.key) {
                match entity_lines(entry, kind).filter(|_| *rate > 0.0 && rate.is_finite()) {
                    Some(lines) => {
                        let amount = (kind.amount)(*rate);
                        let _ = write!(overrides, "[[limit.override]]\n{lines}{amount}");
                    }
                    None => left_out(&mut text, entry, kind.key, *rate),
                }
            }
        }
        if !overrides.is_empty() {
            let name = quoted(&format!("{prefix}-{}", kind.suffix));
            let (kind, cluster) = (kind.limit, quoted(cluster));
            let _ = write!(
                text,
                "\n[[limit]]\nname = {name}\nkind = \"{kind}\"\nmatch = {{ cluster = [{cluster}] }}\n{overrides}"
            );
        }
    }
    for entry in &quotas {
        for (key, value) in entry.values.iter().filter(|(key, _)| KINDS.iter().all(|kind| kind.key != key)) {
            left_out(&mut text, entry, key, *value);
        }
    }
    text
}

/// Says what is not among the entries.
fn left_out(text: &mut String, entry: &QuotaEntry, key: &str, value: f64) {
    let part = |(kind, name): &(String, Option<String>)| match name {
        Some(name) => format!("{} {}", plain(kind), quoted(name)),
        None => format!("{} {DEFAULT}", plain(kind)),
    };
    let entity: Vec<String> = entry.entity.iter().map(part).collect();
    let _ = write!(
        text,
        "\n# Left out, there is no such limit: {}: {} = {value}\n",
        entity.join(", "),
        plain(key)
    );
}

/// The lines that say whom an override is for; `None` if it cannot be said of this kind.
fn entity_lines(entry: &QuotaEntry, kind: &Kind) -> Option<String> {
    let is_of_connections = kind.limit == "connection-rate";
    let mut lines = String::new();
    for (part, name) in &entry.entity {
        let key = match (part.as_str(), is_of_connections) {
            ("user", false) => "principal",
            ("client-id", false) => "client_id",
            ("ip", true) => "address",
            _ => return None,
        };
        // A host's name stands for addresses that only the brokers know.
        let can_be_said = name.as_ref().is_none_or(|name| {
            name != DEFAULT && (key != "address" || name.parse::<std::net::IpAddr>().is_ok())
        });
        if !can_be_said {
            return None;
        }
        let _ = writeln!(lines, "{key} = {}", quoted(name.as_deref().unwrap_or(DEFAULT)));
    }
    Some(lines).filter(|lines| !lines.is_empty())
}

/// A string as TOML writes it, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A word of the broker's in a comment.
fn plain(text: &str) -> String {
    text.escape_default().to_string()
}

/// Bytes per second, in the largest unit that says it exactly.
fn byte_rate(rate: f64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    // What is larger is no limit for anybody.
    let bytes: u64 = format!("{:.0}", rate.clamp(1.0, 9e18)).parse().unwrap_or(u64::MAX >> 1);
    let exact = UNITS.iter().find(|(_, bits)| bytes.trailing_zeros() >= *bits);
    exact.map_or_else(|| format!("{bytes}B/s"), |(unit, bits)| format!("{}{unit}/s", bytes >> bits))
}

/// A rate in thousandths, within what a limit may have.
fn per_second(rate: f64) -> String {
    let text = format!("{:.3}", rate.clamp(0.001, 1e9));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(entity: &[(&str, Option<&str>)], values: &[(&str, f64)]) -> QuotaEntry {
        let part = |(kind, name): &(&str, Option<&str>)| ((*kind).to_owned(), name.map(str::to_owned));
        QuotaEntry {
            entity: entity.iter().map(part).collect(),
            values: values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
        }
    }

    #[test]
    fn each_kind_of_quota_becomes_a_limit_with_an_override_for_each_entity() {
        let quotas = [
            entry(
                &[("user", Some("alice")), ("client-id", None)],
                &[("producer_byte_rate", 1_048_576.0), ("consumer_byte_rate", 1500.4)],
            ),
            entry(&[("user", None)], &[("controller_mutation_rate", 0.25)]),
            entry(&[("ip", Some("10.0.0.1"))], &[("connection_creation_rate", 20.0)]),
        ];
        let text = text("main", &quotas);
        let (comment, entries) = text.split_once("\n\n").unwrap_or_default();
        assert!(comment.lines().all(|line| line.starts_with('#')), "{comment}");
        assert_eq!(
            entries,
            r#"[[limit]]
name = "main-produce-quota"
kind = "bytes"
match = { cluster = ["main"] }
[[limit.override]]
principal = "alice"
client_id = "<default>"
produce_rate = "1MiB/s"

[[limit]]
name = "main-fetch-quota"
kind = "bytes"
match = { cluster = ["main"] }
[[limit.override]]
principal = "alice"
client_id = "<default>"
fetch_rate = "1500B/s"

[[limit]]
name = "main-mutation-quota"
kind = "mutations"
match = { cluster = ["main"] }
[[limit.override]]
principal = "<default>"
rate = 0.25
burst = 3

[[limit]]
name = "main-connection-quota"
kind = "connection-rate"
match = { cluster = ["main"] }
[[limit.override]]
address = "10.0.0.1"
rate = 20
"#
        );
    }

    #[test]
    fn what_has_no_counterpart_is_said_on_one_line_of_comment() {
        let quotas = [
            entry(&[("user", Some("a\n\"b"))], &[("request_percentage", 50.0), ("new\nkey", 1.0)]),
            entry(&[("ip", Some("broker.example"))], &[("connection_creation_rate", 5.0)]),
            entry(&[("user", Some("<default>"))], &[("producer_byte_rate", 5.0)]),
            entry(&[("user", Some("nobody"))], &[("producer_byte_rate", f64::NAN)]),
        ];
        let text = text("main", &quotas);
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
        assert_eq!(text.matches("# Left out").count(), 5, "{text}");
    }

    #[test]
    fn any_rate_becomes_one_that_a_limit_may_have() {
        for (rate, bytes, other) in [
            (f64::MIN_POSITIVE, "1B/s", "0.001"),
            (1.0 / 3.0, "1B/s", "0.333"),
            (1e300, "8789062500000000KiB/s", "1000000000"),
            (3.0 * 1024.0, "3KiB/s", "3072"),
        ] {
            assert_eq!((byte_rate(rate).as_str(), per_second(rate).as_str()), (bytes, other), "{rate}");
        }
    }
}
