//! Answers about the cluster that the gateway composes from what it knows itself, while no broker can be asked: the cluster
//! is there, its brokers are where they always are, and nothing leads its topics for now.

use crate::address::{Book, CorrelationId, NodeId};
use crate::api::Api;
use crate::error::{Malformed, code};
use crate::head::answer_writer;
use crate::reader::{Encoding, Reader};
use crate::writer::Writer;

/// What the gateway knows of a cluster without asking.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Every broker, at the gateway's own address for it.
    pub book: &'a Book,
    /// The cluster's id, once a broker has told it.
    pub cluster: Option<&'a str>,
    /// Who was the controller when a broker last told, as clients see it: a broker that takes what is for controllers.
    pub controller: Option<NodeId>,
}

impl Known<'_> {
    /// The controller, where clients can reach it.
    fn controller(&self) -> Option<NodeId> {
        self.controller.filter(|node| self.book.get(*node).is_some())
    }
}

/// Operations that nobody asked for.
const NO_OPERATIONS: i32 = i32::MIN;

/// Composes a whole frame that answers a Metadata request (`body` is what follows its head) with all brokers, and with
/// [`code::LEADER_NOT_AVAILABLE`] for each topic that it names, without partitions: every client asks again, later.
///
/// Which topics there are at all is not known here, and none would be a lie: a consumer would give up all that match its
/// pattern. To a request for all, the answer has neither topics nor brokers, which clients ignore, and ask again.
pub fn metadata(
    version: i16,
    correlation: CorrelationId,
    body: &[u8],
    known: Known<'_>,
    throttle_ms: i32,
) -> Result<Vec<u8>, Malformed> {
    let (mut answer, encoding) = start(Api::Metadata, version, correlation)?;
    if version >= 3 {
        answer.i32(throttle_ms);
    }
    let mut request = Reader::new(body, encoding);
    let controller = if asks_for_all(version, request.clone())? {
        answer.array_len(0);
        None
    } else {
        brokers(&mut answer, known.book, |answer| {
            if version >= 1 {
                answer.nullable_string(None);
            }
        });
        known.controller()
    };
    after_brokers(version, known.cluster, controller, code::LEADER_NOT_AVAILABLE, &mut request, &mut answer)?;
    if version >= 13 {
        answer.i16(code::NONE);
    }
    answer.no_tags();
    Ok(answer.into_frame())
}

/// All topics are an empty list in version 0, and null later, when an empty list is of none.
fn asks_for_all(version: i16, mut request: Reader<'_>) -> Result<bool, Malformed> {
    let topics = request.nullable_array_len("topics")?;
    Ok(topics.is_none() || (version == 0 && topics == Some(0)))
}

/// What follows the brokers of a Metadata answer, up to the code about all of it (version 13): each topic of the request
/// with the code.
pub(crate) fn after_brokers(
    version: i16,
    cluster: Option<&str>,
    controller: Option<NodeId>,
    error: i16,
    request: &mut Reader<'_>,
    answer: &mut Writer,
) -> Result<(), Malformed> {
    if version >= 2 {
        answer.nullable_string(cluster);
    }
    if version >= 1 {
        answer.i32(controller.map_or(-1, |node| node.0));
    }
    let topics = request.nullable_array_len("topics")?.unwrap_or(0);
    answer.array_len(topics);
    for _ in 0..topics {
        let id = if version >= 10 { request.uuid("topic id")? } else { [0; 16] };
        let name = match version {
            10.. => request.nullable_string_bytes("topic")?,
            ..=9 => Some(request.string_bytes("topic")?),
        };
        request.skip_tags()?;
        answer.i16(error);
        match version {
            12.. => answer.nullable_string_bytes(name),
            ..=11 => answer.string_bytes(name.unwrap_or_default()),
        }
        if version >= 10 {
            answer.uuid(&id);
        }
        if version >= 1 {
            // Whether it is internal.
            answer.bool(false);
        }
        answer.array_len(0);
        if version >= 8 {
            answer.i32(NO_OPERATIONS);
        }
        answer.no_tags();
    }
    if (8..=10).contains(&version) {
        answer.i32(NO_OPERATIONS);
    }
    Ok(())
}

/// Composes a whole frame that answers a `DescribeCluster` request for brokers. Without the cluster's id there is nothing that
/// could be described: [`code::REQUEST_TIMED_OUT`].
pub fn cluster(
    version: i16,
    correlation: CorrelationId,
    known: Known<'_>,
    throttle_ms: i32,
) -> Result<Vec<u8>, Malformed> {
    let (mut answer, _) = start(Api::DescribeCluster, version, correlation)?;
    answer.i32(throttle_ms);
    answer.i16(if known.cluster.is_some() { code::NONE } else { code::REQUEST_TIMED_OUT });
    answer.nullable_string(None);
    if version >= 1 {
        // Brokers.
        answer.i8(1);
    }
    answer.string(known.cluster.unwrap_or_default());
    answer.i32(known.controller().map_or(-1, |node| node.0));
    brokers(&mut answer, known.book, |answer| {
        answer.nullable_string(None);
        if version >= 2 {
            // Whether it is fenced: one that cannot be reached is not known to be.
            answer.bool(false);
        }
    });
    answer.i32(NO_OPERATIONS);
    answer.no_tags();
    Ok(answer.into_frame())
}

fn start(api: Api, version: i16, correlation: CorrelationId) -> Result<(Writer, Encoding), Malformed> {
    if !api.speaks(version) {
        return Err(Malformed::Unspoken { api: api.name(), version });
    }
    let encoding = Encoding::of(api.request_is_flexible(version));
    Ok((answer_writer(correlation, api.answer_header_is_flexible(version), encoding), encoding))
}

/// All brokers of the book; `rest` writes what follows the address.
fn brokers(answer: &mut Writer, book: &Book, rest: impl Fn(&mut Writer)) {
    answer.array_len(book.len());
    for (node, address) in book.iter() {
        answer.i32(node.0);
        answer.string(&address.host);
        answer.i32(i32::from(address.port));
        rest(answer);
        answer.no_tags();
    }
}
