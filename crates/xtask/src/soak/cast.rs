//! The loads that play together, each a program of its own at a pace of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use testkit::leash::Leash;

use super::gate::USER;
use crate::bench::measure::{Open, Outcome, Ready};
use crate::bench::programs::{Programs, Running};

/// Idle connections at each of the gateway's entrances.
const IDLE: u32 = 100;

/// Where a load goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Through the gateway.
    Plain,
    /// Through the gateway, with SASL/PLAIN.
    Login,
    /// Past the gateway: what the machine itself does to a latency.
    Direct,
}

/// One load. All of them together leave this machine about two thirds idle, so that latency is not that of a queue.
pub(crate) struct Part {
    /// Its name in tables and files.
    pub(crate) name: &'static str,
    /// What it does, for humans.
    pub(crate) title: &'static str,
    /// Where it goes.
    pub(crate) entrance: Entrance,
    mode: &'static str,
    connections: u32,
    /// Requests per second, in all.
    rate: u32,
    /// Bytes of records in each request or answer, and requests at once; of visits none.
    each: Option<(usize, usize)>,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All of them. Their rates have no common measure, so that none always meets the burst of another.
pub(crate) const PARTS: [Part; 10] = [
    stream("produce-1k", "Produce 1 KiB × 1, 1009/s", Entrance::Plain, ("produce", 4, 1009, KIB, 1)),
    stream("fetch-1k", "Fetch 1 KiB × 1, login, 991/s", Entrance::Login, ("fetch", 4, 991, KIB, 1)),
    stream(
        "produce-16k",
        "Produce 16 KiB × 5, login, 1019/s",
        Entrance::Login,
        ("produce", 4, 1019, 16 * KIB, 5),
    ),
    stream("fetch-1k-deep", "Fetch 1 KiB × 32, 3203/s", Entrance::Plain, ("fetch", 2, 3203, KIB, 32)),
    stream("produce-1m", "Produce 1 MiB × 2, 61/s", Entrance::Plain, ("produce", 2, 61, MIB, 2)),
    stream("fetch-1m", "Fetch 1 MiB × 2, login, 59/s", Entrance::Login, ("fetch", 2, 59, MIB, 2)),
    visits("visits", "Connect, Metadata, close, 41/s", Entrance::Plain, 41),
    visits("visits-login", "Connect, login, Metadata, close, 37/s", Entrance::Login, 37),
    stream(
        "direct",
        "Past the gateway: Produce 1 KiB × 1, 401/s",
        Entrance::Direct,
        ("produce", 4, 401, KIB, 1),
    ),
    visits("direct-visits", "Past the gateway: connect, Metadata, close, 43/s", Entrance::Direct, 43),
];

impl Part {
    /// Its like that goes past the gateway: the place of that one.
    pub(crate) fn control(&self) -> Option<usize> {
        let is_like =
            |part: &Part| part.entrance == Entrance::Direct && part.each.is_some() == self.each.is_some();
        PARTS.iter().position(is_like)
    }
}

const fn stream(
    name: &'static str,
    title: &'static str,
    entrance: Entrance,
    (mode, connections, rate, payload_bytes, at_once): (&'static str, u32, u32, usize, usize),
) -> Part {
    Part { name, title, entrance, mode, connections, rate, each: Some((payload_bytes, at_once)) }
}

const fn visits(name: &'static str, title: &'static str, entrance: Entrance, rate: u32) -> Part {
    Part { name, title, entrance, mode: "connect", connections: 2, rate, each: None }
}

/// Where the entrances are.
#[derive(Clone, Copy)]
pub(crate) struct Entrances {
    pub(crate) plain: SocketAddr,
    pub(crate) login: SocketAddr,
    pub(crate) direct: SocketAddr,
}

impl Entrances {
    fn load(self, programs: &Programs, mode: &str, entrance: Entrance) -> Command {
        let mut command = programs.ours("load");
        let address = match entrance {
            Entrance::Plain => self.plain,
            Entrance::Login => self.login,
            Entrance::Direct => self.direct,
        };
        command.arg(mode).arg(address.to_string());
        if entrance == Entrance::Login {
            command.args(["--user", USER.0, "--password", USER.1]);
        }
        command
    }
}

/// How a load fared in an interval that ended at this moment.
pub(crate) struct Line {
    /// Its place in [`PARTS`].
    pub(crate) part: usize,
    pub(crate) at: Instant,
    pub(crate) outcome: Outcome,
}

/// What a load prints.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Interval { interval: Outcome },
    All(Outcome),
}

/// The loads, ready to begin.
pub(crate) struct Cast {
    ready: Vec<Running>,
    idle: Vec<Running>,
}

/// The loads while they play.
pub(crate) struct Playing {
    /// How they fare.
    pub(crate) lines: Receiver<Line>,
    loads: Vec<JoinHandle<Result<(Running, Outcome)>>>,
    idle: Vec<Running>,
}

impl Cast {
    /// Starts the loads and waits until their connections are open.
    pub(crate) fn open(
        programs: &Programs,
        leash: &mut Leash,
        entrances: Entrances,
        duration: Duration,
        every: Duration,
    ) -> Result<Cast> {
        let mut idle = Vec::new();
        for entrance in [Entrance::Plain, Entrance::Login] {
            let mut command = entrances.load(programs, "idle", entrance);
            let mut load = Running::start(leash, command.args(["--connections", &IDLE.to_string()]), None)?;
            load.told::<Open>().context("the idle connections")?;
            idle.push(load);
        }
        let mut ready = Vec::new();
        for part in &PARTS {
            let mut command = entrances.load(programs, part.mode, part.entrance);
            command.args(["--connections", &part.connections.to_string()]);
            command.args(["--rate", &part.rate.to_string(), "--requests", "1000000000"]);
            command.args(["--seconds", &duration.as_secs_f64().to_string()]);
            command.args(["--every", &every.as_secs_f64().to_string(), "--cued"]);
            if let Some((payload_bytes, at_once)) = part.each {
                command.args(["--payload-bytes", &payload_bytes.to_string()]);
                command.args(["--in-flight", &at_once.to_string()]);
            }
            let mut load = Running::start(leash, &mut command, None)?;
            ensure!(load.told::<Ready>().with_context(|| part.name.to_owned())?.ready, "not ready");
            ready.push(load);
        }
        Ok(Cast { ready, idle })
    }

