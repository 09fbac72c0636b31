//! Cargo, the one that runs us.

use std::env;
use std::process::Command;

use testkit::place;

/// A command of Cargo's, in the workspace.
pub(crate) fn command(name: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(place::workspace()).arg(name);
    cargo
}

/// What builds a package's programs. One package at a time: built together they would share features, and the gateway would
/// not be the one that ships.
pub(crate) fn build(package: &str) -> Command {
    let mut cargo = command("build");
    cargo.args(["--bins", "--package", package]);
    cargo
}
