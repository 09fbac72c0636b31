//! What the gateway is measured with and beside: a load, a sink that plays the brokers, and two bare relays.
//!
//! Nothing in here depends on the crates under measurement: the load composes and checks Kafka's bytes on its own,
//! so that it notices when the gateway's idea of them is wrong. `cargo xtask bench` builds the programs in release
//! and runs them as processes, which is why they talk to it by single lines of JSON on stdout and stop when their
//! stdin ends.

pub mod answer;
pub mod ask;
pub mod bytes;
pub mod connect;
pub mod cue;
pub mod dial;
pub mod floor;
pub mod idle;
pub mod intake;
pub mod line;
pub mod outcome;
pub mod pace;
pub mod relay;
pub mod sink;
pub mod stream;
