//! The table of kinds and keys: what each limit is, whom it is for, and what keeps it busy.

use std::fmt::Write as _;

use testkit::Pace;

/// How far the rate over a run may be from the limit.
const TOLERANCE: f64 = 0.05;
/// For how long what was on its way may be held up, so that it comes together with what is behind it.
const HELD_UP_SECONDS: f64 = 0.25;

/// One row: a kind of limit with a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// In the names of its users, clients, topics and groups, before a dot; and of the limit.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) by: Key,
    /// How it is told apart from the others, beside the cluster or the listener that it looks at.
    pub(super) matches: &'static str,
    pub(super) allows: Allows,
}

/// What is counted and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Windows(Windows, Unit),
    LeakyBucket,
    Concurrency,
    ProduceBytes,
    FetchBytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Windows {
    Fixed,
    Sliding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Requests,
    Bytes,
    Records,
}

/// What makes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Principal,
    ClientId,
    Address,
    Cluster,
    Listener,
    Topic,
    Group,
    Api,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub(super) enum Allows {
    /// Each second, and so many at once.
    Rate { rate: u32, burst: u32 },
    /// In each window of so many seconds.
    Window { count: u32, seconds: u32 },
    /// At once.
    AtOnce(u32),
}

const fn rate(rate: u32, burst: u32) -> Allows {
    Allows::Rate { rate, burst }
}

const fn window(count: u32, seconds: u32) -> Allows {
    Allows::Window { count, seconds }
}

const KIB: u32 = 1024;

/// Each kind, and each key with several of them.
pub(super) const TABLE: &[Case] = &[
    Case {
        name: "fixed",
        kind: Kind::Windows(Windows::Fixed, Unit::Requests),
        by: Key::Principal,
        matches: "principal = [\"fixed.*\"], class = [\"produce\", \"fetch\", \"metadata\", \"group\"]",
        allows: window(40, 2),
    },
    Case {
        name: "fixed-bytes",
        kind: Kind::Windows(Windows::Fixed, Unit::Bytes),
        by: Key::ClientId,
        matches: "client_id = [\"fixed-bytes.*\"], api = [\"Produce\"]",
        allows: window(128 * KIB, 2),
    },
    Case {
        name: "fixed-records",
        kind: Kind::Windows(Windows::Fixed, Unit::Records),
        by: Key::Topic,
        matches: "topic = [\"fixed-records.*\"]",
        allows: window(80, 1),
    },
    Case {
        name: "sliding",
        kind: Kind::Windows(Windows::Sliding, Unit::Requests),
        by: Key::ClientId,
        matches: "client_id = [\"sliding.*\"], class = [\"produce\", \"fetch\", \"metadata\", \"group\"]",
        allows: window(40, 2),
    },
    Case {
        name: "sliding-bytes",
        kind: Kind::Windows(Windows::Sliding, Unit::Bytes),
        by: Key::Listener,
        matches: "client_id = [\"sliding-bytes.*\"], api = [\"Produce\"]",
        allows: window(128 * KIB, 2),
    },
    Case {
        name: "sliding-records",
        kind: Kind::Windows(Windows::Sliding, Unit::Records),
        by: Key::Principal,
        matches: "principal = [\"sliding-records.*\"]",
        allows: window(80, 1),
    },
    Case {
        name: "leaky",
        kind: Kind::LeakyBucket,
        by: Key::Cluster,
        matches: "principal = [\"leaky.*\"], class = [\"produce\", \"fetch\", \"metadata\", \"group\"]",
        allows: rate(20, 5),
    },
    Case {
        name: "leaky-topic",
        kind: Kind::LeakyBucket,
        by: Key::Topic,
        matches: "topic = [\"leaky-topic.*\"], api = [\"Produce\"]",
        allows: rate(20, 5),
    },
    Case {
        name: "leaky-group",
        kind: Kind::LeakyBucket,
        by: Key::Group,
        matches: "group = [\"leaky-group.*\"]",
        allows: rate(20, 5),
    },
    Case {
        name: "leaky-address",
        kind: Kind::LeakyBucket,
        by: Key::Address,
        matches: "principal = [\"leaky-address.*\"], address = [\"127.0.0.0/8\"], api = [\"Produce\"]",
        allows: rate(20, 5),
    },
    Case {
        name: "leaky-api",
        kind: Kind::LeakyBucket,
        by: Key::Api,
        matches: "principal = [\"leaky-api.*\"], api = [\"Produce\", \"Fetch\"]",
        allows: rate(20, 5),
    },
    Case {
        name: "at-once",
        kind: Kind::Concurrency,
        by: Key::Principal,
        matches: "principal = [\"at-once.*\"], api = [\"Produce\"]",
        allows: Allows::AtOnce(2),
    },
    Case {
        name: "at-once-listener",
        kind: Kind::Concurrency,
        by: Key::Listener,
        matches: "client_id = [\"at-once-listener.*\"], api = [\"Produce\"]",
        allows: Allows::AtOnce(3),
    },
    Case {
        name: "produce",
        kind: Kind::ProduceBytes,
        by: Key::Address,
        matches: "principal = [\"produce.*\"]",
        allows: rate(64 * KIB, 64 * KIB),
    },
    Case {
        name: "produce-topic",
        kind: Kind::ProduceBytes,
        by: Key::Topic,
        matches: "topic = [\"produce-topic.*\"]",
        allows: rate(64 * KIB, 64 * KIB),
    },
    Case {
        name: "fetch",
        kind: Kind::FetchBytes,
        by: Key::Cluster,
        matches: "client_id = [\"fetch.*\"]",
        allows: rate(128 * KIB, 128 * KIB),
    },
    Case {
        name: "fetch-topic",
        kind: Kind::FetchBytes,
        by: Key::Topic,
        matches: "topic = [\"fetch-topic.*\"]",
        allows: rate(256 * KIB, 256 * KIB),
    },
];

