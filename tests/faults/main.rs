//! Hostile clients and faulty brokers: a gateway in front of scripted brokers, no Kafka in sight. After each of them the
//! gateway is untouched, and what happened is counted where an operator looks for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broker;
mod brokers;
mod bytes;
mod drain;
mod framing;
mod fuzzed;
mod gone;
mod group;
mod head;
mod limits;
mod login;
mod memory;
mod silent;
mod stage;
mod storm;
mod streaming;
mod takeover;
mod unread;
