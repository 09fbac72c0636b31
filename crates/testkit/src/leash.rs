//! Ties processes and a directory to the life of the one who started them.
//!
//! A small shell reads the names of processes from a pipe whose other end only we hold. When the pipe ends, because
//! the leash is dropped, a test panicked or we were killed, the shell kills what it was told of, and removes the
//! directory. There is one way only, so that the rare case is as well tried as the common one.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{env, thread};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
pids=
while read -r verb pid; do
  case "$verb" in
    add) pids="$pids $pid" ;;
    drop) kept=; for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done; pids="$kept" ;;
  esac
done
for p in $pids; do kill -KILL -- "-$p" 2>/dev/null || kill -KILL "$p" 2>/dev/null; done
[ -z "$1" ] && exit 0
for again in 1 2 3 4 5; do rm -rf -- "$1" 2>/dev/null && exit 0; sleep 0.2; done
"#;

/// The leash; what is on it ends when it is dropped.
#[derive(Debug)]
pub struct Leash {
    shell: Child,
    pipe: Option<ChildStdin>,
    directory: Option<PathBuf>,
}

impl Leash {
    /// A leash that removes `directory` at its end as well, unless the variable `PORTCULLIS_KEEP` is set.
    pub fn new(directory: Option<&Path>) -> Result<Leash> {
        let directory = directory.filter(|_| env::var_os("PORTCULLIS_KEEP").is_none());
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("leash")
            .arg(directory.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: an interrupt from the terminal must not end it before its work is done.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let pipe = shell.stdin.take();
        Ok(Leash { shell, pipe, directory: directory.map(Path::to_path_buf) })
    }

    /// Starts a process in a group of its own, and ties it.
    pub fn spawn(&mut self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_os_string();
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        self.tell("add", child.id())?;
        Ok(child)
    }

    /// Lets go of a process that has ended and was waited for.
    pub fn release(&mut self, pid: u32) -> Result<()> {
        self.tell("drop", pid)
    }

    fn tell(&mut self, verb: &str, pid: u32) -> Result<()> {
        let pipe = self.pipe.as_mut().context("the leash has ended")?;
        writeln!(pipe, "{verb} {pid}").context("the leash's shell is gone")
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Only a complaint is possible in here.
        if let Err(error) = self.shell.wait() {
            eprintln!("leash: {error}");
        }
        if let Some(directory) = &self.directory
            && directory.exists()
            && !thread::panicking()
        {
            eprintln!("leash: {} is still there", directory.display());
        }
    }
}
