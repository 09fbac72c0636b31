//! The process: its start, its reloads, its end. Everything here runs on the control thread.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Faults, Model};
use policy::credential::Settled;
use policy::remembered::Remembered;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::apply::{Obstacles, Plan};
use crate::drain::Ending;
use crate::inherited::Inherited;
use crate::listener::Entry;
use crate::live::{Gateway, Live};
use crate::logging::Logging;
use crate::metrics::Reloaded;
use crate::moment::Moment;
use crate::notify::{self, News};
use crate::takeover::{self, Candidate, Estate, Predecessor, TakeoverError};
use crate::timer;
use crate::verify::Verifier;
use crate::workers::Workers;
use crate::{admin, listener, pool};

/// How often the end looks whether the last connection is gone.
const END_LOOK: Duration = Duration::from_millis(20);

/// How often buckets that nobody uses any more are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// Why the process can't serve. `main` makes an exit code of it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration does not check.
    #[error("{0}")]
    Faults(Faults),
    /// What it asks for can't be had.
    #[error("{}", .0.0.join("\n"))]
    Obstacles(Obstacles),
    /// The system refuses what every process needs.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    /// The process that runs can't be taken over from, or nobody could take over from this one.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StartError::System("random bytes", std::io::Error::other("refused")))?;
    Ok(bytes)
}

/// Brings all passwords into their stored form.
fn settle(users: &config::Users, before: Option<&Settled>) -> Result<Settled, StartError> {
    let mut failed = None;
    let settled = policy::credential::settle_again(users, before, || {
        random().unwrap_or_else(|error| {
            failed = Some(error);
            Default::default()
        })
    });
    failed.map_or(Ok(settled), Err)
}

/// A gateway that serves, and what it takes to steer it.
struct Process {
    gateway: Arc<Gateway>,
    workers: Arc<Workers>,
    path: PathBuf,
    program: PathBuf,
    admin: Option<TcpListener>,
    logging: Logging,
}

/// What a process that serves does beside it, until it ends.
struct Beside {
    /// Successors that are ready.
    candidates: mpsc::Receiver<Candidate>,
    /// The acceptor of successors.
    takeover: Option<AbortHandle>,
    /// The acceptor of the admin address.
    admin: Option<AbortHandle>,
}

/// How a process that serves was told to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By a signal.
    BySignal,
    /// By the process that has taken over.
    BySuccessor { pid: i32 },
}

/// Serves the configuration at `path` until SIGTERM or SIGINT.
pub fn run(path: &Path) -> Result<(), StartError> {
    let inherited =
        Inherited::of_systemd().map_err(|error| StartError::System("a socket that systemd passed", error))?;
    let program = takeover::program().map_err(|error| StartError::System("the program's file", error))?;
    let model = config::load(path).map_err(StartError::Faults)?;
    let logging = Logging::start(&model.log);
    let before = model.process.takeover.as_deref().map(|path| takeover::ask(path, &inherited));
    let before = before.transpose()?.flatten();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| StartError::System("the control thread's runtime", error))?;
    runtime.block_on(async {
        let process = Process::start(path, program, model, logging, inherited)?;
        let beside = process.arrive(before).await?;
        process.steer(beside).await
    })
}

impl Process {
    /// Does everything that can fail, and accepts nothing yet.
    fn start(
        path: &Path,
        program: PathBuf,
        model: Model,
        logging: Logging,
        inherited: Inherited,
    ) -> Result<Self, StartError> {
        raise_descriptor_limit();
        pool::keep_pages_small();
        let threads = model.process.threads;
        let workers = Workers::start(threads).map_err(|error| StartError::System("worker threads", error))?;
        let verifier = Verifier::start(threads.div_ceil(2), Remembered::new(random()?))
            .map_err(|error| StartError::System("verifying threads", error))?;
        let users = settle(&model.users, None)?;
        let empty = Live {
            model: Arc::new(model.clone()),
            users: Arc::new(settle(&config::Users::default(), None)?),
            rules: Arc::default(),
            clusters: std::collections::BTreeMap::new(),
        };
        let plan = Plan::new(model, users, &empty.clusters, &inherited).map_err(StartError::Obstacles)?;
        let gateway = Arc::new(Gateway::new(empty, verifier, inherited));
        let workers = Arc::new(workers);
        let bind = |admin: &config::Admin| match gateway.inherited.at(admin.bind) {
            Some(socket) => Ok(socket),
            None => crate::sockets::listen(admin.bind),
        };
        let admin = plan.model().admin.as_ref().map(bind).transpose();
        let admin = admin.map_err(|error| StartError::System("the admin address can't be bound", error))?;
        note(plan.model());
        plan.apply(&gateway, &workers);
        tokio::task::spawn_local(forget_idle(Arc::clone(&gateway)));
        tokio::task::spawn_local(crate::fleet::share(Arc::clone(&gateway)));
        Ok(Self { gateway, workers, path: path.to_owned(), program, admin, logging })
    }

