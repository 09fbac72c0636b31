//! Scenarios on real Kafka, one module per subject. Run by `cargo xtask test`, which provides what they need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod direct;
