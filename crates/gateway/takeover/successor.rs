//! Starting the program anew from its file, for supervisors that let nobody else start it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the program's file is: by the name that it was started with, so that a link that points elsewhere by now is
/// followed anew. To be asked at the start.
pub fn program() -> io::Result<PathBuf> {
    match std::env::args_os().next().map(PathBuf::from) {
        Some(name) if name.components().count() > 1 => Ok(name),
        _ => std::env::current_exe(),
    }
}

/// Starts it with this process's arguments and environment. It asks for the sockets by itself.
pub fn start(program: &Path) -> io::Result<()> {
    let mut child = Command::new(program).args(std::env::args_os().skip(1)).stdin(Stdio::null()).spawn()?;
    tracing::info!(pid = child.id(), program = %program.display(), "a successor was started");
    std::thread::Builder::new()
        .name("successor".to_owned())
        .spawn(move || match child.wait() {
            Ok(status) => tracing::warn!(%status, "the successor ended"),
            Err(error) => tracing::warn!(%error, "the successor's end was missed"),
        })
        .map(drop)
}
