//! Where things lie: the workspace and its target directory.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here).to_path_buf()
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(named) => workspace().join(named),
        None => workspace().join("target"),
    }
}

/// The Python that has the clients of `PyPI`; `cargo xtask test` makes it.
pub fn python() -> PathBuf {
    target().join("python/bin/python")
}

/// The sources of the programs on client libraries.
pub fn clients_source() -> PathBuf {
    workspace().join("tests/clients")
}

/// The modules of npm; `cargo xtask test` installs them.
pub fn node_modules() -> PathBuf {
    target().join("clients/node/node_modules")
}

/// The directory of the programs in Go; `cargo xtask test` builds them.
pub fn go_clients() -> PathBuf {
    target().join("clients/go")
}

/// The classes of the load on Java's own client; `cargo xtask test` compiles them.
pub fn java_client() -> PathBuf {
    target().join("clients/java")
}

/// How much of the matrix of versions and clients is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// What covers each promise once: `cargo xtask test`.
    Covering,
    /// Every version with every client: `cargo xtask matrix`.
    Full,
}

/// What `PORTCULLIS_MATRIX` asks for: `full`, else the covering subset.
pub fn breadth() -> Breadth {
    if env::var_os("PORTCULLIS_MATRIX").is_some_and(|value| value == "full") {
        Breadth::Full
    } else {
        Breadth::Covering
    }
}
