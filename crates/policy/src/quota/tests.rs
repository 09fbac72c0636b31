//! The arithmetic of limits, with a made-up clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use config::Limit;
use config::limit::{
    Amount, Entity, Key, LimitKind, Match, Mode, OnExceeded, Override, Pattern, Rate, Scope, Unit,
};
use proptest::prelude::*;
use wire::Api;

use super::bucket::{Bucket, DEBT_MAX, Nanos, Pace};
use super::rules::{Rules, Used, Who};
use super::slots::{Slots, Waiter};

mod fleet;
mod leases;

const SECOND: Nanos = 1_000_000_000;
/// A moment that is neither the beginning of time nor that of a window.
const START: Nanos = 1_000 * SECOND + 123_456_789;

fn paces() -> impl Strategy<Value = Pace> {
    let window = 1_000_000..10 * SECOND;
    prop_oneof![
        (1..5_000u64, window.clone(), 1..200u64).prop_map(|(units, per, burst)| Pace::Rate {
            units,
            per,
            burst
        }),
        (1..500u64, window.clone()).prop_map(|(count, window)| Pace::Fixed { count, window }),
        (1..500u64, window).prop_map(|(count, window)| Pace::Sliding { count, window }),
    ]
}

/// When each of the requests that come at `steps` after one another goes, if all wait as they are told; but for those
/// that the end of debt lets pass uncounted.
fn goes(bucket: &Bucket, pace: Pace, steps: &[Nanos]) -> Vec<Nanos> {
    let mut now = START;
    let mut gone: Vec<Nanos> = steps
        .iter()
        .filter_map(|step| {
            now += step;
            let wait = bucket.take(pace, 1, now);
            (wait < DEBT_MAX - 20 * SECOND).then_some(now + wait)
        })
        .collect();
    gone.sort_unstable();
    gone
}

/// The most that may go within `span`.
fn most(pace: Pace, span: Nanos) -> u64 {
    let in_rate =
        |units: u64, per: u64| u64::try_from(u128::from(span) * u128::from(units) / u128::from(per)).unwrap();
    match pace {
        Pace::Rate { units, per, burst } => in_rate(units, per) + burst + 1,
        Pace::Fixed { count, window } => count * (span / window + 2),
        Pace::Sliding { count, window } => count * (span / window + 1),
    }
}

