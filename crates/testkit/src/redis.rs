//! A real Redis, which may be killed and started again at the same address.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::free_ports::FreePorts;
use crate::leash::Leash;
use crate::wait;

const READY_LIMIT: Duration = Duration::from_secs(20);

/// A running server, which stores nothing; killed at drop.
#[derive(Debug)]
pub struct Redis {
    leash: Leash,
    child: Option<Child>,
    ports: FreePorts,
    password: String,
}

impl Redis {
    /// Starts one that asks for this password.
    pub fn start(password: &str) -> Result<Redis> {
        let mut redis = Redis {
            leash: Leash::new(None)?,
            child: None,
            ports: FreePorts::reserve(1)?,
            password: password.to_owned(),
        };
        redis.restart()?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.ports.base())
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        self.leash.release(child.id())
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) -> Result<()> {
        let port = self.ports.base().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
        command.args(["--requirepass", &self.password]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(self.leash.spawn(&mut command).context("redis-server")?);
        wait::until("a ready redis-server", READY_LIMIT, || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!("redis-server ended ({})", status?);
            }
            Ok(self.answers().is_ok().then_some(()))
        })
    }

    fn answers(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.base()))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 1];
        Ok(stream.read_exact(&mut answer)?)
    }

    /// Publishes a text, as somebody might who has no business there.
    pub fn publish(&self, channel: &str, text: &str) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.base()))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "AUTH {}\r\n", self.password)?;
        write!(
            stream,
            "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n{text}\r\n",
            channel.len(),
            text.len()
        )?;
        let mut answers = [0; 6];
        stream.read_exact(&mut answers)?;
        if &answers[..5] != b"+OK\r\n" || answers[5] != b':' {
            bail!("it answers {:?}", String::from_utf8_lossy(&answers));
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill();
        }
    }
}
