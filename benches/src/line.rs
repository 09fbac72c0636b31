//! A connection as the programs hold it: plain, or the client's side of TLS 1.3.

use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustix::net::{RecvFlags, recv};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

/// Ciphertext that is read at once: rustls by itself reads 4 KiB.
const READ_BYTES: usize = 64 * 1024;
/// Plaintext that is turned into ciphertext before it is written.
const WRITE_BYTES: usize = 256 * 1024;

/// Whom to trust, and what to propose.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts the authority in this PEM file. Proposes one way of TLS only, so that all who answer do the same work: the
    /// cipher suite that Java's clients name first. Sessions are not resumed.
    pub fn authority(path: &Path) -> Result<Trust> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).with_context(|| path.display().to_string())? {
            roots.add(certificate?)?;
        }
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
            kx_groups: vec![kx_group::X25519],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Trust(Arc::new(config)))
    }
}

/// A connection.
#[derive(Debug)]
pub enum Line {
    /// Without TLS.
    Plain(TcpStream),
    /// Within TLS, as its client.
    Tls(Box<StreamOwned<ClientConnection, Ciphertext>>),
}

/// The socket below TLS.
#[derive(Debug)]
pub struct Ciphertext(BufReader<TcpStream>);

impl Read for Ciphertext {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Ciphertext {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line {
    /// TLS over `stream`, which the peer at `address` has accepted. The handshake is part of the first write.
    pub fn tls(stream: TcpStream, address: SocketAddr, trust: &Trust) -> Result<Line> {
        let name = ServerName::IpAddress(address.ip().into());
        let mut session = ClientConnection::new(Arc::clone(&trust.0), name)?;
        session.set_buffer_limit(Some(WRITE_BYTES));
        let ciphertext = Ciphertext(BufReader::with_capacity(READ_BYTES, stream));
        Ok(Line::Tls(Box::new(StreamOwned::new(session, ciphertext))))
    }

    /// The socket, for its options.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Line::Plain(stream) => stream,
            Line::Tls(stream) => stream.sock.0.get_ref(),
        }
    }

    /// Writes the pieces in as few calls as the socket allows.
    pub fn write_all_of(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match self {
                Line::Plain(stream) => stream.write_vectored(rest),
                Line::Tls(stream) => stream.write_vectored(rest),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes up to as many bytes as `hole` is long and forgets them, waiting until they are there: what is plain is
    /// dropped by the kernel in place of copying it (`MSG_TRUNC` of tcp(7)), so that the pages behind `hole` are never
    /// touched. Tells how many they were, 0 at the end of the stream.
    pub fn drop_up_to(&mut self, hole: &mut [u8]) -> io::Result<usize> {
        loop {
            let dropped = match self {
                Line::Plain(stream) => recv(&*stream, &mut *hole, RecvFlags::TRUNC | RecvFlags::WAITALL)
                    .map(|(_, dropped)| dropped.min(hole.len()))
                    .map_err(io::Error::from),
                Line::Tls(stream) => stream.read(hole),
            };
            match dropped {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => return ended,
            }
        }
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.read(into),
            Line::Tls(stream) => stream.read(into),
        }
    }
}