proptest! {
    #[test]
    fn never_more_than_the_limit_and_its_burst_go_in_any_span(
        pace in paces(),
        steps in prop::collection::vec(0..SECOND / 50, 1..600),
        spans in prop::collection::vec(1..20 * SECOND, 4),
    ) {
        let gone = goes(&Bucket::new(pace), pace, &steps);
        for span in spans {
            for (at, first) in gone.iter().enumerate() {
                let within = gone[at..].iter().take_while(|other| **other < first + span).count() as u64;
                prop_assert!(within <= most(pace, span), "{within} in {span} of {pace:?}");
            }
        }
    }

    #[test]
    fn a_window_gives_all_of_its_limit_to_who_asks_for_more(
        count in 1..300u64, window in SECOND / 10..10 * SECOND, sliding: bool,
    ) {
        let pace = if sliding { Pace::Sliding { count, window } } else { Pace::Fixed { count, window } };
        let start = START - START % window;
        let bucket = Bucket::new(pace);
        let last = (0..count * 3).map(|_| start + bucket.take(pace, 1, start)).max().unwrap();
        // Three windows' worth go at the beginnings of three windows.
        prop_assert!(last >= start + window && last <= start + 2 * window, "{}", last - start);
    }

    #[test]
    fn a_rate_is_reached_by_who_asks_for_more(units in 1..100_000u64, burst in 1..100u64) {
        let pace = Pace::Rate { units, per: SECOND, burst };
        let bucket = Bucket::new(pace);
        let asked = burst + units * 2;
        let last = (0..asked).map(|_| bucket.take(pace, 1, START)).max().unwrap();
        let seconds = last as f64 / SECOND as f64;
        // Rounding up costs less than a nanosecond a request.
        prop_assert!((1.999..=2.0 + asked as f64 * 1e-9).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_is_charged_is_paid_before_more_is_used(pace in paces(), costs in prop::collection::vec(1..900u64, 1..60)) {
        let bucket = Bucket::new(pace);
        let (mut now, mut charged) = (START, 0);
        // What debt has an end for is not counted: five minutes' worth, and 64 windows' of a sliding one.
        let counts = match pace {
            Pace::Rate { units, per, .. } => units * (DEBT_MAX / 2) / per,
            Pace::Fixed { count, window } => count * (DEBT_MAX / 2) / window,
            Pace::Sliding { count, .. } => count * 64,
        };
        for cost in costs {
            let cost = cost.min(counts).max(1);
            charged += cost;
            now += bucket.charge(pace, cost, now);
        }
        // The last charge is within the debt that has just been paid.
        prop_assert!(charged <= most(pace, now - START + 1) + 900, "{charged} in {}", now - START);
    }

    #[test]
    fn nothing_overflows(
        units: u64, per: u64, burst: u64, cost: u64, now in 0..u64::MAX / 2, kind in 0..3,
    ) {
        let (units, per, burst) = (units.max(1), per.max(1), burst.max(1));
        let pace = match kind {
            0 => Pace::Rate { units, per, burst },
            1 => Pace::Fixed { count: units, window: per },
            _ => Pace::Sliding { count: units, window: per },
        };
        let bucket = Bucket::new(pace);
        for _ in 0..3 {
            bucket.take(pace, cost, now);
            bucket.charge(pace, cost, now);
            bucket.lend(pace, cost, 256, now);
            bucket.give_back(pace, cost / 2, now, now);
            let _ = (bucket.used(pace, now), bucket.wait(pace, cost, now), bucket.debt(pace, now));
        }
    }

    #[test]
    fn debt_is_neither_lost_nor_forged_when_the_limit_changes(
        count in 20..500u64, then in 20..500u64, used in 1..2_000u64, window in SECOND..20 * SECOND, kind in 0..3,
    ) {
        let pace = |count: u64| match kind {
            0 => Pace::Rate { units: count, per: window, burst: count },
            1 => Pace::Fixed { count, window },
            _ => Pace::Sliding { count, window },
        };
        let (old, new) = (pace(count), pace(then));
        let bucket = Bucket::new(old);
        bucket.take(old, used, START);
        let before = bucket.used(old, START);
        let after = bucket.retuned(old, new, START).unwrap().used(new, START);
        // A sliding window remembers as far back as its limit.
        let kept = if kind == 2 { before.min(then) } else { before };
        prop_assert!(after.abs_diff(kept) <= 2 + kept / 100, "{before} has become {after}");
    }


}

#[test]
fn a_shared_bucket_serves_in_the_order_of_coming() {
    let pace = Pace::Rate { units: 10, per: SECOND, burst: 1 };
    let bucket = Bucket::new(pace);
    let waits: Vec<Nanos> = (0..5).map(|_| bucket.take(pace, 1, START)).collect();
    assert_eq!(waits, [0, 1, 2, 3, 4].map(|n| n * SECOND / 10));
}

#[test]
fn debt_has_an_end() {
    let pace = Pace::Rate { units: 1, per: SECOND, burst: 1 };
    let bucket = Bucket::new(pace);
    for _ in 0..100_000 {
        bucket.take(pace, 1, START);
    }
    assert!(bucket.debt(pace, START) <= DEBT_MAX + 2 * SECOND);
}

#[test]
fn slots_go_to_who_waits_in_the_order_of_coming() {
    let slots = Slots::default();
    let cx = Context::from_waker(Waker::noop());
    assert!(slots.try_take(2) && slots.try_take(2) && !slots.try_take(2));
    let [mut first, mut second, mut third] = [(); 3].map(|()| Waiter::new(&slots, 2));
    assert!(first.poll(&cx).is_pending() && second.poll(&cx).is_pending() && third.poll(&cx).is_pending());
    drop(second);
    slots.release(2);
    assert!(!slots.try_take(2), "nobody overtakes");
    assert!(third.poll(&cx).is_pending());
    assert_eq!(first.poll(&cx), Poll::Ready(()));
    slots.release(2);
    assert_eq!(third.poll(&cx), Poll::Ready(()));
    assert_eq!((slots.used(), slots.queued()), (2, 0));
}

#[test]
fn a_slot_that_came_to_who_left_goes_on_to_the_next() {
    let slots = Slots::default();
    let cx = Context::from_waker(Waker::noop());
    assert!(slots.try_take(1));
    let mut first = Waiter::new(&slots, 1);
    let mut second = Waiter::new(&slots, 1);
    assert!(first.poll(&cx).is_pending() && second.poll(&cx).is_pending());
    slots.release(1);
    drop(first);
    assert_eq!(second.poll(&cx), Poll::Ready(()));
    slots.release(1);
    assert_eq!(slots.used(), 0);
}

fn limit(name: &str, by: &[Key], matches: Match) -> Limit {
    Limit {
        name: name.into(),
        kind: LimitKind::FixedWindow(Unit::Requests),
        by: by.to_vec(),
        matches,
        amount: Some(Amount::Count { count: 10, window: Duration::from_secs(1) }),
        overrides: Vec::new(),
        mode: Mode::Enforce,
        on_exceeded: OnExceeded::Throttle,
        max_throttle: Duration::from_secs(5),
        scope: Scope::Replica,
    }
}

fn who<'a>(principal: &'a str, client_id: &'a str) -> Who<'a> {
    Who {
        principal,
        client_id,
        address: "10.1.2.3".parse().unwrap(),
        cluster: "main",
        listener: "127.0.0.1:9092".parse().unwrap(),
        topic: None,
        group: None,
        api: Some(Api::Fetch),
    }
}

fn rules(limits: Vec<Limit>, before: &Rules) -> Rules {
    Rules::new(&limits.into_iter().map(Arc::new).collect::<Vec<_>>(), before)
}

#[test]
fn each_value_has_a_bucket_and_values_cannot_be_forged() {
    let rules =
        rules(vec![limit("a", &[Key::Principal, Key::ClientId], Match::default())], &Rules::default());
    let bucket = |principal, client_id| rules.applying(&who(principal, client_id), START).remove(0).used;
    assert!(Arc::ptr_eq(&bucket("alice", "app"), &bucket("alice", "app")));
    for (principal, client_id) in [("alice", "other"), ("bob", "app"), ("alice client_id=app", "app")] {
        assert!(!Arc::ptr_eq(&bucket("alice", "app"), &bucket(principal, client_id)), "{principal}");
    }
    assert!(!Arc::ptr_eq(&bucket("a client_id=b", "c"), &bucket("a", "b client_id=c")));
}

#[test]
fn a_limit_is_for_whom_it_names() {
    let matches = Match {
        principal: vec![Pattern::new("team-*")],
        apis: Some([Api::Fetch].into_iter().collect()),
        ..Match::default()
    };
    let rules = rules(vec![limit("a", &[], matches)], &Rules::default());
    let applies = |who: Who<'_>| rules.applying(&who, START).len();
    assert_eq!(applies(who("team-a", "")), 1);
    assert_eq!(applies(who("alice", "")), 0);
    assert_eq!(applies(Who { api: Some(Api::Produce), ..who("team-a", "") }), 0);
    assert_eq!(applies(Who { api: None, ..who("team-a", "") }), 0);
}

#[test]
fn overrides_follow_the_precedence_of_kafka() {
    let name = |name: &str| Some(Entity::Name(name.into()));
    let default = || Some(Entity::Default);
    let pairs = [
        (name("alice"), name("app")),
        (name("alice"), default()),
        (name("alice"), None),
        (default(), name("app")),
        (default(), default()),
        (default(), None),
        (None, name("app")),
        (None, default()),
    ];
    let amount = |units| Amount::Rate(Rate { units, per: Duration::from_secs(1), burst: 1 });
    // From the last, which all others hide, to the first.
    for least in 0..pairs.len() {
        let overrides =
            pairs.iter().enumerate().skip(least).rev().map(|(n, (principal, client_id))| Override {
                principal: principal.clone(),
                client_id: client_id.clone(),
                address: None,
                amount: amount(n as u64 + 1),
            });
        let limit = Limit {
            kind: LimitKind::LeakyBucket,
            amount: None,
            overrides: overrides.collect(),
            ..limit("a", &[], Match::default())
        };
        let rules = rules(vec![limit], &Rules::default());
        let found = rules.applying(&who("alice", "app"), START).remove(0).used;
        let Used::Paced(Pace::Rate { units, .. }, _) = *found else { panic!("no rate") };
        assert_eq!(units, least as u64 + 1);
        let strangers = rules.applying(&who("bob", "other"), START).len();
        assert_eq!(strangers, 1, "a <default> is for everybody");
    }
}

#[test]
fn a_reload_keeps_what_was_counted() {
    let before = rules(vec![limit("a", &[Key::Principal], Match::default())], &Rules::default());
    let handle = before.applying(&who("alice", ""), START).remove(0);
    let Used::Paced(pace, bucket) = &*handle.used else { panic!("no pace") };
    bucket.take(*pace, 7, START);
    let raised = Limit {
        amount: Some(Amount::Count { count: 20, window: Duration::from_secs(1) }),
        ..limit("a", &[Key::Principal], Match::default())
    };
    let after = rules(vec![raised], &before);
    let handle = after.applying(&who("alice", ""), START).remove(0);
    let Used::Paced(pace, bucket) = &*handle.used else { panic!("no pace") };
    assert_eq!(*pace, Pace::Fixed { count: 20, window: SECOND });
    assert!(bucket.used(*pace, START).abs_diff(7) <= 1);
}

#[test]
fn who_has_not_heard_of_a_reload_shares_the_bucket_that_is_in_force() {
    let of = |count| Limit {
        amount: Some(Amount::Count { count, window: Duration::from_secs(1) }),
        ..limit("a", &[Key::Principal], Match::default())
    };
    let before = rules(vec![of(10)], &Rules::default());
    let after = rules(vec![of(20)], &before);
    let bucket = |rules: &Rules| rules.applying(&who("alice", ""), START).remove(0).used;
    bucket(&before);
    let in_force = bucket(&after);
    assert!(Arc::ptr_eq(&bucket(&before), &in_force));
    assert!(Arc::ptr_eq(&bucket(&after), &in_force));
}

#[test]
fn idle_keys_are_forgotten_and_debts_are_not() {
    let rules = rules(vec![limit("a", &[Key::Principal], Match::default())], &Rules::default());
    for principal in ["alice", "bob"] {
        let handle = rules.applying(&who(principal, ""), START).remove(0);
        let Used::Paced(pace, bucket) = &*handle.used else { panic!("no pace") };
        bucket.take(*pace, if principal == "bob" { 50 } else { 1 }, START);
    }
    rules.forget_idle(START + 2 * SECOND);
    let left: Vec<String> =
        rules.iter().flat_map(|rule| rule.fullest(9, START + 2 * SECOND)).map(|(key, _)| key).collect();
    assert_eq!(left, ["principal=bob"]);
}

#[test]
fn of_two_threads_that_take_all_there_is_at_the_same_time_one_waits() {
    const ALL: u64 = 16;
    let paces = [
        Pace::Rate { units: ALL, per: 1_000, burst: ALL },
        Pace::Fixed { count: ALL, window: 1_000 },
        Pace::Sliding { count: ALL, window: 1_000 },
    ];
    for pace in paces {
        for _ in 0..1000 {
            let (bucket, both) = (Bucket::new(pace), std::sync::Barrier::new(2));
            let take = || {
                both.wait();
                bucket.take(pace, ALL, 5_000) > 0
            };
            let waits = std::thread::scope(|scope| {
                [scope.spawn(take), scope.spawn(take)].map(|took| took.join().unwrap())
            });
            assert_ne!(waits[0], waits[1], "{pace:?}");
        }
    }
}
