//! What a client may ask for, of the requests that are held and judged before a broker sees them.
//!
//! Brokers see the gateway's identity and not the client's, so the guard stands here. A refusal is an answer in the
//! request's own schema; the connection lives on.

use wire::address::CorrelationId;
use wire::api::{Api, Stance};
use wire::error::{Malformed, code};
use wire::refuse::refuse;
use wire::request::{cluster_endpoint_type, config_resources, coordinator_key_type};

/// What a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// What applications do.
    Ordinary,
    /// One of the cluster's `admins`.
    Admin,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the broker as it is.
    Forward,
    /// As [`Verdict::Forward`]; the answer shows configurations of brokers, whose addresses are to be masked.
    ForwardMasked,
    /// This is the answer: a whole frame, with its size.
    Answer(Vec<u8>),
}

/// `ConfigResource.Type` on the wire.
mod resource {
    pub(super) const TOPIC: i8 = 2;
    pub(super) const BROKER: i8 = 4;
    pub(super) const BROKER_LOGGER: i8 = 8;
    pub(super) const CLIENT_METRICS: i8 = 16;
    pub(super) const GROUP: i8 = 32;
}

/// Key type of `FindCoordinator` that only brokers ask for (share groups).
const KEY_TYPE_SHARE: i8 = 2;
/// Endpoint types of `DescribeCluster` (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;

/// Judges a request that travels as [`wire::api::RequestPath::Held`]; `body` is what follows its head.
///
/// # Errors
/// A body that is not the request it claims to be, or an API that no client may use: the connection is closed.
pub fn judge(
    api: Api,
    version: i16,
    correlation: CorrelationId,
    body: &[u8],
    privilege: Privilege,
) -> Result<Verdict, Malformed> {
    let answer =
        |code, message: &str| refuse(api, version, correlation, body, code, message).map(Verdict::Answer);
    match api.stance() {
        Stance::Local | Stance::Hidden => return Err(Malformed::Unspoken { api: api.name(), version }),
        Stance::Admin if privilege == Privilege::Ordinary => {
            let message =
                format!("{api} is for administrators: the gateway's configuration names them in `admins`");
            return answer(code::CLUSTER_AUTHORIZATION_FAILED, &message);
        }
        Stance::Admin | Stance::Proxied => {}
    }
    if api == Api::FindCoordinator && coordinator_key_type(version, body)? == KEY_TYPE_SHARE {
        return answer(code::INVALID_REQUEST, "Coordinators of share state are for brokers only");
    }
    if api == Api::DescribeCluster {
        match cluster_endpoint_type(version, body)? {
            ENDPOINT_BROKERS => {}
            ENDPOINT_CONTROLLERS => {
                let message = "This is a listener for brokers: controllers cannot be described here";
                return answer(code::MISMATCHED_ENDPOINT_TYPE, message);
            }
            _ => return answer(code::UNSUPPORTED_ENDPOINT_TYPE, "Unknown endpoint type: ask for 1, brokers"),
        }
    }
    if matches!(api, Api::DescribeConfigs | Api::AlterConfigs | Api::IncrementalAlterConfigs) {
        let reach = reach(api, version, body)?;
        return match (privilege, reach) {
            (Privilege::Ordinary, Reach::Cluster | Reach::Brokers) => answer(
                code::CLUSTER_AUTHORIZATION_FAILED,
                "Configurations of other resources than topics and groups are for administrators: ask for topics and \
                 groups only, or have the gateway's configuration name this principal in `admins`",
            ),
            (Privilege::Admin, Reach::Brokers) if api == Api::DescribeConfigs => Ok(Verdict::ForwardMasked),
            (Privilege::Ordinary, Reach::Own) | (Privilege::Admin, _) => Ok(Verdict::Forward),
        };
    }
    Ok(Verdict::Forward)
}

/// The farthest that a request for configurations reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Topics and groups.
    Own,
    /// What concerns everyone.
    Cluster,
    /// Brokers, whose configurations show their addresses.
    Brokers,
}

