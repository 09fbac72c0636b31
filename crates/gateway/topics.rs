//! Names of topics by their ids, asked of the brokers as ids are met.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::timer;

/// A topic's id (KIP-516).
pub type TopicId = [u8; 16];

/// Names that are kept; with more, all are forgotten and asked for again.
const KEPT_MAX: usize = 100_000;

/// How long a request waits for the name of a topic that a limit may be for: the brokers are asked at once.
const LEARN_MAX: Duration = Duration::from_millis(500);

/// Ids that are asked for at once; clients can make ids up.
pub const ASKED_MAX: usize = 1_000;

/// What is known of the topics of one cluster.
#[derive(Default)]
pub struct Topics {
    names: ArcSwap<BTreeMap<TopicId, Option<Arc<str>>>>,
    unknown: Mutex<BTreeSet<TopicId>>,
    /// Wakes who asks.
    pub asked: Notify,
    /// Wakes those who wait for names.
    learned: Notify,
}

impl Topics {
    /// The name of a topic, if it is known; if it is not, it soon will be.
    pub fn name(&self, id: TopicId) -> Option<Arc<str>> {
        if let Some(name) = self.names.load().get(&id) {
            return name.clone();
        }
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() < ASKED_MAX && unknown.insert(id) {
            self.asked.notify_one();
        }
        None
    }

    /// Whether the name is known, or that there is none.
    pub fn is_known(&self, id: TopicId) -> bool {
        self.names.load().contains_key(&id)
    }

    /// Waits until that is known, at most [`LEARN_MAX`].
    pub async fn until_known(&self, id: TopicId) {
        let known = async {
            loop {
                let mut learned = pin!(self.learned.notified());
                // From here on no name is missed.
                learned.as_mut().enable();
                if self.is_known(id) {
                    return;
                }
                learned.await;
            }
        };
        // What is not known by then passes.
        let _ = timer::timeout(LEARN_MAX, known).await;
    }

    /// The ids that are to be asked for.
    pub fn take_unknown(&self) -> Vec<TopicId> {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *unknown).into_iter().collect()
    }

    /// Learns names; no name for what no topic has.
    pub fn learn(&self, learned: impl IntoIterator<Item = (TopicId, Option<Arc<str>>)>) {
        let mut names = BTreeMap::clone(&self.names.load());
        if names.len() >= KEPT_MAX {
            names.clear();
        }
        names.extend(learned);
        self.names.store(Arc::new(names));
        self.learned.notify_waiters();
    }

    /// Forgets for which ids there was no topic: it may have been made meanwhile.
    pub fn forget_missing(&self) {
        if self.names.load().values().any(Option::is_none) {
            let names = self
                .names
                .load()
                .iter()
                .filter(|(_, name)| name.is_some())
                .map(|(id, name)| (*id, name.clone()))
                .collect();
            self.names.store(Arc::new(names));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_id_is_asked_for_once_and_then_known() {
        let topics = Topics::default();
        let (known, missing) = ([1; 16], [2; 16]);
        assert_eq!((topics.name(known), topics.name(known), topics.name(missing)), (None, None, None));
        assert_eq!(topics.take_unknown(), [known, missing]);
        topics.learn([(known, Some(Arc::from("orders"))), (missing, None)]);
        assert_eq!(topics.name(known).as_deref(), Some("orders"));
        assert_eq!(topics.name(missing), None);
        assert!(topics.take_unknown().is_empty());
        topics.forget_missing();
        assert_eq!((topics.name(missing), topics.take_unknown()), (None, vec![missing]));
    }

    #[test]
    fn who_waits_for_a_name_goes_when_it_is_learned_and_not_without_end() {
        let topics = Topics::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (known, other) = ([1; 16], [2; 16]);
        let teach = async {
            topics.learn([(other, None)]);
            tokio::task::yield_now().await;
            topics.learn([(known, Some(Arc::from("orders")))]);
        };
        let begun = Instant::now();
        runtime.block_on(async { tokio::join!(topics.until_known(known), teach) });
        assert_eq!(topics.name(known).as_deref(), Some("orders"));
        assert!(begun.elapsed() < LEARN_MAX);
        runtime.block_on(topics.until_known([3; 16]));
        assert!(begun.elapsed() >= LEARN_MAX);
    }
}
