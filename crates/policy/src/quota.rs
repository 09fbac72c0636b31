//! Limits: which of them are for whom, how full they are, and what becomes of what is too much.
//!
//! [`rules`] finds, once per connection and API, the buckets that a client's requests are charged to; [`bucket`] and
//! [`slots`] are those buckets; [`lease`] spares a busy connection most looks at them; [`fleet`] is what
//! replicas that share limits tell each other of them; [`portion`] says how much a Fetch may ask for. Nothing is looked up, locked or allocated per request.

pub mod bucket;
pub mod fleet;
pub mod lease;
mod level;
pub mod portion;
pub mod rules;
pub mod shared;
pub mod slots;

pub use bucket::{Bucket, Nanos, Pace};
pub use fleet::Fleet;
pub use lease::Lease;
pub use rules::{Handle, Measure, Rule, Rules, Who};
pub use slots::{Slots, Waiter};

#[cfg(test)]
mod tests;
