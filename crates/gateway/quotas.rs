//! `portcullis quotas import`: what brokers have by way of quotas (KIP-546), as entries of a configuration.

mod entries;

use std::path::Path;

use wire::ask::{QuotaEntry, quotas_request, read_quotas};
use wire::{Api, Upstream};

use crate::cluster::Spec;
use crate::conn::own_software;
use crate::timer;
use crate::tls;
use crate::upstream::{self, CLIENT_ID, Connected, DialError, Question};

/// Why quotas could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The configuration is wrong.
    #[error(transparent)]
    Faults(#[from] config::Faults),
    /// The configuration has no such cluster.
    #[error("there is no cluster {0}; the configuration has {1}")]
    NoSuchCluster(String, String),
    /// TLS towards the brokers cannot be made.
    #[error("cluster {0}: {1}")]
    Tls(String, String),
    /// The system does not let it run.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// No bootstrap server told its quotas.
    #[error("no broker of {0} tells its quotas: {1}")]
    Dial(String, DialError),
    /// The brokers refuse.
    #[error("the brokers of {cluster} do not tell their quotas: error {code}{}", .message.as_ref().map(|message| format!(", {message}")).unwrap_or_default())]
    Refused {
        /// The cluster.
        cluster: String,
        /// Kafka's error code.
        code: i16,
        /// What the broker says about it.
        message: Option<String>,
    },
}

/// The quotas of the brokers of `cluster`, which `file` describes, as `[[limit]]` entries.
pub fn import(file: &Path, cluster: &str) -> Result<String, ImportError> {
    let model = config::load(file)?;
    let Some(config) = model.clusters.iter().find(|config| *config.name == *cluster) else {
        let names: Vec<&str> = model.clusters.iter().map(|config| &*config.name).collect();
        return Err(ImportError::NoSuchCluster(cluster.to_owned(), names.join(", ")));
    };
    let tls = config.tls.as_ref().map(tls::connector).transpose();
    let tls = tls.map_err(|error| ImportError::Tls(cluster.to_owned(), error.to_string()))?;
    let spec = Spec { config: config.clone(), tls };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let quotas = runtime.block_on(ask_anybody(&spec))?;
    Ok(entries::text(cluster, &quotas))
}

/// Asks the bootstrap servers, one after the other, until one answers.
async fn ask_anybody(spec: &Spec) -> Result<Vec<QuotaEntry>, ImportError> {
    let cluster = spec.config.name.to_string();
    let mut last = None;
    for server in &spec.config.bootstrap {
        let address = upstream::of(server);
        match ask(spec, &address).await {
            Ok(quotas) if quotas.error == 0 => return Ok(quotas.entries),
            Ok(quotas) => {
                let (code, message) = (quotas.error, quotas.message);
                return Err(ImportError::Refused { cluster, code, message });
            }
            Err(error) => last = Some(error),
        }
    }
    // A configuration without bootstrap servers is refused.
    let last = last.unwrap_or_else(|| {
        DialError::Protocol(Upstream { host: "".into(), port: 0 }, "no bootstrap server".into())
    });
    Err(ImportError::Dial(cluster, last))
}

async fn ask(spec: &Spec, address: &Upstream) -> Result<wire::ask::Quotas, DialError> {
    let within = spec.config.dial_timeout;
    let Connected { stream, offered } =
        upstream::connect_within(spec, address, &own_software(), within).await?;
    let mut question = Question::new(&stream, address);
    let Some(range) = offered.ranges.get(Api::DescribeClientQuotas) else {
        return Err(question.broken("it has no quotas that can be asked for (DescribeClientQuotas)"));
    };
    let version = range.max.min(Api::DescribeClientQuotas.row().max);
    let asking = question.ask(|correlation| quotas_request(version, correlation, CLIENT_ID));
    let frame = timer::timeout(within, asking).await;
    let frame = frame.map_err(|_| DialError::Timeout(address.clone()))??;
    read_quotas(version, &frame).map_err(|error| question.broken(error))
}
