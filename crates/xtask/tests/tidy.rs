//! `cargo xtask tidy` under `cargo test`.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_workspace_is_tidy() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("tidy").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
