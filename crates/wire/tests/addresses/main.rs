//! Reading and rewriting, held against an independent encoder and decoder (kafka-protocol): whatever it can encode is
//! walked and rewritten here as if it had been decoded, changed and encoded.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::cast_possible_truncation, reason = "dice are cut to size")]
#![allow(clippy::field_reassign_with_default, reason = "the oracle's types cannot be written as literals")]

mod answers;
mod dice;
mod errors;
mod held;
mod hostile;
mod known;
mod messages;
mod meters;
mod plain;
mod requests;
mod skims;
mod tails;
mod walks;
