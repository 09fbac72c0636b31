//! The buckets that replicas share.

use std::sync::Arc;

use config::limit::Scope;

use super::{Feed, KEYS_MAX, OVERFLOW, Rule, Rules, Used, lock};
use crate::quota::bucket::{Bucket, Pace};
use crate::quota::shared::{Name, Shared};

impl Rules {
    /// What the buckets have to tell other replicas.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// A bucket that is shared.
    pub fn shared(&self, name: &Name) -> Option<Arc<Used>> {
        let rule = self.shared_rule(name)?;
        lock(&rule.keys).buckets.get(&*name.key).cloned()
    }

    /// The same; where nobody has used it here, it begins now, as another replica has it. There is room for so many only.
    pub fn shared_or_new(&self, name: &Name, pace: Pace) -> Option<(Name, Arc<Used>)> {
        let rule = self.shared_rule(name)?;
        let mut keys = lock(&rule.keys);
        let has_room = keys.buckets.contains_key(&*name.key) || keys.buckets.len() < KEYS_MAX;
        let name = if has_room {
            name.clone()
        } else {
            Name { limit: Arc::clone(&name.limit), key: OVERFLOW.into() }
        };
        let bucket = || Arc::new(Used::Paced(pace, rule.share(Bucket::new(pace), &name.key)));
        let used = Arc::clone(keys.buckets.entry((*name.key).into()).or_insert_with(bucket));
        drop(keys);
        Some((name, used))
    }

    fn shared_rule(&self, name: &Name) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.limit.name == name.limit && rule.is_shared())
    }
}

impl Rule {
    pub(super) fn is_shared(&self) -> bool {
        self.limit.scope == Scope::Fleet
    }

    /// The bucket, told to the other replicas if the limit is shared.
    pub(super) fn share(&self, bucket: Bucket, key: &str) -> Bucket {
        if !self.is_shared() {
            return bucket.shared_by(None);
        }
        if bucket.shared().is_some() {
            return bucket;
        }
        let name = Name { limit: Arc::clone(&self.limit.name), key: key.into() };
        bucket.shared_by(Some(Arc::new(Shared::new(name, &self.feed))))
    }
}
