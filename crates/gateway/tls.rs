//! TLS towards clients and brokers, by rustls.

use std::sync::Arc;

use config::{BrokerTls, ListenerTls, TlsRoots};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Why a TLS configuration can't be used: what the operator has to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key don't fit, or the library refuses them.
    #[error("TLS certificate or key: {0}")]
    Identity(rustls::Error),
    /// The authorities to trust can't be used.
    #[error("TLS authorities: {0}")]
    Roots(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What accepts TLS from clients with one certificate.
pub fn acceptor(tls: &ListenerTls) -> Result<TlsAcceptor, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?
        .with_no_client_auth()
        .with_single_cert(tls.chain.clone(), tls.key.clone_key())
        .map_err(TlsError::Identity)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What opens TLS to brokers.
pub fn connector(tls: &BrokerTls) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    match &tls.roots {
        TlsRoots::Bundle(bundle) => {
            for certificate in bundle {
                roots.add(certificate.clone()).map_err(|error| TlsError::Roots(error.to_string()))?;
            }
        }
        TlsRoots::System => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(TlsError::Roots("the system has none; name a bundle with tls.ca".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
