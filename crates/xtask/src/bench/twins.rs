//! The same work's different ways: direct, through the gateway, and through those it is compared with.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use testkit::FreePorts;
use testkit::leash::Leash;

use super::programs::{Programs, Running};

/// User of the gateway's SASL listener.
pub(crate) const USER: &str = "bench";
/// Its password: no secret, the gateway listens on loopback only.
pub(crate) const PASSWORD: &str = "bench-password";
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
    /// The same with a hundred limits that never trigger
    Limited,
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
        }
    }
}

/// A way that is open.
pub(crate) struct Way {
    /// Which one.
    pub(crate) twin: Twin,
    /// Where it is entered.
    pub(crate) address: SocketAddr,
    /// Where it is entered with SASL/PLAIN, if it speaks that.
    pub(crate) login_address: Option<SocketAddr>,
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

fn first(program: &mut Running) -> Result<SocketAddr> {
    let Ports { ports } = program.told()?;
    Ok(loopback(*ports.first().context("no port")?))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Way {
    /// Opens the way to `sink`; the load's patience waits until it can be gone.
    pub(crate) fn open(twin: Twin, programs: &Programs, leash: &mut Leash, sink: SocketAddr) -> Result<Way> {
        let way = |address, proxy| Way { twin, address, login_address: None, proxy, _ports: None };
        match twin {
            Twin::Direct => Ok(way(sink, None)),
            Twin::Haproxy => haproxy(programs, leash, sink),
            Twin::Gateway => gateway(twin, programs, leash, sink, 0),
            Twin::Limited => gateway(twin, programs, leash, sink, LIMITS),
            Twin::Relay | Twin::FloorCopy | Twin::FloorSplice => {
                let mut command = programs.ours(if twin == Twin::Relay { "relay" } else { "floor" });
                command.arg(sink.to_string());
                if twin == Twin::FloorSplice {
                    command.arg("--splice");
                }
                let log = programs.output.join(format!("{}.log", twin.name()));
                let mut proxy = Running::start(leash, &mut command, Some(&log))?;
                let address = first(&mut proxy)?;
                Ok(way(address, Some(proxy)))
            }
        }
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

    /// Ends the proxy.
    pub(crate) fn close(self, leash: &mut Leash) -> Result<()> {
        self.proxy.map_or(Ok(()), |proxy| proxy.end(leash))
    }
}

fn haproxy(programs: &Programs, leash: &mut Leash, sink: SocketAddr) -> Result<Way> {
    let program = programs.haproxy.as_ref().context("haproxy is not installed")?;
    let ports = FreePorts::reserve(1)?;
    let address = loopback(ports.base());
    // Two sockets for each connection, and a pipe of two ends for some of them.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let connections = files.map_or(HAPROXY_CONNECTIONS_MAX, |files| HAPROXY_CONNECTIONS_MAX.min(files / 3));
    let configuration = format!(
        "global\n  nbthread {THREADS}\n  maxconn {connections}\n\
         defaults\n  mode tcp\n  option splice-auto\n  timeout connect 5s\n  timeout client 5m\n  \
         timeout server 5m\n\
         listen kafka\n  bind {address}\n  server sink {sink}\n"
    );
    let path = programs.output.join("haproxy.cfg");
    fs::write(&path, configuration)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&path);
    let proxy = Running::start(leash, &mut command, Some(&programs.output.join("haproxy.log")))?;
    Ok(Way { twin: Twin::Haproxy, address, login_address: None, proxy: Some(proxy), _ports: Some(ports) })
}

/// A gateway's configuration and its ports.
pub(crate) struct Place {
    /// Its `proxy.toml`.
    pub(crate) file: PathBuf,
    /// The ports of the sink's one node: without a login, and with one.
    pub(crate) nodes: [SocketAddr; 2],
    ports: FreePorts,
}

impl Place {
    /// Before `sink`, with so many limits.
    pub(crate) fn new(programs: &Programs, sink: SocketAddr, limits: usize) -> Result<Place> {
        let ports = FreePorts::reserve(6)?;
        let mut configuration = format!(
            "[process]\nthreads = {THREADS}\n\n[[cluster]]\nname = \"bench\"\nbootstrap = [\"{sink}\"]\n\n"
        );
        // The node is node 1, so its ports are one above their base.
        let nodes = [loopback(ports.at(3)), loopback(ports.at(5))];
        for (bind, node, sasl) in
            [(ports.at(0), nodes[0], ""), (ports.at(1), nodes[1], "sasl = [\"PLAIN\"]\n")]
        {
            write!(
                configuration,
                "[[cluster.listener]]\nbind = \"{}\"\nnode_port_base = {}\nnode_ids = \"1\"\n{sasl}\n",
                loopback(bind),
                node.port() - 1
            )?;
        }
        write!(configuration, "[[user]]\nname = \"{USER}\"\npassword = \"{PASSWORD}\"\n")?;
        (0..limits).for_each(|number| configuration.push_str(&limit(number)));
        let file = programs.output.join(format!("proxy-{limits}-limits.toml"));
        fs::write(&file, configuration)?;
        Ok(Place { file, nodes, ports })
    }
}

/// A limit of one kind after the other, by one key after the other, far above what the bench can do.
fn limit(number: usize) -> String {
    let kinds = [
        "kind = \"fixed-window\"\ncount = 1_000_000_000_000\nwindow = \"60s\"",
        "kind = \"leaky-bucket\"\nrate = 100_000_000\nburst = 100_000_000",
        "kind = \"sliding-window\"\ncount = 1_000_000_000_000\nwindow = \"60s\"",
        "kind = \"bytes\"\nproduce_rate = \"900GiB/s\"\nfetch_rate = \"900GiB/s\"",
        "kind = \"leaky-bucket\"\nrate = 200_000_000\nburst = 100_000_000\nmode = \"observe\"",
    ];
    let keys =
        ["\"principal\"", "\"client_id\"", "\"address\"", "", "\"principal\", \"client_id\"", "\"api\""];
    let (kind, by) = (kinds[number % kinds.len()], keys[number % keys.len()]);
    format!("[[limit]]\nname = \"limit-{number}\"\nby = [{by}]\n{kind}\n")
}

fn gateway(
    twin: Twin,
    programs: &Programs,
    leash: &mut Leash,
    sink: SocketAddr,
    limits: usize,
) -> Result<Way> {
    let Place { file, nodes: [address, login], ports } = Place::new(programs, sink, limits)?;
    let mut command = programs.ours("portcullis");
    command.arg("run").arg(&file);
    let log = programs.output.join(format!("{}.log", twin.name()));
    let proxy = Running::start(leash, &mut command, Some(&log))?;
    Ok(Way { twin, address, login_address: Some(login), proxy: Some(proxy), _ports: Some(ports) })
}
