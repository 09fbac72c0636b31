//! Certificates made on the spot: an authority, and server certificates that it signed, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::kafka::NodeTls;

/// An authority and the directory where its files lie; both go away at drop.
#[derive(Debug)]
pub struct Certs {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificate.
#[derive(Clone, Debug)]
pub struct ServerCert {
    /// PEM: the certificate, then the authority's.
    pub chain: PathBuf,
    /// PEM: the key (PKCS #8).
    pub key: PathBuf,
}

impl Certs {
    /// A new authority.
    pub fn new() -> Result<Certs> {
        let directory = tempfile::Builder::new().prefix("portcullis-certs-").tempdir()?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Portcullis test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        fs::write(directory.path().join("ca.pem"), certificate.pem())?;
        Ok(Certs { directory, issuer: Issuer::new(params, key) })
    }

    /// PEM: the authority, for those who verify.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Where the files lie.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A certificate for these names (DNS names or IP addresses); `name` is that of its files.
    pub fn server(&self, name: &str, subjects: &[&str]) -> Result<ServerCert> {
        let key = KeyPair::generate()?;
        let subjects: Vec<String> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        let mut params = CertificateParams::new(subjects)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = |suffix: &str| self.directory.path().join(format!("{name}{suffix}"));
        let server = ServerCert { chain: path(".pem"), key: path(".key.pem") };
        let chain = certificate.pem() + &fs::read_to_string(self.authority())?;
        fs::write(&server.chain, &chain)?;
        fs::write(&server.key, key.serialize_pem())?;
        Ok(server)
    }

    /// A certificate for Kafka's nodes on 127.0.0.1 and by the names that they advertise.
    pub fn nodes(&self, brokers: u16) -> Result<NodeTls> {
        let mut subjects = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        subjects.extend((1..=brokers).map(|id| format!("broker-{id}.kafka.invalid")));
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let server = self.server("nodes", &subjects)?;
        // Kafka wants both in one file.
        let both = fs::read_to_string(&server.key)? + &fs::read_to_string(&server.chain)?;
        let key_and_chain = self.directory.path().join("nodes.both.pem");
        fs::write(&key_and_chain, both)?;
        Ok(NodeTls { key_and_chain, authority: self.authority() })
    }
}
