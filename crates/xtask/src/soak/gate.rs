//! The gateway under the loads: started, reloaded, scraped, and looked at from outside.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use testkit::gateway::Reloaded;
use testkit::{Gateway, GatewayConfig, wait};

use crate::bench::counters;
use crate::bench::programs::Programs;
use crate::rolling_upgrade::ground::{Ends, ends};

/// Who logs in. No secret: the gateway listens on loopback only.
pub(crate) const USER: (&str, &str) = ("soak", "soak-password");

/// Time for what the gateway still closes when the last client has left.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// What the kernel counted of the gateway.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the loads began.
    pub(crate) at_s: f64,
    pub(crate) rss_mib: f64,
    pub(crate) files: u32,
    pub(crate) threads: u32,
    /// Since the sample before; 100 is one core.
    pub(crate) cpu_percent: f64,
    /// How long `/metrics` took to be answered.
    pub(crate) scrape_ms: f64,
}

/// The gateway.
pub(crate) struct Gate {
    gateway: Gateway,
    config: GatewayConfig,
    files_at_rest: u32,
    seen: (Instant, Duration),
    /// How often its configuration was read anew.
    pub(crate) reloads: u32,
}

impl Gate {
    /// Starts the gateway before `sink`, with an entrance for anybody and one for who logs in; both addresses as well.
    pub(crate) fn open(programs: &Programs, sink: SocketAddr) -> Result<(Gate, [SocketAddr; 2])> {
        let mut config = GatewayConfig::new()?;
        let mut login = config.listener();
        login.sasl = true;
        config.users.push((USER.0.to_owned(), USER.1.to_owned()));
        let sink = sink.to_string();
        let cluster = config.add_cluster("soak", vec![sink.clone()], [(1, sink)].into());
        cluster.more.clear();
        cluster.listeners.push(login);
        for listener in &mut cluster.listeners {
            // The idle ones stay to the end.
            listener.more.push("idle_timeout = \"1d\"".to_owned());
        }
        let nodes = |nth: usize| cluster.listeners.get(nth).map(|listener| listener.node_port_base + 1);
        let ports = nodes(0).zip(nodes(1)).context("two listeners")?;
        let gateway = Gateway::start(&programs.gateway, &config)?;
        let pid = gateway.pid();
        let (files_at_rest, seen) = (counters::files(pid)?, (Instant::now(), counters::cpu(pid)?));
        let entrances = [ports.0, ports.1].map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Ok((Gate { gateway, config, files_at_rest, seen, reloads: 0 }, entrances))
    }

    /// Looks at it and scrapes its metrics.
    pub(crate) fn sample(&mut self, begin: Instant) -> Result<Sample> {
        let pid = self.gateway.pid();
        let (before, cpu_before) = self.seen;
        let asked = Instant::now();
        self.gateway.metrics()?;
        let scrape = asked.elapsed();
        let (now, cpu) = (Instant::now(), counters::cpu(pid)?);
        self.seen = (now, cpu);
        Ok(Sample {
            at_s: (now - begin).as_secs_f64(),
            rss_mib: mib(counters::rss_kib(pid)?),
            files: counters::files(pid)?,
            threads: counters::threads(pid)?,
            cpu_percent: 100.0 * cpu.saturating_sub(cpu_before).as_secs_f64() / (now - before).as_secs_f64(),
            scrape_ms: scrape.as_secs_f64() * 1e3,
        })
    }

    /// Lets it read another configuration, by SIGHUP: one administrator more or less.
    pub(crate) fn reload(&mut self) -> Result<()> {
        self.reloads += 1;
        let mut config = self.config.clone();
        if self.reloads % 2 == 1 {
            let cluster = config.clusters.first_mut().context("no cluster")?;
            cluster.more.push(format!("admins = [{:?}]", USER.0));
        }
        let reloaded = self.gateway.reload_text(&config.to_toml())?;
        ensure!(reloaded == Reloaded::Applied, "a reload was refused; its log says why");
        Ok(())
    }

    /// How connections ended so far.
    pub(crate) fn ends(&self) -> Result<Ends> {
        ends(&self.gateway.metrics()?)
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        self.gateway.log()
    }

    /// Open descriptors before the first client came, and when the last one has left.
    pub(crate) fn files_at_rest(&self) -> Result<(u32, u32)> {
        let look = || counters::files(self.gateway.pid());
        let rested = || Ok(Some(look()?).filter(|files| *files <= self.files_at_rest));
        // Where it does not come to that, the judgement says so.
        let after = match wait::until("rest", REST_LIMIT, rested) {
            Ok(files) => files,
            Err(_) => look()?,
        };
        Ok((self.files_at_rest, after))
    }
}

#[allow(clippy::cast_precision_loss, reason = "KiB of a process are below 2^52")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
