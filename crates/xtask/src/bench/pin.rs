//! Programs on some cores only.

use anyhow::{Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `start` on the first `cores` of those that we may use; what it starts stays there, all of its threads. We do
/// not.
pub(crate) fn on_cores<T>(cores: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let ours = sched_getaffinity(None)?;
    let mut first = CpuSet::new();
    let usable = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core)).take(cores);
    usable.for_each(|core| first.set(core));
    let found = first.count();
    ensure!(usize::try_from(found)? == cores, "{found} cores in place of {cores}");
    sched_setaffinity(None, &first)?;
    let started = start();
    sched_setaffinity(None, &ours)?;
    started
}

#[cfg(test)]
mod tests {
    use super::on_cores;

    #[test]
    fn what_is_started_on_one_core_stays_there_and_we_do_not() -> anyhow::Result<()> {
        let allowed = |pid: u32| -> anyhow::Result<usize> {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"));
            Ok(list
                .into_iter()
                .flat_map(str::chars)
                .filter_map(|digit| digit.to_digit(16))
                .fold(0, |sum, digit| sum + usize::try_from(digit.count_ones()).unwrap_or(0)))
        };
        let before = rustix::thread::sched_getaffinity(None)?.count();
        let mut child = on_cores(1, || Ok(std::process::Command::new("sleep").arg("10").spawn()?))?;
        assert_eq!(allowed(child.id())?, 1);
        assert_eq!(rustix::thread::sched_getaffinity(None)?.count(), before);
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}
