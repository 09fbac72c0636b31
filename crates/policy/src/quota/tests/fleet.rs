//! Replicas that share limits, with made-up clocks and a made-up wire between them.

use std::sync::Arc;

use config::limit::{Amount, Rate, Scope};

use super::*;
use crate::quota::fleet::{Fleet, Use};
use crate::quota::rules::Handle;

const SYNC: Nanos = SECOND / 10;
/// From one replica to another.
const WIRE: Nanos = SECOND / 500;
/// What a request takes when nothing holds it up.
const REQUEST: Nanos = SECOND / 1000;

/// One replica and its clients, each of which asks again as soon as it was answered.
struct Replica {
    rules: Rules,
    fleet: Fleet,
    handle: Handle,
    /// When each client asks next.
    clients: Vec<Nanos>,
    syncs: Nanos,
}

/// Replicas that hear each other, and when their requests went.
struct World {
    replicas: Vec<Replica>,
    wire: Vec<(Nanos, usize, Vec<Use>)>,
    gone: Vec<Nanos>,
    now: Nanos,
    is_cut: bool,
}

fn amount(pace: Pace) -> (LimitKind, Amount) {
    match pace {
        Pace::Rate { units, per, burst } => {
            let per = Duration::from_nanos(per);
            (LimitKind::LeakyBucket, Amount::Rate(Rate { units, per, burst }))
        }
        Pace::Fixed { count, window } => {
            let window = Duration::from_nanos(window);
            (LimitKind::FixedWindow(Unit::Requests), Amount::Count { count, window })
        }
        Pace::Sliding { count, window } => {
            let window = Duration::from_nanos(window);
            (LimitKind::SlidingWindow(Unit::Requests), Amount::Count { count, window })
        }
    }
}

impl World {
    /// Replicas with so many clients each.
    fn new(pace: Pace, clients: &[usize]) -> Self {
        let (kind, amount) = amount(pace);
        let limit = Arc::new(Limit {
            scope: Scope::Fleet,
            kind,
            amount: Some(amount),
            ..limit("shared", &[], Match::default())
        });
        let replica = |(at, clients): (usize, &usize)| {
            let rules = Rules::new(&[Arc::clone(&limit)], &Rules::default());
            let handle = rules.applying(&who("alice", "app"), START).remove(0);
            // Nobody's clock ticks with another's.
            let offset = SYNC * at as u64 / 3;
            Replica {
                rules,
                fleet: Fleet::new(SYNC),
                handle,
                clients: vec![START; *clients],
                syncs: START + offset,
            }
        };
        let replicas = clients.iter().enumerate().map(replica).collect();
        Self { replicas, wire: Vec::new(), gone: Vec::new(), now: START, is_cut: false }
    }

    /// Goes on for `span`.
    fn run(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.now < end {
            let replicas = self.replicas.iter();
            let syncs = replicas.flat_map(|replica| replica.clients.iter().chain([&replica.syncs]).copied());
            let next = syncs.chain(self.wire.iter().map(|(at, ..)| *at)).min().unwrap();
            self.now = next.max(self.now);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for (at, replica) in self.replicas.iter_mut().enumerate() {
            let Used::Paced(pace, bucket) = &*replica.handle.used else { panic!() };
            for client in replica.clients.iter_mut().filter(|client| **client <= now) {
                let goes = now + bucket.take(*pace, 1, now);
                self.gone.push(goes);
                *client = goes + REQUEST;
            }
            if replica.syncs <= now {
                replica.syncs += SYNC;
                if !self.is_cut {
                    self.wire.push((now + WIRE, at, replica.fleet.tell(&replica.rules, now)));
                }
            }
        }
        for (_, from, uses) in self.wire.extract_if(.., |(at, ..)| *at <= now) {
            for (_, replica) in self.replicas.iter_mut().enumerate().filter(|(at, _)| *at != from) {
                replica.fleet.hear(&replica.rules, from as u64, &uses, now);
            }
        }
    }

    fn gone_within(&self, from: Nanos, to: Nanos) -> u64 {
        self.gone.iter().filter(|gone| (from..to).contains(*gone)).count() as u64
    }
}

/// Paces that let some tens of units through in a second, and for how long their window or burst lasts.
const PACES: [Pace; 4] = [
    Pace::Fixed { count: 20, window: SECOND },
    Pace::Sliding { count: 20, window: SECOND },
    Pace::Rate { units: 20, per: SECOND, burst: 1 },
    Pace::Rate { units: 50, per: SECOND, burst: 25 },
];

fn limit_within(pace: Pace, span: Nanos) -> u64 {
    most(pace, span) - most(pace, 0)
}

/// What comes at once, in the worst case.
fn at_once(pace: Pace) -> u64 {
    match pace {
        Pace::Rate { burst, .. } => burst,
        Pace::Fixed { count, .. } | Pace::Sliding { count, .. } => count,
    }
}

#[test]
fn replicas_together_keep_to_a_limit_however_their_clients_are_spread() {
    for pace in PACES {
        for clients in [&[4, 4][..], &[40, 40], &[40, 2], &[8, 8, 8], &[40, 0]] {
            let mut world = World::new(pace, clients);
            // What they took before they knew of each other has to be paid for first.
            world.run(8 * SECOND);
            let begin = world.now - world.now % SECOND;
            world.run(11 * SECOND);
            let (gone, limit) =
                (world.gone_within(begin, begin + 10 * SECOND), limit_within(pace, 10 * SECOND));
            assert!(
                gone * 10 <= limit * 11 && gone * 10 >= limit * 9,
                "{gone} of {limit}: {pace:?} {clients:?}"
            );
            let (all, limit) = (world.gone_within(START, world.now), limit_within(pace, world.now - START));
            let extra = at_once(pace) * clients.len() as u64;
            assert!(
                all <= limit + limit / 10 + extra,
                "{all} of {limit} from the start: {pace:?} {clients:?}"
            );
        }
    }
}

#[test]
fn cut_off_from_each_other_replicas_keep_to_their_shares_and_come_together_again() {
    for pace in PACES {
        let mut world = World::new(pace, &[8, 8]);
        world.run(4 * SECOND);
        world.is_cut = true;
        world.replicas.iter_mut().for_each(|replica| replica.fleet.alone(&replica.rules));
        world.run(SECOND);
        let begin = world.now - world.now % SECOND;
        world.run(11 * SECOND);
        let (gone, limit) = (world.gone_within(begin, begin + 10 * SECOND), limit_within(pace, 10 * SECOND));
        assert!(gone * 10 <= limit * 11 && gone * 10 >= limit * 9, "{gone} of {limit} cut off: {pace:?}");
        world.is_cut = false;
        world.replicas.iter_mut().for_each(|replica| replica.fleet.together(&replica.rules));
        world.run(2 * SECOND);
        let begin = world.now - world.now % SECOND;
        world.run(11 * SECOND);
        let gone = world.gone_within(begin, begin + 10 * SECOND);
        assert!(
            gone * 10 <= limit * 11 && gone * 10 >= limit * 9,
            "{gone} of {limit} together again: {pace:?}"
        );
    }
}

#[test]
fn what_was_used_elsewhere_counts_where_its_user_turns_up_next() {
    for pace in PACES {
        let mut world = World::new(pace, &[40, 0]);
        world.run(SECOND);
        world.replicas[0].clients.clear();
        world.replicas[1].clients = vec![world.now; 40];
        world.run(4 * SECOND);
        let (gone, limit) = (world.gone_within(START, world.now), limit_within(pace, world.now - START));
        assert!(gone <= limit + at_once(pace) + limit / 10, "{gone} of {limit}: {pace:?}");
    }
}
