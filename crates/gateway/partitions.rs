//! How many partitions topics have, asked of the brokers before limits charge what changes them.
//!
//! Connections live on the workers' threads. Who asks lives on the control thread, once for each cluster, with a connection
//! of its own that is there while there is something to ask. One question is under way at a time, for whatever waits by
//! then; and a client's connection waits for what its one request wants to know. So many clients make few questions,
//! and none makes more of them than it sends requests to the brokers.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use policy::mutations::{Changes, Known};
use tokio::sync::{mpsc, oneshot};
use wire::NodeId;
use wire::ask::Topic;
use wire::error::code::{NONE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use wire::request::Subject;

use crate::cluster::{Cluster, Topology};
use crate::probe::Probe;
use crate::timer;
use crate::topics::TopicId;
use crate::upstream::DialError;

/// The longest that a request waits for what brokers know, and that brokers are waited for.
const WITHIN: Duration = Duration::from_secs(1);

/// What one question asks for, and what one connection lets wait at once. One answer has room for some hundred thousand
/// partitions.
const ASKED_MAX: usize = 64;

/// How long the connection to a broker is kept when there is nothing to ask.
const KEPT: Duration = Duration::from_mins(1);

/// Where the connections of a cluster's clients ask.
pub struct Partitions(mpsc::Sender<Ask>);

/// What they want to know.
pub struct Asks(mpsc::Receiver<Ask>);

/// One thing that a connection wants to know. Who is not answered hears so when this is dropped.
enum Ask {
    /// About the topic of this name,
    Name(Box<str>, oneshot::Sender<Known>),
    /// or of this id.
    Id(TopicId, oneshot::Sender<Known>),
    /// How many partitions a topic gets that asks for no number.
    Default(oneshot::Sender<u32>),
}

/// What brokers know of what a request changes.
pub struct Learned {
    /// Of each of its topics, in their order.
    pub topics: Vec<Known>,
    /// How many partitions a topic gets that asks for no number, if that was wanted.
    pub default: Option<u32>,
}

impl Partitions {
    /// Where to ask, and what is asked there.
    pub fn new() -> (Self, Asks) {
        let (sender, receiver) = mpsc::channel(ASKED_MAX);
        (Self(sender), Asks(receiver))
    }

    /// Learns what brokers know of a request's topics: as much as they tell in a second, or until `stop` says that there is
    /// no time for it any more.
    pub async fn learn(&self, changes: &Changes<'_>, stop: impl Fn() -> bool) -> Learned {
        let topics = vec![Known::Nothing; changes.topics().len()];
        let mut learned = Learned { topics, default: None };
        {
            let mut asking = pin!(timer::timeout(WITHIN, self.ask(changes, &mut learned)));
            let told = std::future::poll_fn(|cx| {
                if stop() { Poll::Ready(()) } else { asking.as_mut().poll(cx).map(drop) }
            });
            told.await;
        }
        learned
    }

    async fn ask(&self, changes: &Changes<'_>, learned: &mut Learned) {
        if changes.wants_default() {
            let (told, answer) = oneshot::channel();
            // Nobody is there to ask while the process ends: then nothing is known.
            let _ = self.0.send(Ask::Default(told)).await;
            learned.default = answer.await.ok();
        }
        let topics: Vec<Subject<'_>> = changes.topics().collect();
        for (topics, known) in topics.chunks(ASKED_MAX).zip(learned.topics.chunks_mut(ASKED_MAX)) {
            let mut answers = Vec::with_capacity(topics.len());
            for topic in topics {
                let (told, answer) = oneshot::channel();
                let ask = match topic {
                    Subject::Name(name) => Ask::Name(String::from_utf8_lossy(name).into(), told),
                    Subject::Id(id) => Ask::Id(*id, told),
                };
                let _ = self.0.send(ask).await;
                answers.push(answer);
            }
            for (answer, known) in answers.into_iter().zip(known) {
                *known = answer.await.unwrap_or(Known::Nothing);
            }
        }
    }
}

/// Asks a cluster's brokers what connections want to know, as long as there is the cluster.
pub async fn answer(cluster: Weak<Cluster>, Asks(mut asks): Asks) {
    let mut asker = Asker::default();
    let mut waiting = Vec::with_capacity(ASKED_MAX);
    loop {
        match timer::timeout(KEPT, asks.recv_many(&mut waiting, ASKED_MAX)).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => asker.kept = None,
        }
        let Some(cluster) = cluster.upgrade() else { return };
        waiting.retain(Ask::is_awaited);
        if !waiting.is_empty() {
            let answered = timer::timeout(WITHIN, asker.answer(&cluster, &mut waiting)).await;
            asker.tell(&cluster, answered.unwrap_or(Err(None)));
        }
        waiting.clear();
    }
}

