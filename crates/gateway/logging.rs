//! Logs to stderr, for people or as JSON, through a bounded queue: a pipe that nobody reads stops no client.

use config::{Log, LogFormat};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// Lines that may wait for stderr; further ones are dropped.
const WAITING_LINES_MAX: usize = 16 * 1024;

/// The log as started. Dropping it writes what still waits.
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
    _writer: WorkerGuard,
}

impl Logging {
    /// Starts the log of this process. A second start in one process leaves the first in force.
    pub fn start(log: &Log) -> Self {
        let (filter, handle) = reload::Layer::new(targets(&log.filter));
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(WAITING_LINES_MAX)
            .lossy(true)
            .finish(std::io::stderr());
        let lines = tracing_subscriber::fmt::layer().with_writer(writer);
        let lines = match log.format {
            LogFormat::Human => {
                let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
                lines.with_ansi(ansi).with_target(false).boxed()
            }
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self { filter: handle, _writer: guard }
    }

    /// Puts a reloaded filter in force.
    pub fn set_filter(&self, filter: &str) {
        if let Err(error) = self.filter.reload(targets(filter)) {
            tracing::error!(%error, "the log's filter could not be changed");
        }
    }
}

/// A filter that was checked with the configuration; should the two ever disagree, everything from info on is said.
fn targets(filter: &str) -> Targets {
    filter.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
}
