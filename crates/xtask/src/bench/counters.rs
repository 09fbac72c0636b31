//! What the kernel counted of a process: CPU time and memory, from `/proc`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

/// User and system time of all threads of the process, those that have ended included.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let ticks = cpu_ticks(&text).context("cannot read /proc/PID/stat")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / per_second.max(1)))
}

/// Fields 14 and 15 of `proc_pid_stat(5)`, counted behind the name, which may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory, KiB.
pub(crate) fn rss_kib(pid: u32) -> Result<u64> {
    status(pid, "VmRSS")
}

/// The most that was resident since the start or `forget_rss_max`, KiB.
pub(crate) fn rss_max_kib(pid: u32) -> Result<u64> {
    status(pid, "VmHWM")
}

/// Begins the high-water mark of resident memory anew.
pub(crate) fn forget_rss_max(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset VmHWM")
}

/// Open file descriptors, but for pipes: those that the gateway has made for large frames it keeps for the next ones, and
/// bounds by their number.
pub(crate) fn files(pid: u32) -> Result<u32> {
    let is_pipe = |file: &PathBuf| {
        fs::read_link(file).is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"pipe:"))
    };
    Ok(u32::try_from(entries(pid, "fd")?.iter().filter(|file| !is_pipe(file)).count())?)
}

/// Threads.
pub(crate) fn threads(pid: u32) -> Result<u32> {
    Ok(u32::try_from(entries(pid, "task")?.len())?)
}

fn entries(pid: u32, of: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/{of}")).context("the process is gone")?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?)
}

fn status(pid: u32, key: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    status_kib(&text, key).with_context(|| format!("no {key} in /proc/PID/status"))
}

fn status_kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, status_kib};

    #[test]
    fn cpu_time_is_read_behind_a_name_of_parentheses_and_spaces() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 7 8 20 0 3 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(123 + 45));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(status_kib(status, "VmRSS"), Some(512));
        assert_eq!(status_kib(status, "VmHWM"), Some(2048));
        assert_eq!(status_kib(status, "VmSwap"), None);
    }
}
