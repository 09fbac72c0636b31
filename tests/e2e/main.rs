//! Scenarios on real Kafka, one module per subject. Run by `cargo xtask test`, which provides what they need.
//!
//! Each scenario is played direct and through the gateway, and must end the same; on the way through, every byte
//! towards clients is searched for what would tell a broker's address. `PORTCULLIS_MATRIX=full` (`cargo xtask matrix`)
//! plays all of them on the oldest Kafka as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod clients;
mod ground;
mod java_programs;
mod java_tools;
mod kcat;
mod librdkafka;
mod limits;
mod listing;
mod moves;
mod python;
mod quotas;
mod reload;
mod takeovers;
mod users;
