//! Whether limits are shared with other replicas.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFleet {
    fleet: String,
}

/// What is told of the fleet, which is known by its prefix.
#[derive(Default)]
pub struct OfFleet {
    together: Family<ByFleet, Gauge>,
    replicas: Family<ByFleet, Gauge>,
    failures: Family<ByFleet, Counter>,
    unread: Family<ByFleet, Counter>,
}

fn of(prefix: &str) -> ByFleet {
    ByFleet { fleet: prefix.to_owned() }
}

impl OfFleet {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Whether limits of the fleet are shared; 0 means that this replica keeps to its share";
        registry.register("fleet_synchronised", help, self.together.clone());
        registry.register("fleet_replicas", "Replicas that are heard, with this one", self.replicas.clone());
        let help = "Attempts to share limits that failed, and connections to the server that were lost";
        registry.register("fleet_failures", help, self.failures.clone());
        let help = "Messages on the fleet's channel that no replica sends";
        registry.register("fleet_unread", help, self.unread.clone());
    }

    /// Sets whether limits are shared, and among how many.
    pub fn set(&self, prefix: &str, is_together: bool, replicas: u64) {
        self.together.get_or_create(&of(prefix)).set(i64::from(is_together));
        self.replicas.get_or_create(&of(prefix)).set(i64::try_from(replicas).unwrap_or(i64::MAX));
    }

    /// Notes that limits could not be shared.
    pub fn failed(&self, prefix: &str) {
        self.failures.get_or_create(&of(prefix)).inc();
    }

    /// Notes a message that cannot be read.
    pub fn unread(&self, prefix: &str) {
        self.unread.get_or_create(&of(prefix)).inc();
    }

    /// The fleet is no longer this one.
    pub fn forget(&self, prefix: &str) {
        self.together.remove(&of(prefix));
        self.replicas.remove(&of(prefix));
    }
}
