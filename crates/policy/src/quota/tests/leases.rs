//! Leases, beside the buckets that they are of.

use proptest::prelude::*;

use super::{SECOND, START, most};
use crate::quota::bucket::{Bucket, Nanos, Pace};
use crate::quota::lease::{LONG, Lease, SHORT};

/// Connections that share buckets by way of leases, as a gateway's do: what is left over goes back a while later.
struct Shared {
    buckets: Vec<(Pace, Bucket)>,
    leases: Vec<Lease>,
    looks: u64,
}

impl Shared {
    fn new(paces: &[Pace], connections: usize) -> Self {
        let buckets = paces.iter().map(|pace| (*pace, Bucket::new(*pace))).collect();
        Self { buckets, leases: (0..connections).map(|_| Lease::default()).collect(), looks: 0 }
    }

    /// How long a request of this connection waits.
    fn take(&mut self, connection: usize, now: Nanos) -> Nanos {
        let buckets = self.buckets.iter().map(|(pace, bucket)| (*pace, bucket));
        for lease in self.leases.iter().filter(|lease| lease.is_over(now)) {
            lease.give_back(buckets.clone(), now);
        }
        let lease = &self.leases[connection];
        if lease.pays(1, now) {
            return 0;
        }
        self.looks += 1;
        if lease.renew(&buckets, 1, 256, now) {
            return 0;
        }
        buckets.map(|(pace, bucket)| bucket.take(pace, 1, now)).max().unwrap()
    }
}

fn large_paces() -> impl Strategy<Value = Pace> {
    prop_oneof![
        (500..60_000u64, 1..60_000u64).prop_map(|(units, burst)| Pace::Rate { units, per: SECOND, burst }),
        (500..60_000u64).prop_map(|count| Pace::Fixed { count, window: SECOND }),
        (500..60_000u64).prop_map(|count| Pace::Sliding { count, window: SECOND }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_given_back_was_never_taken(pace in large_paces(), used in 0..500u64, lent in 1..100u64) {
        let bucket = Bucket::new(pace);
        bucket.take(pace, used, START);
        let before = bucket.used(pace, START);
        if bucket.lend(pace, lent, SHORT.one_in, START).is_some() {
            prop_assert_eq!(bucket.used(pace, START).abs_diff(before + lent) / 2, 0);
            bucket.give_back(pace, lent, START, START);
        }
        prop_assert_eq!(bucket.used(pace, START).abs_diff(before) / 2, 0);
    }

    #[test]
    fn leases_let_no_more_go_than_the_limit(
        pace in large_paces(),
        comes in prop::collection::vec((0..8usize, 0..SECOND / 2_000), 3_000),
    ) {
        let mut shared = Shared::new(&[pace], 8);
        let mut now = START;
        let mut gone: Vec<Nanos> = Vec::new();
        // Some come one by one, some many at once.
        for (connection, step) in comes {
            now += step;
            for _ in 0..=connection * connection {
                gone.push(now + shared.take(connection, now));
            }
        }
        gone.sort_unstable();
        for span in [SECOND / 50, SECOND / 3, SECOND, 2 * SECOND] {
            // What was taken in advance may be spent a little later, and what is one in thousands much later.
            let most = most(pace, span + SHORT.valid) + 8 * most(pace, SECOND) / LONG.one_in;
            let mut first = 0;
            for (last, at) in gone.iter().enumerate() {
                while gone[first] + span <= *at {
                    first += 1;
                }
                let within = (last + 1 - first) as u64;
                prop_assert!(within <= most, "{within} in {span} of {pace:?}, not {most}");
            }
        }
    }

    #[test]
    fn leases_let_all_go_that_the_limit_allows(pace in large_paces(), connections in 1..40usize) {
        let mut shared = Shared::new(&[pace], connections);
        // One window, in which connections ask for twice as much, one after the other.
        let start = START - START % SECOND;
        let allowed = match pace {
            Pace::Rate { units, burst, .. } => units + burst,
            Pace::Fixed { count, .. } | Pace::Sliding { count, .. } => count,
        };
        let mut gone = 0;
        for tick in 0..200u64 {
            let now = start + tick * SECOND / 200;
            for _ in 0..=allowed / 100 {
                let wait = shared.take(usize::try_from(tick).unwrap() % connections, now);
                gone += u64::from(now + wait < start + SECOND);
            }
        }
        prop_assert!(gone as f64 >= allowed as f64 * 0.95, "{gone} of {allowed}");
    }
}

#[test]
fn who_asks_now_and_then_hardly_looks_at_a_limit_that_is_far_away() {
    let paces = [Pace::Fixed { count: 1 << 30, window: 60 * SECOND }; 100];
    let mut shared = Shared::new(&paces, 4);
    for n in 0..10_000u64 {
        // A hundred a second each.
        assert_eq!(shared.take(usize::try_from(n % 4).unwrap(), START + n * 2_500_000), 0);
    }
    assert!(shared.looks < 250, "{}", shared.looks);
}

#[test]
fn a_lease_is_over_with_its_window() {
    let pace = Pace::Fixed { count: 1 << 30, window: SECOND };
    let (bucket, lease) = (Bucket::new(pace), Lease::default());
    let start = START - START % SECOND;
    let end = start + SECOND;
    for now in [end - 3_000, end - 2_000, end - 1_000] {
        lease.renew(&std::iter::once((pace, &bucket)), 1, 256, now);
    }
    assert!(lease.covers(1, end - 1) && !lease.covers(1, end));
}

#[test]
fn far_from_the_limit_hardly_anybody_looks_at_it() {
    let paces = [Pace::Rate { units: 1 << 30, per: SECOND, burst: 1 << 30 }; 100];
    let mut shared = Shared::new(&paces, 4);
    for n in 0..100_000u64 {
        assert_eq!(shared.take(usize::try_from(n % 4).unwrap(), START + n * 25_000), 0);
    }
    assert!(shared.looks < 1_000, "{}", shared.looks);
}