/// Who asks the brokers of one cluster.
#[derive(Default)]
struct Asker {
    kept: Option<Broker>,
    /// Whether no broker answered the last question: a line in the log is a change.
    is_failing: bool,
}

/// A broker that can be asked.
struct Broker {
    node: NodeId,
    probe: Probe,
    /// Its default, which can change only when it starts anew.
    default: Option<u32>,
}

impl Asker {
    /// Answers what waits, as one broker knows it: the one asked before, if it is still there, else the first that will do.
    async fn answer(&mut self, cluster: &Cluster, waiting: &mut Vec<Ask>) -> Result<(), Option<DialError>> {
        let topology = cluster.topology().ok_or(None)?;
        if let Some(mut kept) = self.kept.take()
            && kept.is_there(&topology)
            && kept.answer(waiting).await.is_ok()
        {
            self.kept = Some(kept);
            return Ok(());
        }
        let spec = Arc::clone(&cluster.spec());
        let mut failed = None;
        for node in cluster.any_broker(&topology) {
            if !cluster.health.admits(node) {
                continue;
            }
            let Some(address) = topology.nodes.get(&node).map(|node| node.address.clone()) else { continue };
            let asked = async {
                let probe = Probe::dial(&spec, address, WITHIN).await?;
                let mut broker = Broker { node, probe, default: None };
                broker.answer(waiting).await?;
                Ok(broker)
            };
            match asked.await {
                Ok(broker) => {
                    self.kept = Some(broker);
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed)
    }

    /// Says in the log when brokers stop to answer, and when they begin again.
    fn tell(&mut self, cluster: &Cluster, answered: Result<(), Option<DialError>>) {
        let (cluster, was_failing) = (&*cluster.name, self.is_failing);
        self.is_failing = answered.is_err();
        match answered {
            Err(error) if !was_failing => {
                let error = error.map_or_else(|| "no answer in time".to_owned(), |error| error.to_string());
                tracing::warn!(
                    cluster,
                    error,
                    "no broker says how many partitions topics have: each counts as one"
                );
            }
            Ok(()) if was_failing => {
                tracing::info!(cluster, "brokers say again how many partitions topics have");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Broker {
    /// Whether it is still the same broker, and up.
    fn is_there(&self, topology: &Topology) -> bool {
        topology.nodes.get(&self.node).is_some_and(|node| node.up && node.address == self.probe.address)
    }

    /// Answers what waits.
    async fn answer(&mut self, waiting: &mut Vec<Ask>) -> Result<(), DialError> {
        let (mut names, mut ids, mut wants_default) = (BTreeSet::new(), BTreeSet::new(), false);
        for ask in &*waiting {
            match ask {
                Ask::Name(name, _) => drop(names.insert(&**name)),
                Ask::Id(id, _) => drop(ids.insert(*id)),
                Ask::Default(_) => wants_default = true,
            }
        }
        let (names, ids): (Vec<_>, Vec<_>) = (names.into_iter().collect(), ids.into_iter().collect());
        let by_name = self.probe.topics_by_name(&names, WITHIN).await?;
        let by_id = self.probe.topics_by_id(&ids, WITHIN).await?;
        if wants_default && self.default.is_none() {
            self.default = self.probe.default_partitions(self.node, WITHIN).await?;
        }
        // Who does not wait any more does not hear.
        for ask in waiting.drain(..) {
            match ask {
                Ask::Name(name, told) => {
                    let topic = by_name.iter().find(|topic| topic.name.as_deref() == Some(&*name));
                    let _ = told.send(known(topic));
                }
                Ask::Id(id, told) => {
                    let _ = told.send(known(by_id.iter().find(|topic| topic.id == id)));
                }
                Ask::Default(told) => drop(self.default.map(|default| told.send(default))),
            }
        }
        Ok(())
    }
}

impl Ask {
    /// Whether anybody waits for the answer.
    fn is_awaited(&self) -> bool {
        match self {
            Ask::Name(_, told) | Ask::Id(_, told) => !told.is_closed(),
            Ask::Default(told) => !told.is_closed(),
        }
    }
}

/// What a broker's answer says about a topic.
fn known(topic: Option<&Topic>) -> Known {
    match topic.map(|topic| (topic.error, topic)) {
        Some((NONE, topic)) => {
            Known::Topic { id: topic.id, partitions: u32::try_from(topic.partitions).unwrap_or(u32::MAX) }
        }
        Some((UNKNOWN_TOPIC_OR_PARTITION | UNKNOWN_TOPIC_ID, _)) => Known::Missing,
        // One that the gateway's user may not see, or that has no leader yet.
        Some(_) | None => Known::Nothing,
    }
}
