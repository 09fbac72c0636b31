//! Plays the brokers. Prints `{"ports":[…]}`, and ends when its stdin ends.

use std::thread;

use anyhow::Result;
use bench::{cue, sink};
use clap::Parser;
use serde_json::json;

/// Brokers without a Kafka behind them
#[derive(Parser)]
struct Options {
    /// Loopback ports of the nodes 1, 2 and so on; 0 picks a free one
    #[arg(long = "port", default_values_t = [0])]
    ports: Vec<u16>,
    /// Partitions of the one topic
    #[arg(long, default_value_t = 3)]
    partitions: i32,
    /// The largest Fetch that is answered, bytes of records
    #[arg(long, default_value_t = 100 * 1024 * 1024)]
    records_bytes_max: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = sink::start(&options.ports, options.partitions, options.records_bytes_max)?;
    cue::tell(&json!({ "ports": cluster.ports }))?;
    cue::end_with_stdin();
    loop {
        thread::park();
    }
}
