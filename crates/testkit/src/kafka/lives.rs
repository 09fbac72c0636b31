//! The lives of a cluster's nodes: ended, frozen, started again with another version of Kafka or at another port, while
//! the others go on.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::node::Process;
use super::topics;
use super::{KafkaCluster, islands};
use crate::wait;

/// A replica that was away has to fetch what it missed.
const IN_SYNC_LIMIT: Duration = Duration::from_mins(2);

impl KafkaCluster {
    /// Kills every node at once. Data stays.
    pub fn kill_all(&self) -> Result<()> {
        self.ids().into_iter().try_for_each(|id| self.kill_node(id))
    }

    /// Ends a node as its operator would: leadership moves away first. Returns when its process is gone.
    pub fn stop_node(&self, id: i32) -> Result<()> {
        self.end(id, Process::stop)
    }

    /// SIGKILL. Returns when the process is gone; the cluster will notice by itself later.
    pub fn kill_node(&self, id: i32) -> Result<()> {
        self.end(id, Process::kill)
    }

    fn end(&self, id: i32, how: impl Fn(&mut Process) -> Result<()>) -> Result<()> {
        // Taken out, so that the lock is not held while a node stops.
        let Some(mut process) = self.lock().processes.remove(&id) else { return Ok(()) };
        how(&mut process)?;
        let mut nodes = self.lock();
        if let Some(leash) = &mut nodes.leash {
            leash.release(process.pid())?;
        }
        self.set_pid(&mut nodes, id, None)
    }

    /// Silences a node in the middle of whatever it does: its connections stay open, and nothing comes from it any more, neither bytes
    /// nor an end of them. On an island all packets to and from it are lost. Elsewhere its process is stopped (SIGSTOP), so that the
    /// kernel still takes what is sent.
    pub fn freeze_node(&self, id: i32) -> Result<()> {
        if self.lock().plan.on_islands {
            return islands::cut(id);
        }
        self.with_process(id, Process::freeze)
    }

    /// Lets a frozen node go on. [`KafkaCluster::wait_in_sync`] tells when it has found its way back.
    pub fn thaw_node(&self, id: i32) -> Result<()> {
        if self.lock().plan.on_islands {
            return islands::join(id);
        }
        self.with_process(id, Process::thaw)
    }

    fn with_process(&self, id: i32, does: impl Fn(&mut Process) -> Result<()>) -> Result<()> {
        let mut nodes = self.lock();
        does(nodes.processes.get_mut(&id).with_context(|| format!("node {id} does not run"))?)
    }

    /// Starts a node that was ended, with the data it had. Returns when the cluster is whole again.
    pub fn start_node(&self, id: i32) -> Result<()> {
        self.start_node_as(id, None, None)
    }

    /// The same with another version of Kafka or another port of its `CLIENT` listener.
    pub fn start_node_as(&self, id: i32, version: Option<&str>, client_port: Option<u16>) -> Result<()> {
        {
            let mut nodes = self.lock();
            if nodes.processes.contains_key(&id) {
                bail!("node {id} runs already");
            }
            let node = nodes.plan.nodes.get_mut(&id).with_context(|| format!("there is no node {id}"))?;
            if let Some(version) = version {
                version.clone_into(&mut node.version);
            }
            if let Some(port) = client_port {
                node.client_port = port;
            }
        }
        self.launch(id)?;
        self.wait_ready()
    }

    /// Starts every node that does not run, all at once. Returns when the cluster is whole again.
    pub fn start_all(&self) -> Result<()> {
        let running: BTreeSet<i32> = self.lock().processes.keys().copied().collect();
        for id in self.ids().into_iter().filter(|id| !running.contains(id)) {
            self.launch(id)?;
        }
        self.wait_ready()
    }

    /// Waits until every partition has a leader and all of its replicas in sync, as each running node sees it: only then
    /// the next node may go without taking the last good copy of something along.
    pub fn wait_in_sync(&self) -> Result<()> {
        let mut said = String::new();
        wait::until("all replicas in sync", IN_SYNC_LIMIT, || {
            for (id, (internal, _)) in self.running()? {
                let lagging = topics::lagging_at(internal).unwrap_or_else(|error| vec![error.to_string()]);
                if !lagging.is_empty() {
                    said = format!("node {id} says: {}", lagging.join(", "));
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .with_context(|| said)
    }
}
