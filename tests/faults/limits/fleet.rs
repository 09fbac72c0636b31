//! Limits that replicas share by way of a real Redis, which goes and comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testkit::Redis;

use super::{Watched, is_answered, ms, question};
use crate::stage::{LIMIT, Setup};

const PASSWORD: &str = "secret-of-the-fleet";
const WINDOW: Duration = ms(250);
const COUNT: u32 = 50;
/// So many windows are looked at.
const WINDOWS: u32 = 10;
/// Clients of one replica.
const CLIENTS: i32 = 8;

fn replica(redis: &Redis) -> Watched {
    let limits = format!(
        "[[limit]]\nname = \"shared\"\nkind = \"fixed-window\"\nby = []\ncount = {COUNT}\nwindow = \"{}ms\"\n\
         scope = \"fleet\"\n[fleet]\nurl = \"{}\"\npassword = \"{PASSWORD}\"\nprefix = \"test\"\nsync = \"20ms\"\n",
        WINDOW.as_millis(),
        redis.url()
    );
    Watched::new(&Setup { more: limits.leak(), ..Setup::default() }, |_| None)
}

/// Waits until both replicas say whether they share their limits.
#[track_caller]
fn are_together(replicas: &[Watched], are: bool) {
    for replica in replicas {
        let gateway = &replica.stage.gateway;
        for (metric, wanted) in [("synchronised", 1.0), ("replicas", 2.0)] {
            let is = |value: f64| (value >= wanted) == are;
            gateway.wait_metric(&format!("portcullis_fleet_{metric}"), &[], LIMIT, is).unwrap();
        }
    }
}

/// Requests that come to the brokers in ten windows, in hundredths of the limit. It begins in the middle of a window, since
/// all that wait for a window go when it opens.
fn share_used(replicas: &[Watched], after: Duration) -> usize {
    let from = SystemTime::now() + after;
    let into = from.duration_since(UNIX_EPOCH).unwrap().as_nanos() % WINDOW.as_nanos();
    let to_middle = (WINDOW * 3 / 2).saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap()));
    let begin = Instant::now() + after + to_middle;
    let end = begin + WINDOW * WINDOWS;
    thread::sleep(end.saturating_duration_since(Instant::now()));
    let came = |replica: &Watched| {
        let came = replica.came.lock().unwrap();
        came.iter().filter(|(_, at)| (begin..end).contains(at)).count()
    };
    replicas.iter().map(came).sum::<usize>() * 100 / (COUNT * WINDOWS) as usize
}

/// Clients that ask again as soon as they are answered.
fn ask_all_the_time<'s>(replica: &'s Watched, stop: &'s AtomicBool, scope: &'s thread::Scope<'s, '_>) {
    for client in 0..CLIENTS {
        let mut connection = replica.client();
        scope.spawn(move || {
            for id in (1000 + client * 100_000..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                connection.send(&question(id)).unwrap();
                is_answered(&mut connection, id);
            }
        });
    }
}

#[test]
fn replicas_together_keep_to_a_limit_whether_redis_is_there_or_not() {
    let mut redis = Redis::start(PASSWORD).unwrap();
    let replicas = [replica(&redis), replica(&redis)];
    are_together(&replicas, true);
    redis.publish("test:limits:0", "what no replica sends").unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for replica in &replicas {
            ask_all_the_time(replica, &stop, scope);
        }
        // What was used before the replicas knew of each other's use is paid for first.
        let together = share_used(&replicas, ms(1500));
        redis.kill().unwrap();
        are_together(&replicas, false);
        let alone = share_used(&replicas, ms(500));
        redis.restart().unwrap();
        are_together(&replicas, true);
        let again = share_used(&replicas, ms(1500));
        stop.store(true, Ordering::Relaxed);
        for (used, when) in [(together, "together"), (alone, "alone"), (again, "together again")] {
            assert!((90..=110).contains(&used), "{used} % of the limit was used {when}");
        }
    });
    for replica in &replicas {
        let metric =
            |name: &str| replica.stage.gateway.metric(&format!("portcullis_fleet_{name}_total"), &[]);
        assert!(metric("failures").unwrap() > 0.5);
        assert!(metric("unread").unwrap() > 0.5);
        assert!(!replica.stage.gateway.log().contains(PASSWORD));
    }
}
