//! A gateway's configuration: its listeners, its user, its limits.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use testkit::FreePorts;

use super::programs::Programs;
use super::twins::{Entry, LIMITS, Twin, loopback};

/// User of the listeners with SASL.
pub(crate) const USER: &str = "bench";
/// Its password: no secret, the gateway listens on loopback only.
pub(crate) const PASSWORD: &str = "bench-password";

/// Of each listener: where clients bootstrap, the base of its nodes, and its one node.
const PORTS_PER_LISTENER: u16 = 3;
const LISTENERS: [Entry; 4] = [Entry::Plain, Entry::Login, Entry::Tls, Entry::TlsLogin];

/// A gateway's configuration and its ports.
pub(crate) struct Place {
    /// Its `proxy.toml`.
    file: PathBuf,
    /// The ports of the sink's one node, by the ways in.
    pub(crate) entrances: Vec<(Entry, SocketAddr)>,
    /// Reserved as long as they are needed.
    pub(crate) ports: FreePorts,
}

impl Place {
    /// In front of `broker`, as this twin has it.
    pub(crate) fn new(programs: &Programs, twin: Twin, broker: SocketAddr) -> Result<Place> {
        let threads = twin.threads();
        let ports = FreePorts::reserve(4 * PORTS_PER_LISTENER + 1)?;
        let mut configuration = String::new();
        if twin == Twin::Limited {
            let admin = loopback(ports.at(4 * PORTS_PER_LISTENER));
            write!(configuration, "[admin]\nbind = \"{admin}\"\n\n")?;
        }
        write!(
            configuration,
            "[process]\nthreads = {threads}\n\n[[cluster]]\nname = \"bench\"\nbootstrap = [\"{broker}\"]\n\n"
        )?;
        let mut entrances = Vec::new();
        for (listener, entry) in (0..).zip(LISTENERS) {
            // The node is node 1, so its port is one above its base.
            let [bind, base, node] = [0, 1, 2].map(|place| ports.at(listener * PORTS_PER_LISTENER + place));
            let bind = loopback(bind);
            write!(
                configuration,
                "[[cluster.listener]]\nbind = \"{bind}\"\nnode_port_base = {base}\nnode_ids = \"1\"\n"
            )?;
            if entry.has_login() {
                configuration.push_str("sasl = [\"PLAIN\"]\n");
            }
            if entry.has_tls() {
                let (chain, key) = (programs.tls.chain.display(), programs.tls.key.display());
                writeln!(configuration, "tls = {{ certificate = \"{chain}\", key = \"{key}\" }}")?;
            }
            configuration.push('\n');
            entrances.push((entry, loopback(node)));
        }
        write!(configuration, "[[user]]\nname = \"{USER}\"\npassword = \"{PASSWORD}\"\n")?;
        if twin == Twin::Limited {
            (0..LIMITS).for_each(|number| configuration.push_str(&limit(number)));
        }
        let file = programs.output.join(format!("proxy-{}.toml", twin.name()));
        fs::write(&file, configuration)?;
        Ok(Place { file, entrances, ports })
    }

    /// What runs the gateway.
    pub(crate) fn command(&self, programs: &Programs) -> Command {
        let mut command = Command::new(&programs.gateway);
        command.arg("run").arg(&self.file);
        command
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
