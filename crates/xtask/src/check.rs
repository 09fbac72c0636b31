//! `cargo xtask test` and `cargo xtask matrix`: provides what tests need, then runs them.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use clap::Args;
pub(crate) use testkit::place::Breadth;

use crate::{cargo, provide};

#[derive(Args)]
pub(crate) struct Options {
    /// Build with the release profile.
    #[arg(long)]
    release: bool,
    /// Passed on to `cargo test`, e.g. `-- --test e2e` or `-- -p portcullis-wire`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &Options, breadth: Breadth) -> Result<()> {
    provide::everything()?;
    let mut command = cargo::command("test");
    if options.release {
        command.arg("--release");
    }
    if options.arguments.is_empty() {
        command.args(["--workspace", "--no-fail-fast"]);
    } else {
        command.args(&options.arguments);
    }
    if breadth == Breadth::Full {
        command.env("PORTCULLIS_MATRIX", "full");
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo test: {status}");
    }
    Ok(())
}
