//! Networks of a test's own, one for each node of a cluster, so that packets can be lost: a process in a network namespace without
//! any way out (the sea), in which a bridge connects further namespaces (the islands). Needs root and iproute2.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Result, ensure};

/// Set for a process that is in the sea.
const AT_SEA: &str = "PORTCULLIS_AT_SEA";
const BRIDGE: &str = "sea";
/// Where whoever is not on an island has its address.
const SHORE: &str = "10.77.0.254/24";

/// Whether this process is in a network of its own.
pub fn at_sea() -> bool {
    std::env::var_os(AT_SEA).is_some()
}

/// The same command line again, in a network and a file system of its own: what is made there ends with it.
pub fn put_out() -> Result<Command> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env(AT_SEA, "1");
    Ok(command)
}

/// Makes the sea, in a process that [`put_out`] has started.
pub fn make_sea() -> Result<()> {
    std::fs::create_dir_all("/run/netns")?;
    run("mount", &["-t", "tmpfs", "tmpfs", "/run/netns"])?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["address", "add", SHORE, "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

/// A node's address.
pub(super) fn address(id: i32) -> String {
    format!("10.77.0.{id}")
}

/// Makes the island of a node.
pub(super) fn raise(id: i32) -> Result<()> {
    let (island, inner, outer) = (island(id), format!("in{id}"), coast(id));
    ip(&["netns", "add", &island])?;
    let hardware = format!("02:00:00:00:00:{id:02x}");
    let cable = ["link", "add", &outer, "type", "veth", "peer", "name", &inner, "address", &hardware];
    ip(&[&cable[..], &["netns", &island]].concat())?;
    ip(&["link", "set", &outer, "master", BRIDGE, "up"])?;
    ip(&["-netns", &island, "link", "set", "lo", "up"])?;
    ip(&["-netns", &island, "address", "add", &format!("{}/24", address(id)), "dev", &inner])?;
    ip(&["-netns", &island, "link", "set", &inner, "up"])?;
    // Known for good, so that what is sent to a silent node is lost, and does not fail for want of somebody who knows it.
    ip(&["neighbour", "add", &address(id), "lladdr", &hardware, "dev", BRIDGE, "nud", "permanent"])
}

/// A command on a node's island.
pub(super) fn on(id: i32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &island(id)]).arg(program);
    command
}

/// From now on every packet to and from a node is lost: its port of the bridge learns and forwards nothing.
pub(super) fn cut(id: i32) -> Result<()> {
    ip(&["link", "set", &coast(id), "nomaster"])
}

/// They arrive again.
pub(super) fn join(id: i32) -> Result<()> {
    ip(&["link", "set", &coast(id), "master", BRIDGE])
}

fn island(id: i32) -> String {
    format!("island{id}")
}

/// The end of an island's cable that is in the sea.
fn coast(id: i32) -> String {
    format!("coast{id}")
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), told.trim());
    Ok(())
}
