//! The works that are measured.

use super::twins::{Security, Twin};

/// One work: what is done, and what is measured by that.
pub(crate) struct Work {
    /// The name by which `--only` knows it.
    pub(crate) name: &'static str,
    /// What it is, for humans.
    pub(crate) title: &'static str,
    /// How it is judged.
    pub(crate) kind: Kind,
}

/// Requests over standing connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The load's own word for it.
    pub(crate) mode: &'static str,
    /// Bytes of records in each request or answer.
    pub(crate) payload_bytes: usize,
    /// Requests that wait for their answer on each connection.
    pub(crate) in_flight: usize,
    /// Connections.
    pub(crate) connections: u32,
}

/// Which of Kafka's own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `kafka-producer-perf-test`.
    Producer,
    /// `kafka-consumer-perf-test`.
    Consumer,
}

/// What is done, and so what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Requests.
    Stream(Stream),
    /// The same with TLS between client and proxy.
    Tls(Stream),
    /// Connections that come and go; the gateway alone asks for a login.
    Connect,
    /// Memory of connections that do nothing; the gateway alone asks for a login.
    Idle(Security),
    /// Memory under frames of 100 MiB.
    Frames,
    /// Instructions of requests, under valgrind.
    Instructions(Stream),
    /// One thread on one core, and two threads on two.
    Cores(Stream),
    /// A real broker, and clients of Kafka's own.
    Perf(Tool),
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All of them, in the order in which they are done.
pub(crate) const WORKS: [Work; 28] = [
    of("produce-1m", "Produce 1 MiB × 5 in flight", Kind::Stream(PRODUCE_1M)),
    of("fetch-1m", "Fetch 1 MiB × 5 in flight", Kind::Stream(fetching(PRODUCE_1M))),
    of("produce-16k", "Produce 16 KiB × 5 in flight", Kind::Stream(PRODUCE_16K)),
    of("fetch-16k", "Fetch 16 KiB × 5 in flight", Kind::Stream(fetching(PRODUCE_16K))),
    of("produce-1k", "Produce 1 KiB × 1 in flight", Kind::Stream(PRODUCE_1K)),
    of("fetch-1k", "Fetch 1 KiB × 1 in flight", Kind::Stream(fetching(PRODUCE_1K))),
    of("produce-1k-deep", "Produce 1 KiB × 32 in flight", Kind::Stream(DEEP)),
    of("fetch-1k-deep", "Fetch 1 KiB × 32 in flight", Kind::Stream(fetching(DEEP))),
    of("tls-produce-1m", "Produce 1 MiB × 5 in flight, TLS 1.3 towards the client", Kind::Tls(PRODUCE_1M)),
    of(
        "tls-fetch-1m",
        "Fetch 1 MiB × 5 in flight, TLS 1.3 towards the client",
        Kind::Tls(fetching(PRODUCE_1M)),
    ),
    of("tls-produce-16k", "Produce 16 KiB × 5 in flight, TLS 1.3 towards the client", Kind::Tls(PRODUCE_16K)),
    of(
        "tls-fetch-16k",
        "Fetch 16 KiB × 5 in flight, TLS 1.3 towards the client",
        Kind::Tls(fetching(PRODUCE_16K)),
    ),
    of("metadata-10k", "Metadata of 10,000 partitions, one connection", Kind::Stream(METADATA)),
    of(
        "connect",
        "connect, ApiVersions, Metadata, close (through the gateway with SASL/PLAIN)",
        Kind::Connect,
    ),
    of("idle", "idle connections (logged in where the gateway asks)", Kind::Idle(Security::Plain)),
    of("idle-tls", "idle connections with TLS (logged in where the gateway asks)", Kind::Idle(Security::Tls)),
    of("frames", "100 connections with frames of 100 MiB, 40 of them slow readers", Kind::Frames),
    of("instructions-produce-16k", "Produce 16 KiB × 1 in flight", Kind::Instructions(alone(SINGLE_16K))),
    of(
        "instructions-fetch-16k",
        "Fetch 16 KiB × 1 in flight",
        Kind::Instructions(alone(fetching(SINGLE_16K))),
    ),
    of("instructions-produce-1k", "Produce 1 KiB × 1 in flight", Kind::Instructions(alone(PRODUCE_1K))),
    of("instructions-fetch-1k", "Fetch 1 KiB × 1 in flight", Kind::Instructions(alone(fetching(PRODUCE_1K)))),
    of("instructions-produce-1k-deep", "Produce 1 KiB × 32 in flight", Kind::Instructions(alone(DEEP))),
    of("instructions-fetch-1k-deep", "Fetch 1 KiB × 32 in flight", Kind::Instructions(alone(fetching(DEEP)))),
    of("cores-produce-1k-deep", "Produce 1 KiB × 32 in flight, on 1 and on 2 cores", Kind::Cores(many(DEEP))),
    of(
        "cores-produce-16k",
        "Produce 16 KiB × 5 in flight, on 1 and on 2 cores",
        Kind::Cores(many(PRODUCE_16K)),
    ),
    of(
        "cores-fetch-16k",
        "Fetch 16 KiB × 5 in flight, on 1 and on 2 cores",
        Kind::Cores(many(fetching(PRODUCE_16K))),
    ),
    of("perf-produce", "kafka-producer-perf-test on a real broker", Kind::Perf(Tool::Producer)),
    of("perf-consume", "kafka-consumer-perf-test on a real broker", Kind::Perf(Tool::Consumer)),
];

