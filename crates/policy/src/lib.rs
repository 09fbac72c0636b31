//! Every decision of the gateway, with no socket, no clock and no random source: what time it is and what is random is
//! passed in, what to write is handed back.
//!
//! - [`sasl`]: who a client is, as a state machine over frames.
//! - [`credential`]: what passwords are verified against; slow by design.
//! - [`remembered`]: successes of the recent past, so that a known client is not slow twice.
//! - [`versions`]: what a client is offered.
//! - [`access`]: what a client may ask for.
//! - [`quota`]: how much of it.
//! - [`mutations`]: how much a change of topics is.
//! - [`fate`]: what becomes of a request whose broker went away.
//! - [`breaker`]: when a broker is dialled, and when it is left alone.

pub mod access;
pub mod breaker;
pub mod credential;
pub mod fate;
pub mod mutations;
pub mod quota;
pub mod remembered;
pub mod sasl;
pub mod versions;
