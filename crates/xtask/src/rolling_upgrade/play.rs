//! What happens to the brokers.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::steady::now_us;
use testkit::{KAFKA_NEW, KAFKA_OLD};

use super::cast::Cast;
use super::ground::Ground;

/// Longer than the brokers' session (9 s), after which others take over, and than most clients wait for an answer (30 s).
const SILENCE: Duration = Duration::from_secs(40);
const ALL_DOWN: Duration = Duration::from_secs(20);
/// Between one broker and the next.
const BREATH: Duration = Duration::from_secs(2);

/// What happens to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// Each in turn shuts down, and comes back as a newer version at another port; then the features are upgraded.
    Upgrade,
    /// Each in turn is killed and started again.
    Kill,
    /// Each in turn falls silent and comes back.
    BlackHole,
    /// All are killed at once, and started again later.
    AllDown,
}

/// Something that happened, from when to when, in microseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) begun_us: u64,
    pub(crate) ended_us: u64,
}

impl Play {
    /// What happens, in words.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Play::Upgrade => "Three brokers are upgraded one after the other",
            Play::Kill => "Three brokers are killed one after the other",
            Play::BlackHole => "Three brokers fall silent one after the other",
            Play::AllDown => "All brokers are down",
        }
    }

    /// What the brokers are at the beginning. Only an upgrade needs an old one; the rest has all features from the start.
    pub(crate) const fn first_version(self) -> &'static str {
        match self {
            Play::Upgrade => KAFKA_OLD,
            Play::Kill | Play::BlackHole | Play::AllDown => KAFKA_NEW,
        }
    }

    /// Whether the brokers have the new protocol of groups from the beginning.
    pub(crate) const fn begins_with_new_groups(self) -> bool {
        !matches!(self, Play::Upgrade)
    }

    /// Does it, and notes what happened when.
    pub(crate) fn perform(
        self,
        ground: &Ground,
        cast: &mut Cast,
        steps: &mut Vec<Step>,
        say: &dyn Fn(&str),
    ) -> Result<()> {
        let mut step = |title: String, does: &mut dyn FnMut() -> Result<()>| -> Result<()> {
            say(&title);
            let begun_us = now_us();
            does().with_context(|| title.clone())?;
            steps.push(Step { title, begun_us, ended_us: now_us() });
            Ok(())
        };
        let cluster = &ground.cluster;
        if self == Play::AllDown {
            return step("all brokers down".to_owned(), &mut || {
                cluster.kill_all()?;
                thread::sleep(ALL_DOWN);
                cluster.start_all()?;
                cluster.wait_in_sync()
            });
        }
        for id in cluster.ids() {
            let title = match self {
                Play::Upgrade => format!("broker {id}: {KAFKA_OLD} → {KAFKA_NEW}"),
                Play::Kill => format!("broker {id} killed"),
                Play::BlackHole => format!("broker {id} silent"),
                Play::AllDown => continue,
            };
            step(title, &mut || self.one(ground, id))?;
            thread::sleep(BREATH);
        }
        if self == Play::Upgrade {
            step("features upgraded".to_owned(), &mut || upgrade_features(ground))?;
            say("the consumers of the new protocol start");
            cast.begin_new_groups(ground)?;
            // A restart for their eyes.
            let id = cluster.coordinator_of(testkit::Library::Java.name())?;
            step(format!("broker {id} restarted"), &mut || {
                cluster.stop_node(id)?;
                cluster.start_node(id)?;
                cluster.wait_in_sync()
            })?;
        }
        Ok(())
    }

    fn one(self, ground: &Ground, id: i32) -> Result<()> {
        let cluster = &ground.cluster;
        match self {
            Play::Upgrade => {
                cluster.stop_node(id)?;
                let port = cluster.spare_port()?;
                cluster.start_node_as(id, Some(KAFKA_NEW), Some(port))?;
            }
            Play::Kill | Play::AllDown => {
                cluster.kill_node(id)?;
                cluster.start_node(id)?;
            }
            Play::BlackHole => {
                cluster.freeze_node(id)?;
                thread::sleep(SILENCE);
                cluster.thaw_node(id)?;
                cluster.wait_ready()?;
            }
        }
        cluster.wait_in_sync()
    }
}

/// What an operator does last: from here on there is no way back.
fn upgrade_features(ground: &Ground) -> Result<()> {
    let release = KAFKA_NEW.rsplit_once('.').map_or(KAFKA_NEW, |(release, _)| release);
    let server = ground.cluster.internal();
    let arguments = ["--bootstrap-server", &server, "upgrade", "--release-version", release];
    ground.cluster.tool("kafka-features", &arguments)?.run()?.ok()?;
    Ok(())
}