    /// Begins to serve: at once, or when all that `before` serves is known here as well.
    async fn arrive(&self, before: Option<Predecessor>) -> Result<Beside, StartError> {
        let live = Arc::clone(&self.gateway.live());
        let path = live.model.process.takeover.as_deref();
        let mut waiting = None;
        if let Some(before) = before {
            let clusters: Vec<_> = live.clusters.values().cloned().collect();
            before.matched_by(&clusters).await?;
            waiting = before.relieve()?;
            self.gateway.inherited.clear();
            // A port that only the process before had is free in a moment.
            for cluster in &clusters {
                cluster.look_now.notify_one();
            }
            tracing::info!("took over");
        }
        if waiting.is_none() {
            waiting = path.map(takeover::listen).transpose()?;
        }
        self.gateway.serve();
        let again = |socket: &TcpListener| socket.try_clone().ok();
        let admin = self.admin.as_ref().and_then(again).map(|socket| {
            tracing::info!(address = ?socket.local_addr().ok(), "admin listening");
            tokio::task::spawn_local(admin::serve(socket, Arc::clone(&self.gateway))).abort_handle()
        });
        let (ready, candidates) = mpsc::channel(1);
        let takeover = waiting.map(|waiting| {
            let estate = Estate::new(Arc::clone(&self.gateway), self.admin.as_ref().and_then(again), waiting);
            tokio::task::spawn_local(takeover::wait(estate, ready)).abort_handle()
        });
        notify::tell(News::Ready);
        let threads = live.model.process.threads;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), threads, "serving");
        Ok(Beside { candidates, takeover, admin })
    }

    /// Reloads on SIGHUP, starts a successor on SIGUSR2; ends on SIGTERM and SIGINT, and when a successor is ready.
    async fn steer(self, mut beside: Beside) -> Result<(), StartError> {
        let signals = |kind| signal(kind).map_err(|error| StartError::System("signals", error));
        let mut hangup = signals(SignalKind::hangup())?;
        let mut terminate = signals(SignalKind::terminate())?;
        let mut interrupt = signals(SignalKind::interrupt())?;
        let mut succeed = signals(SignalKind::user_defined2())?;
        let told = loop {
            tokio::select! {
                _ = hangup.recv() => self.reload(),
                _ = succeed.recv() => self.start_successor(),
                _ = terminate.recv() => break Told::BySignal,
                _ = interrupt.recv() => break Told::BySignal,
                Some(candidate) = beside.candidates.recv() => match candidate.go() {
                    Ok(()) => break Told::BySuccessor { pid: candidate.pid },
                    Err(error) => tracing::warn!(%error, "a successor is gone, this process goes on"),
                },
            }
        };
        self.let_go_beside(beside, told);
        // A successor's word is not a signal: a supervisor that stops both may send one, and the drain goes on.
        let signals_to_cut = if told == Told::BySignal { 1 } else { 2 };
        self.end(async {
            for _ in 0..signals_to_cut {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
        })
        .await;
        Ok(())
    }

    /// Applies the file as it is now, or changes nothing and says why.
    fn reload(&self) {
        let model = match config::load(&self.path) {
            Ok(model) => model,
            Err(Faults(faults)) => {
                for fault in &faults {
                    tracing::error!(%fault, "the new configuration has a fault");
                }
                tracing::error!(faults = faults.len(), "nothing was reloaded");
                self.gateway.metrics.reloaded(Reloaded::Refused);
                return;
            }
        };
        let live = Arc::clone(&self.gateway.live());
        let model = keep_unreloadable(model, &live.model);
        let users = match settle(&model.users, Some(&live.users)) {
            Ok(users) => users,
            Err(error) => {
                tracing::error!(%error, "nothing was reloaded");
                self.gateway.metrics.reloaded(Reloaded::Refused);
                return;
            }
        };
        let log = model.log.clone();
        match Plan::new(model, users, &live.clusters, &self.gateway.inherited) {
            Ok(plan) => {
                note(plan.model());
                plan.apply(&self.gateway, &self.workers);
                self.logging.set_filter(&log.filter);
                self.gateway.metrics.reloaded(Reloaded::Applied);
                tracing::info!("reloaded");
            }
            Err(Obstacles(obstacles)) => {
                for obstacle in &obstacles {
                    tracing::error!(obstacle, "the new configuration can't be applied");
                }
                tracing::error!("nothing was reloaded");
                self.gateway.metrics.reloaded(Reloaded::Refused);
            }
        }
    }

    /// Starts the program anew from its file; it asks for the sockets by itself.
    fn start_successor(&self) {
        if self.gateway.live().model.process.takeover.is_none() {
            tracing::error!("no successor is started, it could not take over: process.takeover is not set");
        } else if let Err(error) = takeover::start(&self.program) {
            tracing::error!(%error, program = %self.program.display(), "no successor can be started");
        }
    }

    /// Ends what is served beside clients, as far as somebody else serves it now, and tells systemd.
    fn let_go_beside(&self, beside: Beside, told: Told) {
        if let Some(takeover) = beside.takeover {
            takeover.abort();
        }
        match told {
            Told::BySuccessor { pid } => {
                tracing::info!(pid, "another process has taken over");
                if let Some(admin) = beside.admin {
                    admin.abort();
                }
                notify::tell(News::FollowedBy(pid));
            }
            Told::BySignal => {
                // Before the candidates are dropped: one that is just getting ready makes the socket anew.
                if let Some(path) = &self.gateway.live().model.process.takeover
                    && let Err(error) = std::fs::remove_file(path)
                {
                    tracing::warn!(%error, path = %path.display(), "the socket of take-overs stays");
                }
                notify::tell(News::Stopping);
            }
        }
    }

    /// Answers what was asked, then ends: when all connections are gone, the time is over or a second signal comes.
    async fn end(&self, again: impl Future<Output = ()>) {
        let config::Drain { shutdown: within, spread, .. } = self.gateway.live().model.drain;
        tracing::info!(open = self.workers.open(), seconds = within.as_secs_f64(), "ending");
        self.gateway.metrics.set_ready(false);
        self.gateway.end(Ending { told_at: Instant::now(), spread, within });
        for cluster in self.gateway.live().clusters.values() {
            // A look at the topology that is under way must not open ports again.
            cluster.listeners.swap(Arc::default()).iter().for_each(|listener| listener.close());
            cluster.removed.notify_one();
        }
        let until = Instant::now() + within + END_LOOK * 2;
        let gone = async {
            while self.workers.open() > 0 && Instant::now() < until {
                timer::sleep(END_LOOK).await;
            }
        };
        tokio::select! {
            () = gone => {}
            () = again => tracing::warn!("told twice to end"),
        }
        tracing::info!(open = self.workers.open(), "ended");
    }
}

