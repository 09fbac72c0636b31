//! `portcullis hash-password`: a password from a terminal or a pipe, as the credential that the file holds.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;

use config::{ScramCredential, Secret};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Bytes of a credential's salt.
const SALT_BYTES: usize = 16;

/// A terminal that does not show what is typed, until dropped.
struct Quiet<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal.as_fd(), OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal.as_fd(), OptionalActions::Flush, &self.before);
        let _ = writeln!(io::stderr());
    }
}

/// Reads one line, without showing it at a terminal.
pub fn read() -> io::Result<Secret> {
    let stdin = io::stdin();
    let _quiet = if stdin.is_terminal() {
        write!(io::stderr(), "Password: ")?;
        Some(Quiet::new(&stdin)?)
    } else {
        None
    };
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    let password = Secret::new(line.trim_end_matches(['\r', '\n']));
    if password.expose().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the password is empty"));
    }
    Ok(password)
}

/// The stored form of a password, with a salt of its own.
pub fn hash(password: &Secret, iterations: u32) -> io::Result<ScramCredential> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(policy::credential::derive(password.expose().as_bytes(), &salt, iterations))
}