fn reach(api: Api, version: i16, body: &[u8]) -> Result<Reach, Malformed> {
    let of = |kind| match kind {
        resource::TOPIC | resource::GROUP => Reach::Own,
        resource::CLIENT_METRICS if api == Api::DescribeConfigs => Reach::Own,
        resource::BROKER | resource::BROKER_LOGGER => Reach::Brokers,
        _ => Reach::Cluster,
    };
    let resources = config_resources(api, version, body)?;
    Ok(resources.iter().map(|resource| of(resource.kind)).max().unwrap_or(Reach::Own))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use wire::reader::Encoding;
    use wire::writer::Writer;

    const ID: CorrelationId = CorrelationId(7);

    fn judged(api: Api, version: i16, body: &[u8], privilege: Privilege) -> Verdict {
        judge(api, version, ID, body, privilege).unwrap()
    }

    /// Whether the answer holds this code somewhere after its correlation id.
    #[track_caller]
    fn assert_answers(verdict: &Verdict, code: i16) {
        let Verdict::Answer(frame) = verdict else { panic!("{verdict:?}") };
        assert!(frame[8..].windows(2).any(|two| two == code.to_be_bytes()), "{code} is not in {frame:?}");
    }

    /// `DescribeConfigs` v1, `AlterConfigs` v0 or `IncrementalAlterConfigs` v0 of these resources.
    fn configs(api: Api, kinds: &[i8]) -> Vec<u8> {
        let mut body = Writer::new(Encoding::Classic);
        body.array_len(kinds.len());
        for kind in kinds {
            body.i8(*kind);
            body.string("1");
            body.array_len(0);
        }
        if api == Api::DescribeConfigs {
            body.bool(false);
        }
        body.bool(false);
        body.into_bytes()
    }

    #[test]
    fn administration_is_for_administrators() {
        for api in Api::ALL.into_iter().filter(|api| api.stance() == Stance::Admin) {
            assert_eq!(judged(api, api.row().max, &[], Privilege::Admin), Verdict::Forward, "{api}");
        }
        let body = [0; 16];
        assert_answers(&judged(Api::DescribeQuorum, 0, &[1, 0], Privilege::Ordinary), 31);
        assert_answers(&judged(Api::UnregisterBroker, 0, &body, Privilege::Ordinary), 31);
        assert_answers(&judged(Api::DescribeAcls, 1, &body, Privilege::Ordinary), 31);
    }

    #[test]
    fn what_is_local_or_hidden_is_not_judged() {
        for api in [Api::SaslHandshake, Api::WriteTxnMarkers, Api::AlterUserScramCredentials] {
            assert!(judge(api, 0, ID, &[], Privilege::Admin).is_err());
        }
    }

    #[test]
    fn coordinators_of_share_state_are_for_brokers() {
        let find = |key_type: i8| {
            let mut body = Writer::new(Encoding::Flexible);
            body.i8(key_type);
            body.array_len(1);
            body.string("group:topic:0");
            body.no_tags();
            judged(Api::FindCoordinator, 6, &body.into_bytes(), Privilege::Admin)
        };
        assert_eq!((find(0), find(1)), (Verdict::Forward, Verdict::Forward));
        assert_answers(&find(2), 42);
    }

    #[test]
    fn only_brokers_are_described() {
        let describe = |kind: u8| judged(Api::DescribeCluster, 1, &[0, kind, 0], Privilege::Admin);
        assert_eq!(describe(1), Verdict::Forward);
        assert_answers(&describe(2), 114);
        assert_answers(&describe(3), 115);
        assert_answers(&describe(0), 115);
        assert_eq!(judged(Api::DescribeCluster, 0, &[0, 0], Privilege::Ordinary), Verdict::Forward);
    }

    #[test]
    fn configurations_are_open_for_topics_and_groups_and_masked_for_brokers() {
        let (describe, alter) = (Api::DescribeConfigs, [Api::AlterConfigs, Api::IncrementalAlterConfigs]);
        let judged = |api, kinds: &[i8], privilege| {
            let version = i16::from(api == Api::DescribeConfigs);
            judged(api, version, &configs(api, kinds), privilege)
        };
        assert_eq!(judged(describe, &[2, 32, 16], Privilege::Ordinary), Verdict::Forward);
        assert_eq!(judged(describe, &[], Privilege::Ordinary), Verdict::Forward);
        for kinds in [&[4_i8][..], &[2, 8], &[4, 2], &[99], &[-1]] {
            assert_answers(&judged(describe, kinds, Privilege::Ordinary), 31);
        }
        assert_eq!(judged(describe, &[2, 4, 2], Privilege::Admin), Verdict::ForwardMasked);
        assert_eq!(judged(describe, &[8], Privilege::Admin), Verdict::ForwardMasked);
        assert_eq!(judged(describe, &[2], Privilege::Admin), Verdict::Forward);
        for api in alter {
            assert_eq!(judged(api, &[2, 32], Privilege::Ordinary), Verdict::Forward);
            assert_answers(&judged(api, &[2, 16], Privilege::Ordinary), 31);
            assert_answers(&judged(api, &[4], Privilege::Ordinary), 31);
            assert_eq!(judged(api, &[4, 8, 16], Privilege::Admin), Verdict::Forward);
        }
    }

    #[test]
    fn a_body_that_lies_is_malformed() {
        let lie = [0x7f, 0xff, 0xff, 0xff];
        assert!(judge(Api::DescribeConfigs, 1, ID, &lie, Privilege::Ordinary).is_err());
        assert!(judge(Api::FindCoordinator, 1, ID, &lie, Privilege::Ordinary).is_err());
        assert!(judge(Api::DescribeCluster, 1, ID, &[], Privilege::Admin).is_err());
    }
}
