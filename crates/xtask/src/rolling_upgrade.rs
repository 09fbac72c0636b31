//! `cargo xtask rolling-upgrade`: every client library sends and reads steadily while the brokers under it are upgraded
//! one after the other, or are killed, fall silent, or are gone all at once; first directly, then through the gateway.
//!
//! What clients were told is compared with what the brokers hold. Through the gateway no program may notice anything:
//! that is the promise, and where it is not kept the command fails. The direct way is the measure of what it is worth.
//! Everything is on loopback and bounded in count and time; all children are on leashes that end them with us.

mod cast;
pub(crate) mod ground;
mod judge;
mod picture;
mod play;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use anyhow::{Context, Result, ensure};
use testkit::steady::now_us;
use testkit::{Library, islands, place};

use crate::provide;
use cast::Cast;
use ground::{Ground, Profile, Way};
use judge::Outcome;
use play::Play;

/// Nothing takes this long, unless something hangs.
const LONGEST: Duration = Duration::from_mins(20);
/// With all brokers in their places, before and after.
const CALM: Duration = Duration::from_secs(6);

/// What happens, and who sees it
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Only with clients that are connected to the brokers
    #[arg(long, conflicts_with = "gateway")]
    direct: bool,
    /// Only with clients that are connected to the gateway
    #[arg(long)]
    gateway: bool,
    /// Instead of an upgrade every broker in turn is killed and started again
    #[arg(long, group = "play")]
    kill: bool,
    /// Instead of an upgrade every broker in turn falls silent: all its packets are lost, until it comes back. In a network of
    /// its own, which takes root and iproute2
    #[arg(long, group = "play")]
    black_hole: bool,
    /// Instead of an upgrade all brokers are down at once, for 20 seconds
    #[arg(long, group = "play")]
    all_down: bool,
    /// Only this library; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Records per second of each producer
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Draw latency and throughput of the first producer over time, as an SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Build the gateway for debugging, which is quick
    #[arg(long)]
    debug: bool,
    /// Run the gateway that was built before
    #[arg(long)]
    no_build: bool,
}

impl Options {
    fn play(&self) -> Play {
        match (self.kill, self.black_hole, self.all_down) {
            (true, _, _) => Play::Kill,
            (_, true, _) => Play::BlackHole,
            (_, _, true) => Play::AllDown,
            _ => Play::Upgrade,
        }
    }

    fn ways(&self) -> Vec<Way> {
        let ways = [(Way::Direct, !self.gateway), (Way::Gateway, !self.direct)];
        ways.into_iter().filter(|(_, wanted)| *wanted).map(|(way, _)| way).collect()
    }

    fn libraries(&self) -> Result<Vec<Library>> {
        let names = Library::ALL.map(Library::name);
        for name in &self.only {
            ensure!(names.contains(&name.as_str()), "no library {name}; there are: {}", names.join(", "));
        }
        let wanted =
            |library: &Library| self.only.is_empty() || self.only.iter().any(|name| name == library.name());
        Ok(Library::ALL.into_iter().filter(wanted).collect())
    }
}

/// Plays, prints, and fails where the promise is not kept.
pub(crate) fn run(options: &Options) -> Result<()> {
    let libraries = options.libraries()?;
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    let ways = options.ways();
    if islands::at_sea() {
        islands::make_sea()?;
    } else {
        provide::everything()?;
        if ways.contains(&Way::Gateway) && !options.no_build {
            ground::build(profile)?;
        }
        if options.play() == Play::BlackHole {
            // Where packets can be lost, and nothing can be fetched.
            let status = islands::put_out()?.status().context("cannot run unshare")?;
            ensure!(status.success(), "the play in a network of its own has failed");
            return Ok(());
        }
    }
    thread::spawn(|| {
        thread::sleep(LONGEST);
        eprintln!("rolling-upgrade: something hangs");
        process::exit(1);
    });
    let home = place::target().join("rolling-upgrade");
    let mut outcomes = Vec::new();
    for way in ways {
        let home = home.join(way.name());
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        outcomes.push(play(options, way, profile, &libraries, home)?);
    }
    report::print(&outcomes);
    if let Some(path) = &options.picture {
        picture::draw(&outcomes, options.play(), options.rate, path)?;
    }
    println!("\njournals and logs: {}", home.display());
    let broken: usize = outcomes
        .iter()
        .filter(|outcome| outcome.way == Way::Gateway)
        .map(|outcome| outcome.broken().len())
        .sum();
    ensure!(broken == 0, "{broken} promises are not kept");
    Ok(())
}

/// One way from the first broker's start to the last broker's end.
fn play(
    options: &Options,
    way: Way,
    profile: Profile,
    libraries: &[Library],
    home: PathBuf,
) -> Result<Outcome> {
    let begun = Instant::now();
    let play = options.play();
    say(begun, way, "the cluster starts");
    let ground = Ground::start(way, play.first_version(), profile, home)?;
    let mut cast = Cast::new(&ground, libraries, options.rate)?;
    say(begun, way, "the clients start");
    cast.begin_all(&ground)?;
    if play.begins_with_new_groups() {
        cast.begin_new_groups(&ground)?;
    }
    let from_us = now_us();
    let before = ground.connections_ended()?;
    thread::sleep(CALM);
    let mut steps = Vec::new();
    play.perform(&ground, &mut cast, &mut steps, &|what| say(begun, way, what))?;
    thread::sleep(CALM);
    let ended = ground.connections_ended()?;
    let meanwhile = |(end, count): (ground::End, u64)| (end.clone(), count - before.get(&end).unwrap_or(&0));
    let connections_ended = ended.into_iter().map(meanwhile).collect();
    say(begun, way, "the clients end");
    let fared = cast.end_all(&ground, from_us)?;
    ground.keep_logs()?;
    say(begun, way, "done");
    Ok(Outcome { play, way, fared, steps, connections_ended, took: begun.elapsed() })
}

fn say(begun: Instant, way: Way, what: &str) {
    println!("{:>5.0} s  {:<8} {what}", begun.elapsed().as_secs_f64(), way.name());
}
