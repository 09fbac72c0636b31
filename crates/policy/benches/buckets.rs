//! What one request costs in the buckets of limits: `cargo bench -p portcullis-policy`.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use policy::quota::{Bucket, Lease, Nanos, Pace, Slots};

const TIMES: u32 = 2_000_000;
const SECOND: Nanos = 1_000_000_000;

/// Nanoseconds of one call, the best of five rounds.
fn time(mut call: impl FnMut(Nanos)) -> f64 {
    let round = |call: &mut dyn FnMut(Nanos)| {
        let begin = Instant::now();
        for at in 0..TIMES {
            call(black_box(1_000 * SECOND + Nanos::from(at)));
        }
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    };
    (0..5).map(|_| round(&mut call)).fold(f64::INFINITY, f64::min)
}

fn tell(what: &str, nanos: f64) {
    println!("{what:<52} {nanos:>6.1} ns");
}

fn main() {
    let many = u64::MAX / 4;
    let paces = [
        ("rate", Pace::Rate { units: 1_000_000_000, per: SECOND, burst: 1_000_000_000 }),
        ("fixed window", Pace::Fixed { count: many, window: 60 * SECOND }),
        ("sliding window", Pace::Sliding { count: many, window: 60 * SECOND }),
    ];
    for (name, pace) in paces {
        let bucket = Bucket::new(pace);
        tell(
            &format!("{name}: take one"),
            time(|now| {
                black_box(bucket.take(pace, 1, now));
            }),
        );
        tell(
            &format!("{name}: charge 1000 afterwards"),
            time(|now| {
                black_box(bucket.charge(pace, 1000, now));
            }),
        );
        let (bucket, lease) = (Bucket::new(pace), Lease::default());
        let leased = time(|now| {
            if !lease.pays(1, now) {
                lease.renew(&std::iter::once((pace, &bucket)), 1, 256, now);
            }
        });
        tell(&format!("{name}: one out of a lease, renewed when it is spent"), leased);
        let bucket = Bucket::new(pace);
        let both = thread::scope(|scope| {
            let other = scope.spawn(|| {
                time(|now| {
                    black_box(bucket.take(pace, 1, now));
                })
            });
            time(|now| {
                black_box(bucket.take(pace, 1, now));
            })
            .max(other.join().unwrap_or(f64::NAN))
        });
        tell(&format!("{name}: take one, two threads at the same bucket"), both);
    }
    let slots = Slots::default();
    let slot = time(|_| {
        black_box(slots.try_take(1_000));
        slots.release(1_000);
    });
    tell("slots: take one and give it back", slot);
}
