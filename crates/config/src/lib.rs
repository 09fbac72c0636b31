//! `proxy.toml`: as written (`raw`), as meant ([`model`]) and the one bridge between the two (`check`).
//!
//! A configuration that does not check is never started with and never reloaded to. [`load`] and [`parse`] report every
//! fault at once, each with file, line, column and what to write instead. No password ever appears in a fault, nor in
//! what `Debug` or `Display` print of the model.

mod address;
mod check;
mod credential;
mod fault;
pub mod limit;
pub mod model;
mod quantity;
mod raw;
mod secret;

use std::path::Path;

pub use address::HostPort;
pub use credential::{
    ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, InvalidCredential, ScramCredential,
};
pub use fault::{Fault, Faults};
pub use limit::Limit;
pub use model::{
    ANONYMOUS, Admin, BrokerSasl, BrokerTls, Cluster, Credential, Drain, Listener, ListenerTls, Log,
    LogFormat, Mechanism, Model, Process, TlsRoots, User, Users,
};
pub use secret::Secret;

/// Reads the file at `path` and every file that it names (users, PEM files, passwords), and environment variables that
/// it names. Relative paths are relative to the folder of `path`.
///
/// # Errors
/// Every fault that was found, in the order of the file.
pub fn load(path: &Path) -> Result<Model, Faults> {
    match std::fs::read_to_string(path) {
        Ok(text) => check::check(&text, path, path.parent().unwrap_or_else(|| Path::new(""))),
        Err(error) => Err(Faults(vec![Fault::of_file(
            path,
            format!("cannot be read ({error})"),
            "name a readable UTF-8 file",
        )])),
    }
}

/// As [`load`], of a text that was read already; `base` is the folder that relative paths are relative to. Faults name
/// the text `proxy.toml`.
///
/// # Errors
/// Every fault that was found, in the order of the text.
pub fn parse(text: &str, base: &Path) -> Result<Model, Faults> {
    check::check(text, Path::new("proxy.toml"), base)
}