const PRODUCE_1M: Stream = Stream { mode: "produce", payload_bytes: MIB, in_flight: 5, connections: 4 };
const PRODUCE_16K: Stream = Stream { payload_bytes: 16 * KIB, ..PRODUCE_1M };
/// One at a time: of several, parts are read at once, and how many that are is chance.
const SINGLE_16K: Stream = Stream { in_flight: 1, ..PRODUCE_16K };
const PRODUCE_1K: Stream = Stream { payload_bytes: KIB, in_flight: 1, ..PRODUCE_1M };
const DEEP: Stream = Stream { in_flight: 32, ..PRODUCE_1K };
/// Alone, so that its latency is that of one request and not of a queue.
const METADATA: Stream = Stream { mode: "metadata", payload_bytes: 0, in_flight: 1, connections: 1 };

const fn of(name: &'static str, title: &'static str, kind: Kind) -> Work {
    Work { name, title, kind }
}

const fn fetching(stream: Stream) -> Stream {
    Stream { mode: "fetch", ..stream }
}

/// On one connection, so that what is read at once does not hang on who else is served.
const fn alone(stream: Stream) -> Stream {
    Stream { connections: 1, ..stream }
}

/// Enough connections to keep two threads busy.
const fn many(stream: Stream) -> Stream {
    Stream { connections: 8, ..stream }
}

impl Work {
    /// Whether it is done without being asked for. Others take minutes, or need valgrind or a JDK.
    pub(crate) fn is_ordinary(&self) -> bool {
        !matches!(self.kind, Kind::Instructions(_) | Kind::Cores(_) | Kind::Perf(_))
    }

    /// The ways that take turns: of those that make sense for this work those that were asked for, or else those that its
    /// bars compare.
    pub(crate) fn twins(&self, asked: &[Twin]) -> Vec<Twin> {
        const PLAIN: [Twin; 4] = [Twin::Direct, Twin::Haproxy, Twin::Relay, Twin::Gateway];
        let (usual, more): (&[Twin], &[Twin]) = match self.kind {
            Kind::Stream(PRODUCE_1M | FETCH_1M) => {
                (&[Twin::Direct, Twin::Haproxy, Twin::Relay, Twin::FloorSplice, Twin::Gateway], &MORE)
            }
            Kind::Stream(_) | Kind::Connect => (&PLAIN, &MORE),
            Kind::Tls(_) | Kind::Idle(Security::Tls) => (&[Twin::Haproxy, Twin::Gateway], &[]),
            // The blocking relays have two threads for each connection, which is not what is asked here.
            Kind::Idle(Security::Plain) | Kind::Frames => {
                (&[Twin::Haproxy, Twin::Relay, Twin::Gateway], &[Twin::Limited])
            }
            Kind::Instructions(_) => (&[Twin::Relay, Twin::Gateway, Twin::Limited], &[]),
            Kind::Cores(_) => {
                return vec![Twin::OneCore, Twin::TwoCores, Twin::RelayOneCore, Twin::RelayTwoCores];
            }
            Kind::Perf(_) => (&[Twin::Direct, Twin::Gateway], &[]),
        };
        if asked.is_empty() {
            return usual.to_vec();
        }
        let sensible = usual.iter().chain(more);
        let mut twins: Vec<Twin> = sensible.filter(|twin| asked.contains(twin)).copied().collect();
        twins.sort_unstable();
        twins.dedup();
        twins
    }
}

const FETCH_1M: Stream = fetching(PRODUCE_1M);
const MORE: [Twin; 3] = [Twin::FloorCopy, Twin::FloorSplice, Twin::Limited];

#[cfg(test)]
mod tests {
    use super::WORKS;
    use crate::bench::twins::Twin;

    fn twins(name: &str, asked: &[Twin]) -> Vec<Twin> {
        WORKS.iter().find(|work| work.name == name).map(|work| work.twins(asked)).unwrap_or_default()
    }

    #[test]
    fn a_work_has_the_twins_of_its_bars_or_those_that_are_asked_for() {
        assert!(twins("fetch-1m", &[]).contains(&Twin::FloorSplice));
        assert!(!twins("fetch-16k", &[]).contains(&Twin::FloorSplice));
        assert_eq!(twins("fetch-16k", &[Twin::Gateway, Twin::FloorCopy]), [Twin::FloorCopy, Twin::Gateway]);
        assert_eq!(twins("tls-fetch-16k", &[Twin::Relay, Twin::Gateway]), [Twin::Gateway]);
    }
}
