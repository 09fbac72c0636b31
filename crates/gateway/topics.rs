//! Names of topics by their ids, asked of the brokers as ids are met.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

/// A topic's id (KIP-516).
pub type TopicId = [u8; 16];

/// Names that are kept; with more, all are forgotten and asked for again.
const KEPT_MAX: usize = 100_000;

/// Ids that are asked for at once; clients can make ids up.
pub const ASKED_MAX: usize = 1_000;

/// What is known of the topics of one cluster.
#[derive(Default)]
pub struct Topics {
    names: ArcSwap<BTreeMap<TopicId, Option<Arc<str>>>>,
    unknown: Mutex<BTreeSet<TopicId>>,
    /// Wakes who asks.
    pub asked: Notify,
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
}