/// Forgets, now and then, the buckets of clients that are gone.
async fn forget_idle(gateway: Arc<Gateway>) {
    loop {
        timer::sleep(FORGET_EVERY).await;
        let rules = Arc::clone(&gateway.live().rules);
        rules.forget_idle(gateway.clock.at(Moment::now()));
    }
}

/// Keeps what only a start can change, and says so.
fn keep_unreloadable(mut model: Model, live: &Model) -> Model {
    let say = |key: &str| tracing::warn!(key, "is changed in the file and takes effect at the next start");
    if model.process != live.process {
        say("process");
        model.process = live.process.clone();
    }
    if model.admin != live.admin {
        say("admin");
        model.admin.clone_from(&live.admin);
    }
    if model.log.format != live.log.format {
        say("log.format");
        model.log.format = live.log.format;
    }
    model
}

/// Logs what the configuration is worth a word about, and the table of ports.
fn note(model: &Model) {
    for note in &model.notes {
        tracing::warn!(note, "configuration");
    }
    for listener in model.clusters.iter().flat_map(|cluster| &cluster.listeners) {
        let ports: Vec<String> = listener
            .node_ids
            .iter()
            .filter_map(|id| {
                let entry = Entry::Node(wire::NodeId(*id));
                listener::address_of(listener, entry).map(|address| format!("{id}={}", address.port()))
            })
            .collect();
        tracing::info!(
            cluster = &*listener.cluster,
            bootstrap = %listener.bind,
            advertised = %format_args!("{}:{}", listener.advertised_host, listener.advertised_port),
            node_ports = %format_args!("{} + node id", listener.node_port_base),
            advertised_ports = %format_args!("{} + node id", listener.advertised_port_base),
            bound = ports.join(" "),
            "ports"
        );
    }
}

/// A connection costs two descriptors; the soft limit that shells give is too low for a proxy.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of file descriptors could not be raised");
    }
}
