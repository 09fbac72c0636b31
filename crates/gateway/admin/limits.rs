//! `GET /limits`: which limits apply to somebody, and how full they are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::limit::{Mode, OnExceeded};
use policy::quota::rules::Used;
use policy::quota::{Handle, Measure, Nanos, Pace, Who};
use serde_json::{Value, json};
use wire::Api;
use wire::api::Stance;

use crate::live::Gateway;
use crate::moment::Moment;

/// What may be asked with.
const KEYS: &str = "principal, client_id, address, cluster, listener, topic, group and api";

/// Whom is asked about.
struct Asked {
    principal: String,
    client_id: String,
    address: IpAddr,
    cluster: Option<String>,
    listener: Option<SocketAddr>,
    topic: Option<String>,
    group: Option<String>,
    api: Option<Api>,
}

/// The answer as JSON, or what is wrong with the question.
pub(super) fn answer(gateway: &Gateway, query: &str) -> Result<String, String> {
    let asked = Asked::read(query)?;
    let live = gateway.live();
    let now = gateway.clock.at(Moment::now());
    let listeners = live.model.clusters.iter().flat_map(|cluster| &cluster.listeners);
    let listeners = listeners.filter(|listener| {
        asked.cluster.as_deref().is_none_or(|name| *name == *listener.cluster)
            && asked.listener.is_none_or(|bind| bind == listener.bind)
    });
    let mut seen: Vec<Arc<Used>> = Vec::new();
    let mut limits = Vec::new();
    for listener in listeners {
        for who in asked.everything(&listener.cluster, listener.bind) {
            for (key, handle) in live.rules.iter().flat_map(|rule| rule.keyed(&who, now)) {
                if !seen.iter().any(|other| Arc::ptr_eq(other, &handle.used)) {
                    seen.push(Arc::clone(&handle.used));
                    limits.push(described(&key, &handle, now));
                }
            }
        }
    }
    let text = serde_json::to_string_pretty(&json!({ "limits": limits })).unwrap_or_default();
    Ok(text + "\n")
}

impl Asked {
    fn read(query: &str) -> Result<Self, String> {
        let mut asked = Self {
            principal: config::ANONYMOUS.to_owned(),
            client_id: String::new(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            cluster: None,
            listener: None,
            topic: None,
            group: None,
            api: None,
        };
        for (key, value) in query.split('&').filter(|pair| !pair.is_empty()).map(pair) {
            let not = |what: &str| format!("`{value}` is no {what}\n");
            match key.as_str() {
                "principal" => asked.principal = value,
                "client_id" => asked.client_id = value,
                "address" => asked.address = value.parse().map_err(|_| not("IP address"))?,
                "cluster" => asked.cluster = Some(value),
                "listener" => {
                    asked.listener = Some(value.parse().map_err(|_| not("IP address with a port"))?);
                }
                "topic" => asked.topic = Some(value),
                "group" => asked.group = Some(value),
                "api" => {
                    let api = Api::ALL.into_iter().find(|api| api.name() == value);
                    asked.api = Some(api.ok_or_else(|| not("API"))?);
                }
                other => return Err(format!("`{other}` is not asked with: {KEYS} are\n")),
            }
        }
        Ok(asked)
    }

    /// Everything that such a client can do: each API, the connection itself, with the topic and the group and without.
    fn everything<'a>(&'a self, cluster: &'a str, listener: SocketAddr) -> Vec<Who<'a>> {
        let apis = Api::ALL.into_iter().filter(|api| api.stance() != Stance::Hidden).map(Some);
        let apis = apis.chain([None]).filter(|api| self.api.is_none() || *api == self.api);
        let mut all = Vec::new();
        for api in apis {
            let who = Who {
                principal: &self.principal,
                client_id: &self.client_id,
                address: self.address,
                cluster,
                listener,
                topic: None,
                group: None,
                api,
            };
            all.push(who);
            if let Some(topic) = &self.topic {
                all.push(Who { topic: Some(topic), ..who });
            }
            if let Some(group) = &self.group {
                all.push(Who { group: Some(group), ..who });
            }
        }
        all
    }
}

fn described(key: &str, handle: &Handle, now: Nanos) -> Value {
    let limit = &handle.rule.limit;
    let (holds, used, wait) = match &*handle.used {
        Used::Paced(pace, bucket) => {
            let holds = match *pace {
                Pace::Rate { units, per, burst } => {
                    json!({ "units": units, "seconds": seconds(per), "burst": burst })
                }
                Pace::Fixed { count, window } | Pace::Sliding { count, window } => {
                    json!({ "units": count, "seconds": seconds(window) })
                }
            };
            (holds, bucket.used(*pace, now), seconds(bucket.wait(*pace, 1, now)))
        }
        Used::Slots(slots) => (json!({ "at_once": handle.at_once }), slots.used(), 0.0),
    };
    #[allow(clippy::cast_precision_loss, reason = "a share, for eyes")]
    let full = handle.used.fullness(now).unwrap_or(used as f64 / handle.at_once.max(1) as f64);
    json!({
        "limit": &*limit.name,
        "kind": limit.kind.name(),
        "mode": match limit.mode { Mode::Enforce => "enforce", Mode::Observe => "observe" },
        "on_exceeded": match limit.on_exceeded { OnExceeded::Throttle => "throttle", OnExceeded::Reject => "reject" },
        "key": key,
        "counts": counts(handle.measure),
        "allows": holds,
        "used": used,
        "fullness": full,
        "wait_seconds": wait,
    })
}

fn seconds(nanos: Nanos) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

fn counts(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests",
        Measure::ProduceBytes => "bytes produced",
        Measure::FetchBytes => "bytes fetched",
        Measure::Records => "records produced",
        Measure::Mutations => "partitions created and deleted",
        Measure::InFlight => "requests in flight",
        Measure::Open => "connections open",
        Measure::Connections => "connections opened",
    }
}

/// Key and value of one part of a query, percent-decoded.
pub(super) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(key), decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (other, _) => {
                bytes.push(*other);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_percent_decoded() {
        assert_eq!(pair("client_id=a%20b+c%2"), ("client_id".to_owned(), "a b c%2".to_owned()));
    }
}
