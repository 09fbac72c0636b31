//! What replicas tell each other about the buckets that they share, and what they make of it. No sockets, no clock.

use std::collections::HashMap;

use super::bucket::{Nanos, Pace};
use super::rules::{Rules, Used};
use super::shared::Name;

/// A replica, by a number of its own choice.
pub type Replica = u64;

/// For how many syncs a replica counts that is not heard.
const SYNCS_REMEMBERED: u64 = 20;

/// Other replicas that one bucket tells apart.
const OTHERS_MAX: usize = 64;

/// Replicas that are told apart at all: as many as write there, and who may write there is not ours to say.
const REPLICAS_MAX: usize = 1024;

/// Units that a replica has used of one bucket since it told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Of which bucket.
    pub name: Name,
    /// Its pace.
    pub pace: Pace,
    /// How many.
    pub units: u64,
}

/// One replica's view of its fleet.
#[derive(Debug)]
pub struct Fleet {
    sync: Nanos,
    /// When others were heard last.
    others: HashMap<Replica, Nanos>,
    buckets: HashMap<Name, Known>,
}

/// What is known of one bucket.
#[derive(Debug, Default)]
struct Known {
    /// Units taken for others since the last sync, and in the one before: those that others turn out to have used are theirs.
    ahead: u64,
    ahead_before: u64,
    /// When those before were settled.
    settled: Nanos,
    /// Who else has used it, and when.
    users: Vec<(Replica, Nanos)>,
}

impl Fleet {
    /// One that is told and tells every `sync`.
    pub fn new(sync: Nanos) -> Self {
        Self { sync: sync.max(1), others: HashMap::new(), buckets: HashMap::new() }
    }

    /// Replicas that are there, this one included.
    pub fn replicas(&self) -> u64 {
        1 + self.others.len() as u64
    }

    /// Once every sync: what was used here since the last one. What others have not used of what was taken for them comes
    /// back.
    pub fn tell(&mut self, rules: &Rules, now: Nanos) -> Vec<Use> {
        let remembered = self.sync.saturating_mul(SYNCS_REMEMBERED);
        self.others.retain(|_, heard| now.saturating_sub(*heard) <= remembered);
        let mut uses = Vec::new();
        for name in rules.feed().take() {
            let Some(bucket) = rules.shared(&name) else { continue };
            let Used::Paced(pace, bucket) = &*bucket else { continue };
            let Some(shared) = bucket.shared() else { continue };
            let units = shared.tell();
            if units > 0 {
                uses.push(Use { name: name.clone(), pace: *pace, units });
            }
            self.buckets.entry(name).or_default().ahead += shared.took_ahead();
        }
        let sync = self.sync;
        self.buckets.retain(|name, known| {
            let Some(bucket) = rules.shared(name) else { return false };
            let Used::Paced(pace, bucket) = &*bucket else { return false };
            bucket.not_used_elsewhere(*pace, known.ahead_before, known.settled, now);
            known.ahead_before = std::mem::take(&mut known.ahead);
            known.settled = now;
            let remembered = remembered_for(*pace, sync);
            known.users.retain(|(_, at)| now.saturating_sub(*at) <= remembered);
            if let Some(shared) = bucket.shared() {
                shared.set_weight(1 + known.users.len() as u64);
            }
            !known.users.is_empty() || known.ahead_before > 0
        });
        uses
    }

    /// What another replica tells; that it tells anything says that it is there.
    pub fn hear(&mut self, rules: &Rules, from: Replica, uses: &[Use], now: Nanos) {
        if !self.others.contains_key(&from) && self.others.len() >= REPLICAS_MAX {
            return;
        }
        self.others.insert(from, now);
        for Use { name, pace, units } in uses {
            let Some((name, bucket)) = rules.shared_or_new(name, *pace) else { continue };
            let Used::Paced(pace, bucket) = &*bucket else { continue };
            let Some(shared) = bucket.shared() else { continue };
            let known = self.buckets.entry(name).or_default();
            known.ahead += shared.took_ahead();
            let more = known.cover(*units);
            bucket.used_elsewhere(*pace, more, now);
            if let Some((_, at)) = known.users.iter_mut().find(|(replica, _)| *replica == from) {
                *at = now;
            } else if known.users.len() < OTHERS_MAX {
                known.users.push((from, now));
                shared.set_weight(1 + known.users.len() as u64);
            }
        }
    }

    /// The others are not heard any more: from now on this replica keeps to its share of what it had with them.
    pub fn alone(&mut self, rules: &Rules) {
        rules.feed().set_alone_of(self.replicas());
        self.buckets.clear();
    }

    /// The others are heard again. What was used meanwhile is nobody else's business: everybody kept to their share.
    pub fn together(&mut self, rules: &Rules) {
        for used in rules.feed().take().iter().filter_map(|name| rules.shared(name)) {
            if let Used::Paced(_, bucket) = &*used
                && let Some(shared) = bucket.shared()
            {
                shared.tell();
                shared.took_ahead();
            }
        }
        rules.feed().set_together();
    }
}

impl Known {
    /// Covers units of others with those that were taken for them; says how many there are more.
    fn cover(&mut self, units: u64) -> u64 {
        let before = units.min(self.ahead_before);
        self.ahead_before -= before;
        let rest = units - before;
        let since = rest.min(self.ahead);
        self.ahead -= since;
        rest - since
    }
}

/// For how long somebody who has used a bucket is expected to use it again: beyond the end of a window that is used up.
fn remembered_for(pace: Pace, sync: Nanos) -> Nanos {
    let span = match pace {
        Pace::Rate { .. } => 0,
        Pace::Fixed { window, .. } | Pace::Sliding { window, .. } => window.saturating_mul(2),
    };
    span.max(sync.saturating_mul(SYNCS_REMEMBERED))
}
