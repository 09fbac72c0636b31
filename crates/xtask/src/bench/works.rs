//! The works that are measured.

/// One work: what the load does, by its own arguments.
pub(crate) struct Work {
    /// The name by which `--only` knows it.
    pub(crate) name: &'static str,
    /// What it is, for humans.
    pub(crate) title: &'static str,
    /// How it is judged.
    pub(crate) kind: Kind,
}

/// What is done, and so what is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Requests over standing connections.
    Stream { mode: &'static str, payload_bytes: usize, in_flight: usize },
    /// Connections that come and go; the gateway alone asks for a login.
    Connect,
    /// Memory of connections that do nothing; the gateway alone asks for a login.
    Idle,
    /// Memory under frames of 100 MiB.
    Frames,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All of them, in the order in which they are done.
pub(crate) const WORKS: [Work; 11] = [
    stream("produce-1m", "Produce 1 MiB × 5 in flight", "produce", MIB, 5),
    stream("fetch-1m", "Fetch 1 MiB × 5 in flight", "fetch", MIB, 5),
    stream("produce-16k", "Produce 16 KiB × 5 in flight", "produce", 16 * KIB, 5),
    stream("fetch-16k", "Fetch 16 KiB × 5 in flight", "fetch", 16 * KIB, 5),
    stream("produce-1k", "Produce 1 KiB × 1 in flight", "produce", KIB, 1),
    stream("fetch-1k", "Fetch 1 KiB × 1 in flight", "fetch", KIB, 1),
    stream("produce-1k-deep", "Produce 1 KiB × 32 in flight", "produce", KIB, 32),
    stream("fetch-1k-deep", "Fetch 1 KiB × 32 in flight", "fetch", KIB, 32),
    Work {
        name: "connect",
        title: "connect, ApiVersions, Metadata, close (through the gateway with SASL/PLAIN)",
        kind: Kind::Connect,
    },
    Work { name: "idle", title: "idle connections (logged in where the gateway asks)", kind: Kind::Idle },
    Work { name: "frames", title: "20 connections each sending frames of 100 MiB", kind: Kind::Frames },
];

const fn stream(
    name: &'static str,
    title: &'static str,
    mode: &'static str,
    payload_bytes: usize,
    in_flight: usize,
) -> Work {
    Work { name, title, kind: Kind::Stream { mode, payload_bytes, in_flight } }
}
