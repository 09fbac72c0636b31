//! The same work's different ways: direct, through the gateway, and through those it is compared with.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use testkit::FreePorts;
use testkit::leash::Leash;

use super::pin;
use super::place::Place;
use super::programs::{Programs, Running};

/// Limits of the twin that has some.
pub(crate) const LIMITS: usize = 100;
/// As many for all who let us choose.
const THREADS: usize = 2;
const HAPROXY_CONNECTIONS_MAX: u64 = 6000;

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Twin {
    /// No proxy
    Direct,
    /// `HAProxy` in TCP mode with `option splice-auto`
    Haproxy,
    /// A bare tokio relay
    Relay,
    /// A blocking relay of two threads for each connection, copying
    FloorCopy,
    /// The same, splicing
    FloorSplice,
    /// Portcullis
    Gateway,
    /// The same with SASL, an admin address, and a hundred limits that never trigger
    Limited,
    /// Portcullis with one thread, on one core
    #[value(skip)]
    OneCore,
    /// Portcullis with two threads, on two cores
    #[value(skip)]
    TwoCores,
    /// The bare tokio relay with one thread, on one core
    #[value(skip)]
    RelayOneCore,
    /// The bare tokio relay with two threads, on two cores
    #[value(skip)]
    RelayTwoCores,
}

impl Twin {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Twin::Direct => "direct",
            Twin::Haproxy => "haproxy",
            Twin::Relay => "relay",
            Twin::FloorCopy => "floor-copy",
            Twin::FloorSplice => "floor-splice",
            Twin::Gateway => "gateway",
            Twin::Limited => "limited",
            Twin::OneCore => "1-core",
            Twin::TwoCores => "2-cores",
            Twin::RelayOneCore => "relay-1-core",
            Twin::RelayTwoCores => "relay-2-cores",
        }
    }

    /// Whether it is Portcullis.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Twin::Gateway | Twin::Limited | Twin::OneCore | Twin::TwoCores)
    }

    /// The cores that it is kept on, where it is.
    fn cores(self) -> Option<usize> {
        match self {
            Twin::OneCore | Twin::RelayOneCore => Some(1),
            Twin::TwoCores | Twin::RelayTwoCores => Some(2),
            Twin::Direct
            | Twin::Haproxy
            | Twin::Relay
            | Twin::FloorCopy
            | Twin::FloorSplice
            | Twin::Gateway
            | Twin::Limited => None,
        }
    }

    /// The threads that carry its connections, where it lets us choose.
    pub(crate) fn threads(self) -> usize {
        self.cores().unwrap_or(THREADS)
    }

    /// How a stream of requests comes in.
    pub(crate) fn entry(self) -> Entry {
        if self == Twin::Limited { Entry::Login } else { Entry::Plain }
    }
}

/// Whether there is TLS towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// No.
    Plain,
    /// TLS 1.3.
    Tls,
}

/// How the load comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Without anything.
    Plain,
    /// With SASL/PLAIN, where that is asked for.
    Login,
    /// With TLS.
    Tls,
    /// With both.
    TlsLogin,
}

impl Entry {
    pub(crate) fn has_login(self) -> bool {
        matches!(self, Entry::Login | Entry::TlsLogin)
    }

    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Entry::Tls | Entry::TlsLogin)
    }

    /// The same for those who ask nobody to log in.
    fn without_login(self) -> Entry {
        if self.has_tls() { Entry::Tls } else { Entry::Plain }
    }
}

/// A way that is open.
pub(crate) struct Way {
    /// Which one.
    pub(crate) twin: Twin,
    entrances: Vec<(Entry, SocketAddr)>,
    proxy: Option<Running>,
    _ports: Option<FreePorts>,
}

#[derive(Deserialize)]
struct Ports {
    ports: Vec<u16>,
}

/// Starts the sink and tells its address.
pub(crate) fn sink(programs: &Programs, leash: &mut Leash) -> Result<(Running, SocketAddr)> {
    let mut sink =
        Running::start(leash, &mut programs.ours("sink"), Some(&programs.output.join("sink.log")))?;
    let address = first(&mut sink)?;
    Ok((sink, address))
}