impl Key {
    fn name(self) -> &'static str {
        match self {
            Key::Principal => "principal",
            Key::ClientId => "client_id",
            Key::Address => "address",
            Key::Cluster => "cluster",
            Key::Listener => "listener",
            Key::Topic => "topic",
            Key::Group => "group",
            Key::Api => "api",
        }
    }
}

/// What a client sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) records: u64,
    pub(super) size: usize,
    /// How many of them a batch holds.
    pub(super) batch: usize,
}

impl Case {
    /// As it is written in proxy.toml.
    pub(super) fn to_toml(self) -> String {
        let mut text = format!("[[limit]]\nname = {:?}\nby = [{:?}]\n", self.name, self.by.name());
        writeln!(text, "match = {{ {} }}", self.matches).unwrap();
        let kind = match self.kind {
            Kind::Windows(Windows::Fixed, unit) => {
                format!("kind = \"fixed-window\"\nunit = {:?}", unit.name())
            }
            Kind::Windows(Windows::Sliding, unit) => {
                format!("kind = \"sliding-window\"\nunit = {:?}", unit.name())
            }
            Kind::LeakyBucket => "kind = \"leaky-bucket\"".to_owned(),
            Kind::Concurrency => "kind = \"concurrency\"".to_owned(),
            Kind::ProduceBytes | Kind::FetchBytes => "kind = \"bytes\"".to_owned(),
        };
        let way = if self.kind == Kind::FetchBytes { "fetch" } else { "produce" };
        let amount = match (self.kind, self.allows) {
            (Kind::ProduceBytes | Kind::FetchBytes, Allows::Rate { rate, burst }) => {
                format!("{way}_rate = \"{rate}B/s\"\n{way}_burst = \"{burst}B\"")
            }
            (Kind::Windows(_, Unit::Bytes), Allows::Window { count, seconds }) => {
                format!("count = \"{count}B\"\nwindow = \"{seconds}s\"")
            }
            (_, Allows::Rate { rate, burst }) => format!("rate = {rate}\nburst = {burst}"),
            (_, Allows::Window { count, seconds }) => format!("count = {count}\nwindow = \"{seconds}s\""),
            (_, Allows::AtOnce(most)) => format!("in_flight = {most}"),
        };
        text + &kind + "\n" + &amount + "\n\n"
    }

