//! The program: `run`, `check`, `hash-password`, `quotas`, `drain`, `demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis::admin::call;
use portcullis::password;
use portcullis::quotas::{self, ImportError};
use portcullis::serve::{self, StartError};

/// Faster and leaner than the system's under many short allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// It ran and failed.
const FAILED: u8 = 1;
/// The command line is wrong (`EX_USAGE`).
const USAGE: u8 = 64;
/// The configuration is wrong (`EX_CONFIG`).
const CONFIG: u8 = 78;

/// A gateway for Apache Kafka: any client is simply pointed at it.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a configuration. SIGHUP reloads it, SIGUSR2 starts a successor, SIGTERM and SIGINT drain.
    Run {
        /// The configuration, such as proxy.toml.
        file: PathBuf,
    },
    /// Say everything that is wrong with a configuration; exit 78 if anything is.
    Check {
        /// The configuration, such as proxy.toml.
        file: PathBuf,
    },
    /// Read a password (typed, or one line from a pipe) and print the credential that the configuration holds.
    HashPassword {
        /// PBKDF2 iterations: what every login costs, and every guess.
        #[arg(long, default_value_t = config::ITERATIONS_DEFAULT,
              value_parser = clap::value_parser!(u32).range(
                  i64::from(config::ITERATIONS_MIN)..=i64::from(config::ITERATIONS_MAX)))]
        iterations: u32,
    },
    /// The brokers' own quotas.
    #[command(subcommand)]
    Quotas(Quotas),
    /// Let a broker go that is about to be taken down: what others can do goes to others. Until it is undone, or the
    /// gateway ends.
    Drain {
        /// The name of its cluster in the configuration.
        cluster: String,
        /// The broker's id.
        node: i32,
        /// Take it back.
        #[arg(long)]
        undo: bool,
        /// The gateway's admin address.
        #[arg(long, default_value = "127.0.0.1:9644")]
        admin: String,
    },
    /// Start a small cluster in this process with a gateway before it, and print what to try.
    Demo,
}

#[derive(Subcommand)]
enum Quotas {
    /// Ask a cluster's brokers for their quotas and print them as [[limit]] entries.
    Import {
        /// The configuration, such as proxy.toml.
        file: PathBuf,
        /// Which of its clusters.
        #[arg(long)]
        cluster: String,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run { file } => match serve::run(&file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error @ StartError::Faults(_)) => fail(CONFIG, error),
            Err(error @ (StartError::Obstacles(_) | StartError::System(..) | StartError::Takeover(_))) => {
                fail(FAILED, error)
            }
        },
        Command::Check { file } => match config::load(&file) {
            Ok(model) => {
                model.notes.iter().for_each(|note| eprintln!("note: {note}"));
                println!("{}: good", file.display());
                ExitCode::SUCCESS
            }
            Err(faults) => fail(CONFIG, faults),
        },
        Command::HashPassword { iterations } => {
            match password::read().and_then(|password| password::hash(&password, iterations)) {
                Ok(credential) => {
                    println!("{credential}");
                    ExitCode::SUCCESS
                }
                Err(error) => fail(FAILED, error),
            }
        }
        Command::Quotas(Quotas::Import { file, cluster }) => match quotas::import(&file, &cluster) {
            Ok(entries) => {
                print!("{entries}");
                ExitCode::SUCCESS
            }
            Err(error @ ImportError::Faults(_)) => fail(CONFIG, error),
            Err(error @ ImportError::NoSuchCluster(..)) => fail(USAGE, error),
            Err(error) => fail(FAILED, error),
        },
        Command::Drain { cluster, node, undo, admin } => {
            let wish = if undo { call::Drain::Undo } else { call::Drain::Begin };
            match call::drain(&admin, &cluster, node, wish) {
                Ok(text) => {
                    print!("{text}");
                    ExitCode::SUCCESS
                }
                Err(error) => fail(FAILED, error),
            }
        }
        Command::Demo => demo(),
    }
}

#[cfg(feature = "demo")]
fn demo() -> ExitCode {
    match portcullis::demo::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, error),
    }
}

#[cfg(not(feature = "demo"))]
fn demo() -> ExitCode {
    fail(USAGE, "this program was built without its demo: cargo run --release --features demo -- demo")
}

fn fail(code: u8, error: impl std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    code.into()
}
