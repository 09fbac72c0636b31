//! Portcullis: sockets, tasks and time around the decisions of `policy` and the bytes of `wire`.
//!
//! `ARCHITECTURE.md` follows one Produce and one Fetch through these rooms.

pub mod admin;
pub mod alarm;
pub mod apply;
pub mod auth;
pub mod beside;
pub mod caller;
pub mod cluster;
pub mod conn;
#[cfg(feature = "demo")]
pub mod demo;
pub mod drain;
pub mod ended;
pub mod fleet;
pub mod frames;
pub mod health;
pub mod in_flight;
pub mod inherited;
pub mod kept;
pub mod limits;
pub mod listener;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod moment;
pub mod notify;
pub mod partitions;
pub mod password;
pub mod pipe;
pub mod pool;
pub mod probe;
pub mod pump;
pub mod quotas;
pub mod serve;
pub mod sockets;
pub mod stream;
pub mod takeover;
pub mod timer;
pub mod tls;
pub mod topics;
pub mod topology;
pub mod upstream;
pub mod verify;
pub mod workers;
