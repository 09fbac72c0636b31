//! Certificates for the works with TLS, new in every run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use testkit::Certs;

/// PEM files.
pub(crate) struct TlsFiles {
    /// The authority that the load trusts.
    pub(crate) authority: PathBuf,
    /// The certificate of the proxies, for 127.0.0.1, and the authority's.
    pub(crate) chain: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Chain and key in one, as `HAProxy` wants them.
    pub(crate) chain_and_key: PathBuf,
}

impl TlsFiles {
    /// Makes them in this directory.
    pub(crate) fn make(directory: &Path) -> Result<TlsFiles> {
        let certs = Certs::new()?;
        let server = certs.server("proxy", &["127.0.0.1"])?;
        let place = |name: &str| directory.join(name);
        let files = TlsFiles {
            authority: place("authority.pem"),
            chain: place("proxy.pem"),
            key: place("proxy.key.pem"),
            chain_and_key: place("proxy.both.pem"),
        };
        let (chain, key) = (fs::read_to_string(server.chain)?, fs::read_to_string(server.key)?);
        fs::copy(certs.authority(), &files.authority)?;
        fs::write(&files.chain, &chain)?;
        fs::write(&files.key, &key)?;
        fs::write(&files.chain_and_key, chain + &key)?;
        Ok(files)
    }
}
