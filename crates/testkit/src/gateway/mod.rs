//! The real gateway as a process: started from a configuration, asked over its admin address, ended at drop.

mod config;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

pub use config::{ClusterConfig, GatewayConfig, ListenerConfig, ListenerTls};

use crate::leash::Leash;
use crate::wait;

const READY_LIMIT: Duration = Duration::from_secs(20);
const RELOAD_LIMIT: Duration = Duration::from_secs(10);
const RELOADS: &str = "portcullis_reloads_total";

/// A running gateway; killed at drop.
#[derive(Debug)]
pub struct Gateway {
    // Declared before the child: it goes first, and takes the process along.
    leash: Leash,
    child: Child,
    directory: PathBuf,
    config: GatewayConfig,
    log: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts `binary run proxy.toml`, and returns when `/readyz` says so. In tests of the root package the binary is
    /// `env!("CARGO_BIN_EXE_portcullis")`.
    pub fn start(binary: impl AsRef<Path>, config: &GatewayConfig) -> Result<Gateway> {
        let mut gateway = Gateway::begin(binary, config)?;
        wait::until("a ready gateway", READY_LIMIT, || {
            if let Some(status) = gateway.child.try_wait()? {
                bail!("the gateway ended ({status}) instead of becoming ready:\n{}", gateway.log());
            }
            Ok(gateway.http("/readyz").is_ok_and(|(status, _)| status == 200).then_some(()))
        })
        .with_context(|| format!("its log:\n{}", gateway.log()))?;
        Ok(gateway)
    }

    /// The same without waiting: for gateways that cannot become ready.
    pub fn begin(binary: impl AsRef<Path>, config: &GatewayConfig) -> Result<Gateway> {
        let directory = tempfile::Builder::new().prefix("portcullis-gateway-").tempdir()?.keep();
        let mut leash = Leash::new(Some(&directory))?;
        let file = directory.join("proxy.toml");
        fs::write(&file, config.to_toml())?;
        let mut command = Command::new(binary.as_ref());
        command.arg("run").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = leash.spawn(&mut command)?;
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            thread::spawn(move || collect(stderr, &log));
        }
        Ok(Gateway { leash, child, directory, config: config.clone(), log })
    }

    /// Starts another process with this one's configuration, and returns it when it has taken over; this one drains. See
    /// [`GatewayConfig::with_takeover`].
    pub fn followed(&self, binary: impl AsRef<Path>) -> Result<Gateway> {
        let mut next = Gateway::begin(binary, &self.config)?;
        wait::until("a take-over", READY_LIMIT, || {
            if let Some(status) = next.child.try_wait()? {
                bail!("the successor ended ({status}):\n{}", next.log());
            }
            Ok(next.log().contains("took over").then_some(()))
        })
        .with_context(|| format!("its log:\n{}\nand its predecessor's:\n{}", next.log(), self.log()))?;
        Ok(next)
    }

    /// `127.0.0.1:port` where clients of the first listener bootstrap.
    ///
    /// # Panics
    /// When the configuration has no listener.
    pub fn address(&self) -> String {
        let listener = self.config.clusters.iter().flat_map(|cluster| &cluster.listeners).next();
        let port = listener.map(ListenerConfig::advertised_port);
        format!("127.0.0.1:{}", port.unwrap_or_else(|| unreachable!("a gateway without a listener")))
    }

    /// The configuration that was applied last.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// Where its files lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log contains this.
    pub fn wait_log(&self, text: &str, limit: Duration) -> Result<()> {
        wait::until(&format!("{text:?} in the gateway's log"), limit, || {
            Ok(self.log().contains(text).then_some(()))
        })
        .with_context(|| format!("the log:\n{}", self.log()))
    }

    /// GET on the admin address: status code and body.
    pub fn http(&self, path: &str) -> Result<(u16, String)> {
        get(self.config.admin_port(), path)
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> Result<String> {
        let (status, body) = self.http("/metrics")?;
        if status != 200 {
            bail!("/metrics answered {status}");
        }
        Ok(body)
    }

    /// The sum over all series of this name that have these labels; 0 when there are none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        Ok(sum(&self.metrics()?, name, labels))
    }

    /// Waits until a metric's sum is as wanted.
    pub fn wait_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        limit: Duration,
        wanted: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        wait::until(&format!("{name}{labels:?}"), limit, || {
            Ok(Some(self.metric(name, labels)?).filter(|value| wanted(*value)))
        })
        .with_context(|| format!("metrics:\n{}", self.metrics().unwrap_or_default()))
    }

    /// Writes a new configuration, sends SIGHUP, and waits until it was applied; an error when it was refused.
    pub fn reload(&mut self, config: &GatewayConfig) -> Result<()> {
        if self.reload_text(&config.to_toml())? == Reloaded::Refused {
            bail!("the gateway refused the configuration:\n{}", self.log());
        }
        self.config = config.clone();
        Ok(())
    }

    /// Writes this as the configuration, sends SIGHUP, and waits until it was applied or refused.
    pub fn reload_text(&self, text: &str) -> Result<Reloaded> {
        let counts = || -> Result<(f64, f64)> {
            let metrics = self.metrics()?;
            let count = |result| sum(&metrics, RELOADS, &[("result", result)]);
            Ok((count("applied"), count("refused")))
        };
        let before = counts()?;
        // Renamed: a reload that is still under way must not see a half of it.
        let new = self.directory.join("proxy.toml.new");
        fs::write(&new, text)?;
        fs::rename(&new, self.directory.join("proxy.toml"))?;
        self.signal(Signal::HUP)?;
        wait::until("the end of a reload", RELOAD_LIMIT, || {
            let now = counts()?;
            let refused = (now.1 > before.1).then_some(Reloaded::Refused);
            Ok(refused.or((now.0 > before.0).then_some(Reloaded::Applied)))
        })
        .with_context(|| format!("the log:\n{}", self.log()))
    }

    /// SIGTERM: it drains. [`Gateway::wait_end`] tells how it ended.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for its end.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = wait::until("the gateway's end", limit, || Ok(self.child.try_wait()?))
            .with_context(|| format!("the log:\n{}", self.log()))?;
        self.leash.release(self.child.id())?;
        Ok(status)
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.split_whitespace().next().context("an empty VmRSS")?.parse()?)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal the gateway")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the gateway's log\n{}---", self.log());
        }
        // The leash kills once more, which is then void; waiting here leaves nothing in the process table.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("gateway: {error}");
        }
    }
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The new configuration is in force.
    Applied,
    /// Nothing was changed.
    Refused,
}

fn collect(stderr: ChildStderr, log: &Mutex<String>) {
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { return };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&String::from_utf8_lossy(&line));
        log.push('\n');
    }
}

fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // A reset after the whole answer is no news.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error.into()),
        _ => {}
    }
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).context("no HTTP status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// Sums the series of one name that have these labels.
pub(crate) fn sum(metrics: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let matching = metrics.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (series_name, of_series) = series.split_once('{').unwrap_or((series, ""));
        let has = |(label, value): &(&str, &str)| of_series.contains(&format!("{label}=\"{value}\""));
        (series_name == name && labels.iter().all(has)).then(|| value.parse::<f64>().ok())?
    });
    matching.sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_the_series_that_have_its_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na{x=\"2\"} 8\nab{x=\"1\"} 16\nb 32\n";
        assert!((sum(text, "a", &[("x", "1")]) - 7.0).abs() < f64::EPSILON);
        assert!((sum(text, "b", &[]) - 32.0).abs() < f64::EPSILON);
    }
}
