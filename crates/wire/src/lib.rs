//! Kafka's bytes: bounded reading, heads, walkers, the answers that carry addresses, and the table of APIs.
//!
//! No socket, no clock, no randomness, no runtime. Nothing here believes a number off the wire: no length sizes an
//! allocation, and every function is total over arbitrary bytes.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod address;
pub mod answer;
pub mod api;
pub mod ask;
pub mod error;
pub mod head;
pub mod known;
pub mod layout;
pub mod meter;
mod plain;
pub mod reader;
pub mod refuse;
pub mod request;
pub mod sasl;
mod splice;
pub mod tail;
pub mod throttle;
pub mod versions;
pub mod walk;
pub mod writer;

pub use address::{Advertised, Book, CorrelationId, NodeId, Staying, Upstream};
pub use api::Api;
pub use error::Malformed;
