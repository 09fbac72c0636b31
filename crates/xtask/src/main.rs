//! `cargo xtask …`: the tasks of this workspace.

mod kafka;

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
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Kafka(task) => kafka::run(task),
    }
}