/// Where a program of ours listens.
pub(crate) fn first(program: &mut Running) -> Result<SocketAddr> {
    let Ports { ports } = program.told()?;
    Ok(loopback(*ports.first().context("no port")?))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Way {
    /// Opens the way to `broker`; the load's patience waits until it can be gone.
    pub(crate) fn open(
        twin: Twin,
        programs: &Programs,
        leash: &mut Leash,
        broker: SocketAddr,
    ) -> Result<Way> {
        let mut start = || match twin {
            Twin::Direct => {
                Ok(Way { twin, entrances: vec![(Entry::Plain, broker)], proxy: None, _ports: None })
            }
            Twin::Haproxy => haproxy(programs, leash, broker),
            Twin::Gateway | Twin::Limited | Twin::OneCore | Twin::TwoCores => {
                gateway(twin, programs, leash, broker)
            }
            Twin::Relay | Twin::RelayOneCore | Twin::RelayTwoCores | Twin::FloorCopy | Twin::FloorSplice => {
                relay(twin, programs, leash, broker)
            }
        };
        match twin.cores() {
            Some(cores) => pin::on_cores(cores, start),
            None => start(),
        }
    }

    /// Where it is entered so, or without a login where nobody asks for one; and which of both it is.
    pub(crate) fn entrance(&self, entry: Entry) -> Result<(Entry, SocketAddr)> {
        let at = |wanted| self.entrances.iter().find(|(found, _)| *found == wanted).copied();
        at(entry)
            .or_else(|| at(entry.without_login()))
            .with_context(|| format!("{} is not entered so", self.twin.name()))
    }

    /// The process of the proxy.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.proxy.as_ref().map(Running::pid)
    }

    /// An error where the proxy has ended by itself.
    pub(crate) fn stands(&mut self) -> Result<()> {
        if let Some(proxy) = &mut self.proxy {
            ensure!(proxy.runs()?, "{0} has ended; see target/bench/{0}.log", self.twin.name());
        }
        Ok(())
    }

    /// Lets the proxy end by itself.
    pub(crate) fn settle(self, leash: &mut Leash) -> Result<()> {
        self.proxy.map_or(Ok(()), |proxy| proxy.terminate(leash))
    }

    /// Ends the proxy.
    pub(crate) fn close(self, leash: &mut Leash) -> Result<()> {
        self.proxy.map_or(Ok(()), |proxy| proxy.end(leash))
    }
}

fn relay(twin: Twin, programs: &Programs, leash: &mut Leash, broker: SocketAddr) -> Result<Way> {
    let is_floor = matches!(twin, Twin::FloorCopy | Twin::FloorSplice);
    let mut command = programs.ours(if is_floor { "floor" } else { "relay" });
    command.arg(broker.to_string());
    if twin == Twin::FloorSplice {
        command.arg("--splice");
    }
    if !is_floor {
        command.args(["--runtimes", &twin.threads().to_string()]);
    }
    let mut proxy = Running::start(leash, &mut command, Some(&programs.log(twin.name())))?;
    let entrances = vec![(Entry::Plain, first(&mut proxy)?)];
    Ok(Way { twin, entrances, proxy: Some(proxy), _ports: None })
}

fn haproxy(programs: &Programs, leash: &mut Leash, broker: SocketAddr) -> Result<Way> {
    let program = programs.haproxy.as_ref().context("haproxy is not installed")?;
    let ports = FreePorts::reserve(2)?;
    let (plain, tls) = (loopback(ports.at(0)), loopback(ports.at(1)));
    // Two sockets for each connection, and a pipe of two ends for some of them.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let connections = files.map_or(HAPROXY_CONNECTIONS_MAX, |files| HAPROXY_CONNECTIONS_MAX.min(files / 3));
    let certificate = programs.tls.chain_and_key.display();
    let configuration = format!(
        "global\n  nbthread {THREADS}\n  maxconn {connections}\n\
         defaults\n  mode tcp\n  option splice-auto\n  timeout connect 5s\n  timeout client 5m\n  \
         timeout server 5m\n\
         listen kafka\n  bind {plain}\n  server sink {broker}\n\
         listen kafka-tls\n  bind {tls} ssl crt {certificate} ssl-min-ver TLSv1.3\n  server sink {broker}\n"
    );
    let path = programs.output.join("haproxy.cfg");
    fs::write(&path, configuration)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&path);
    let proxy = Running::start(leash, &mut command, Some(&programs.log("haproxy")))?;
    let entrances = vec![(Entry::Plain, plain), (Entry::Tls, tls)];
    Ok(Way { twin: Twin::Haproxy, entrances, proxy: Some(proxy), _ports: Some(ports) })
}

fn gateway(twin: Twin, programs: &Programs, leash: &mut Leash, broker: SocketAddr) -> Result<Way> {
    let place = Place::new(programs, twin, broker)?;
    let proxy = Running::start(leash, &mut place.command(programs), Some(&programs.log(twin.name())))?;
    Ok(Way { twin, entrances: place.entrances, proxy: Some(proxy), _ports: Some(place.ports) })
}
