//! The load. Prints one line of JSON; with `--cued` it says when it is ready, waits for a line before it begins and
//! for another one before it closes its connections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bench::ask::{METADATA_VERSION, Stream, Work};
use bench::cue::{self, Cues};
use bench::dial::Door;
use bench::intake::Intake;
use bench::line::Trust;
use bench::outcome::Outcome;
use bench::pace::Pace;
use bench::stream::{Plan, Reading};
use bench::{connect, idle, stream};
use clap::{Args, Parser, Subcommand};

/// Bytes of a request around its records, at most.
const AROUND_BYTES: usize = 1024;

/// Kafka's load without Kafka's client
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Produce again and again
    Produce(Streaming),
    /// Fetch again and again
    Fetch(Streaming),
    /// Ask for the Metadata of a topic of 10,000 partitions again and again
    Metadata(Streaming),
    /// Produce and Fetch frames of 100 MiB; some connections read theirs slowly
    Frames(Framing),
    /// Open connections and hold them
    Idle(Idling),
    /// Connect, ask for versions and metadata, close; again and again
    Connect(Visiting),
}

#[derive(Args)]
struct Target {
    /// The sink, or a proxy before it
    address: SocketAddr,
    /// User of SASL/PLAIN
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Its password
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// TLS, trusting the authority in this PEM file
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// How long to try until the first connection succeeds, seconds
    #[arg(long, default_value_t = 10.0)]
    patience: f64,
    /// Say when ready, wait for a line before beginning and another before the end
    #[arg(long)]
    cued: bool,
}

impl Target {
    /// Waits until somebody opens.
    fn door(&self) -> Result<Door> {
        let trust = self.tls.as_deref().map(Trust::authority).transpose()?;
        let door = Door { address: self.address, login: self.user.clone().zip(self.password.clone()), trust };
        door.wait(Duration::try_from_secs_f64(self.patience)?).context("nobody opens")?;
        Ok(door)
    }

    fn cues(&self) -> Cues {
        if self.cued { Cues::Awaited } else { Cues::Ignored }
    }
}

#[derive(Args)]
struct Pacing {
    /// Requests per second in all, as many at once on a connection as may be in flight; left out: as fast as it goes
    #[arg(long)]
    rate: Option<f64>,
    /// Print a line for each interval of so many seconds as well
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,
}

impl Pacing {
    fn pace(&self) -> Result<Pace> {
        let every = self.every.map(Duration::try_from_secs_f64).transpose()?;
        ensure!(self.rate.is_none_or(|rate| rate > 0.0), "--rate is above 0");
        ensure!(every.is_none_or(|every| !every.is_zero()), "--every is above 0");
        Ok(Pace { rate: self.rate, every })
    }
}

#[derive(Args)]
struct Streaming {
    #[command(flatten)]
    target: Target,
    /// Version of the API: Produce 9 to 12, 11 by default; Fetch 12 to 17, 17 by default; Metadata 12
    #[arg(long)]
    version: Option<i16>,
    /// Bytes of records in each request or answer
    #[arg(long, default_value_t = 1024)]
    payload_bytes: usize,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// At most so many requests in all
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// No new requests after this time
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Requests of each connection before the measured ones
    #[arg(long, default_value_t = 20)]
    warm_up: u64,
    #[command(flatten)]
    pacing: Pacing,
}

#[derive(Args)]
struct Framing {
    #[command(flatten)]
    target: Target,
    /// Connections that send or get frames as fast as they can, taking turns
    #[arg(long, default_value_t = 60)]
    connections: u32,
    /// Connections beside them that get one frame and read it slowly
    #[arg(long, default_value_t = 40)]
    slow_connections: u32,
    /// Bytes of each frame
    #[arg(long, default_value_t = 100 * 1024 * 1024)]
    frame_bytes: usize,
    /// Frames of each quick connection
    #[arg(long, default_value_t = 1)]
    frames: u64,
    /// No new frames after this time, and slow readers end
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
}

#[derive(Args)]
struct Idling {
    #[command(flatten)]
    target: Target,
    /// Connections
    #[arg(long, default_value_t = 3000)]
    connections: u32,
}

#[derive(Args)]
struct Visiting {
    #[command(flatten)]
    target: Target,
    /// Loops side by side
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// At most so many visits in all
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// No new visits after this time
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    #[command(flatten)]
    pacing: Pacing,
}

fn main() -> Result<()> {
    let ((outcome, connections), cues) = match Options::parse().mode {
        Mode::Produce(streaming) => (streaming.run(Stream::Produce)?, streaming.target.cues()),
        Mode::Fetch(streaming) => (streaming.run(Stream::Fetch)?, streaming.target.cues()),
        Mode::Metadata(streaming) => (streaming.run(Stream::Metadata)?, streaming.target.cues()),
        Mode::Frames(framing) => (framing.run()?, framing.target.cues()),
        Mode::Idle(idling) => return idle::run(&idling.target.door()?, idling.connections),
        Mode::Connect(visiting) => ((visiting.run()?, Vec::new()), visiting.target.cues()),
    };
    cue::tell(&outcome)?;
    cues.end()?;
    drop(connections);
    if outcome.errors > 0 {
        bail!("{} connections failed", outcome.errors);
    }
    Ok(())
}

impl Streaming {
    fn run(&self, stream: Stream) -> Result<(Outcome, Vec<Intake>)> {
        let (newest, payload_bytes) = match stream {
            Stream::Produce => (11, self.payload_bytes),
            Stream::Fetch => (17, self.payload_bytes),
            Stream::Metadata => (METADATA_VERSION, 0),
        };
        let version = self.version.unwrap_or(newest);
        let plan = Plan {
            work: Work { stream, version, payload_bytes },
            in_flight: self.in_flight,
            requests: self.requests.div_ceil(u64::from(self.connections).max(1)),
            duration: Duration::try_from_secs_f64(self.seconds)?,
            warm_up: self.warm_up,
            reading: Reading::Quick,
        };
        let plans = vec![plan; usize::try_from(self.connections)?];
        let pace = self.pacing.pace()?;
        stream::run(&self.target.door()?, &plans, pace, self.target.cues())
    }
}

impl Framing {
    fn run(&self) -> Result<(Outcome, Vec<Intake>)> {
        let payload_bytes = self.frame_bytes.checked_sub(AROUND_BYTES).context("too short a frame")?;
        let produce = Plan {
            work: Work { stream: Stream::Produce, version: 11, payload_bytes },
            in_flight: 1,
            requests: self.frames,
            duration: Duration::try_from_secs_f64(self.seconds)?,
            warm_up: 0,
            reading: Reading::Quick,
        };
        let fetch = Plan { work: Work { stream: Stream::Fetch, version: 17, payload_bytes }, ..produce };
        let slow = Plan { reading: Reading::Slow, ..fetch };
        let mut plans: Vec<Plan> =
            [produce, fetch].into_iter().cycle().take(usize::try_from(self.connections)?).collect();
        plans.extend(vec![slow; usize::try_from(self.slow_connections)?]);
        stream::run(&self.target.door()?, &plans, Pace::default(), self.target.cues())
    }
}

impl Visiting {
    fn run(&self) -> Result<Outcome> {
        let plan = connect::Plan {
            connections: usize::try_from(self.connections)?,
            visits: self.requests,
            duration: Duration::try_from_secs_f64(self.seconds)?,
            pace: self.pacing.pace()?,
        };
        connect::run(&self.target.door()?, plan, self.target.cues())
    }
}
