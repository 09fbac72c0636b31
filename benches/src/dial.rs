//! Opening a connection as a client does: `ApiVersions`, where asked for SASL/PLAIN, where asked Metadata.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ask::{self, Work};
use crate::line::{Line, Trust};

/// No read or write may block longer: everything ends.
const STALL: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const RETRY: Duration = Duration::from_millis(50);

/// Whom to call, and as whom.
#[derive(Clone, Debug)]
pub struct Door {
    /// The sink, or a proxy in front of it.
    pub address: SocketAddr,
    /// User and password of SASL/PLAIN.
    pub login: Option<(String, String)>,
    /// Whom to trust; without it there is no TLS.
    pub trust: Option<Trust>,
}

impl Door {
    /// A connection that is ready for requests; `work`'s version has to be offered.
    pub fn open(&self, work: Option<Work>) -> Result<Line> {
        let stream = TcpStream::connect(self.address).with_context(|| self.address.to_string())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        stream.set_write_timeout(Some(STALL))?;
        let mut line = match &self.trust {
            None => Line::Plain(stream),
            Some(trust) => Line::tls(stream, self.address, trust)?,
        };
        ask::judge_api_versions(&exchange(&mut line, &ask::api_versions(1))?, 1, work)?;
        if let Some((user, password)) = &self.login {
            ask::judge_sasl(&exchange(&mut line, &ask::sasl_handshake(2))?, 2, false)?;
            ask::judge_sasl(&exchange(&mut line, &ask::sasl_authenticate(3, user, password))?, 3, true)?;
        }
        Ok(line)
    }

    /// A connection that has also asked for Metadata, so that a broker connection stands behind it.
    pub fn open_through(&self) -> Result<Line> {
        let mut line = self.open(None)?;
        ask::judge_metadata(&exchange(&mut line, &ask::metadata(4))?, 4)?;
        Ok(line)
    }

    /// Tries `open_through` until it succeeds: a proxy may just be starting.
    pub fn wait(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            match self.open_through() {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => thread::sleep(RETRY),
            }
        }
    }
}

/// Sends one frame and reads one, while nothing else is in flight.
fn exchange(line: &mut Line, frame: &[u8]) -> Result<Vec<u8>> {
    line.write_all_of(&[frame])?;
    let mut size = [0; 4];
    line.read_exact(&mut size).context("closed in place of an answer")?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    ensure!(size <= ANSWER_BYTES_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    line.read_exact(&mut answer).context("closed within an answer")?;
    Ok(answer)
}