    /// What a library sends and reads meanwhile: a few seconds' worth of what all clients of a bucket may.
    pub(super) fn work(self) -> Work {
        match self.kind {
            Kind::Windows(_, Unit::Requests) | Kind::LeakyBucket | Kind::Concurrency => {
                Work { records: 8, size: 1000, batch: 1 }
            }
            Kind::Windows(_, Unit::Bytes | Unit::Records) | Kind::ProduceBytes => {
                Work { records: 60, size: 1000, batch: 4 }
            }
            // Of a topic only its records count, so that they should be most of an answer.
            Kind::FetchBytes if self.by == Key::Topic => Work { records: 600, size: 1000, batch: 4 },
            Kind::FetchBytes => Work { records: 300, size: 1000, batch: 1 },
        }
    }

    /// Whether it is for Produce alone.
    pub(super) fn is_of_produce(self) -> bool {
        self.matches.contains("\"Produce\"")
    }

    /// What is wrong with the pace of one bucket, in words: nothing, if the limit was kept and used. It was kept busy since
    /// that moment.
    pub(super) fn faults(self, pace: &Pace, busy_since: f64, stalled: &Stalled) -> Vec<String> {
        let mut faults = Vec::new();
        let (rate, burst) = match self.allows {
            Allows::Rate { rate, burst } => (f64::from(rate), f64::from(burst)),
            Allows::Window { count, seconds } => (f64::from(count) / f64::from(seconds), f64::from(count)),
            Allows::AtOnce(_) => return faults,
        };
        let held_up = HELD_UP_SECONDS + stalled.longest;
        let most = match self.kind {
            // What comes at the beginning of a window may have been held up, and be the last one's.
            Kind::Windows(Windows::Fixed, _) => pace.most_in_windows(burst / rate, held_up),
            Kind::Windows(Windows::Sliding, _)
            | Kind::LeakyBucket
            | Kind::Concurrency
            | Kind::ProduceBytes
            | Kind::FetchBytes => pace.excess(rate),
        };
        if most > burst + rate * held_up {
            faults.push(format!("{most} where {burst} may come at once"));
        }
        let busy = pace.within(busy_since, f64::INFINITY);
        let span = pace.span().map_or(0.0, |(_, until)| until) - busy_since;
        // From when on a bucket was full, and without what came at once.
        let (least, most) = match self.allows {
            Allows::Window { .. } => {
                let had = busy.window_of(burst).map(|window| burst / window);
                (had, had.map(|had| had * (1.0 - stalled.longest / span)))
            }
            Allows::Rate { .. } | Allows::AtOnce(_) => {
                // What is a little late makes it look as if it were not full.
                let full = (burst - rate * (0.05 + stalled.longest)).max(burst * 0.4);
                (pace.rate_once_full(rate, full, busy_since), Some((busy.units() - burst) / span))
            }
        };
        let lost = (stalled.lost + stalled.longest) / span;
        if least.is_none_or(|had| had / rate < 1.0 - TOLERANCE - lost)
            || most.is_none_or(|had| had / rate > 1.0 + TOLERANCE)
        {
            faults.push(format!("a rate of {least:?} to {most:?} instead of {rate}"));
        }
        let windows: Vec<f64> = pace.windows(burst / rate).into_iter().map(|units| units / burst).collect();
        faults
            .iter()
            .map(|fault| format!("{}: {fault}; {stalled:?}, windows of {windows:.2?}", self.name))
            .collect()
    }
}

/// What a machine that has other things to do kept from running, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stalled {
    /// For how long at once.
    pub(super) longest: f64,
    /// How much of it nothing makes up for.
    pub(super) lost: f64,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Requests => "requests",
            Unit::Bytes => "bytes",
            Unit::Records => "records",
        }
    }
}