    /// Lets them begin.
    pub(crate) fn play(self) -> Result<Playing> {
        let (told, lines) = channel();
        let mut loads = Vec::new();
        for (part, mut load) in self.ready.into_iter().enumerate() {
            load.cue()?;
            let told = told.clone();
            loads.push(thread::spawn(move || {
                let outcome = follow(part, &mut load, &told)?;
                Ok((load, outcome))
            }));
        }
        Ok(Playing { lines, loads, idle: self.idle })
    }
}

/// Reads what a load tells, to its end.
fn follow(part: usize, load: &mut Running, told: &Sender<Line>) -> Result<Outcome> {
    loop {
        match load.told()? {
            // Nobody hears it any more where the soak ends early.
            Told::Interval { interval } => {
                drop(told.send(Line { part, at: Instant::now(), outcome: interval }));
            }
            Told::All(outcome) => return Ok(outcome),
        }
    }
}

impl Playing {
    /// Whether a load has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.loads.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the loads' ends, and closes their connections. What each did in all, and what went wrong.
    pub(crate) fn end(self, leash: &mut Leash) -> Result<(Vec<Option<Outcome>>, Vec<String>)> {
        let mut errors = Vec::new();
        let mut outcomes = Vec::new();
        for (part, thread) in PARTS.iter().zip(self.loads) {
            let ended = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            let outcome = ended.and_then(|(load, outcome)| {
                load.finish(leash)?;
                outcome.is_whole()?;
                Ok(outcome)
            });
            outcomes.push(match outcome {
                Ok(outcome) => Some(outcome),
                Err(error) => {
                    errors.push(format!("{}: {error:#}", part.name));
                    None
                }
            });
        }
        for mut load in self.idle {
            load.cue()?;
            let Open { open } = load.told()?;
            if open != IDLE {
                errors.push(format!("idle: {open} of {IDLE} connections are still open"));
            }
            load.finish(leash)?;
        }
        Ok((outcomes, errors))
    }
}
