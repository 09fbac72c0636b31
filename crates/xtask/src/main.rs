//! `cargo xtask …`: the tasks of this workspace.

mod bench;
mod cargo;
mod check;
mod kafka;
mod provide;
mod release;
mod rolling_upgrade;
mod soak;
mod svg;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the workspace", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// A real Kafka cluster on loopback that outlives the command.
    #[command(subcommand)]
    Kafka(kafka::Task),
    /// Installs what is missing, and runs every test.
    Test(check::Options),
    /// As `test`, with every version of Kafka and every client.
    Matrix(check::Options),
    /// Builds the gateway as it ships, optimised by a profile of itself at work.
    Release,
    /// Measures the gateway beside other relays of the same work.
    Bench(bench::Options),
    /// Upgrades a cluster under the load of every client library, without and with the gateway, and judges what they saw.
    RollingUpgrade(rolling_upgrade::Options),
    /// Keeps the gateway under a mixed load for an hour, and judges whether memory, descriptors and latency stay flat.
    Soak(soak::Options),
    /// Checks what style and architecture promise.
    Tidy,
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().task {
        Task::Kafka(task) => kafka::run(task),
        Task::Test(options) => check::run(&options, check::Breadth::Covering),
        Task::Matrix(options) => check::run(&options, check::Breadth::Full),
        Task::Release => release::run(),
        Task::Bench(options) => bench::run(&options),
        Task::RollingUpgrade(options) => rolling_upgrade::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Tidy => tidy::run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
