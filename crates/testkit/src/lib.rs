//! For tests only: real Kafka clusters, scripted brokers, started gateways, certificates, clients that go on while brokers come
//! and go, and a tap that searches what clients are told.
//!
//! Nothing in here depends on the crates under test, so that a mistake of theirs cannot repeat itself in the check.

pub mod certs;
pub mod clients;
pub mod free_ports;
pub mod gateway;
pub mod kafka;
pub mod leak;
pub mod leash;
pub mod pace;
pub mod place;
pub mod raw;
pub mod redis;
pub mod relay;
pub mod scripted;
pub mod stalls;
pub mod steady;
pub mod wait;
pub mod witness;

pub use certs::Certs;
pub use clients::{Client, Library, Load};
pub use free_ports::FreePorts;
pub use gateway::{Gateway, GatewayConfig};
pub use kafka::islands;
pub use kafka::{Advertise, KafkaCluster, NewTopic, Output, SaslPlain, Spec, Tool};
pub use leak::Tap;
pub use pace::Pace;
pub use raw::RawClient;
pub use redis::Redis;
pub use relay::Relay;
pub use scripted::{Reply, ScriptedBroker};
pub use stalls::Stalls;
pub use witness::Witness;

/// The oldest Kafka that is supported.
pub const KAFKA_OLD: &str = "3.9.1";
/// The newest Kafka that is supported.
pub const KAFKA_NEW: &str = "4.3.1";
