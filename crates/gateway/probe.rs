//! A connection of the gateway's own to a broker, and what it asks there for itself.

use std::time::Duration;

use wire::versions::Offered;
use wire::{Api, CorrelationId, Malformed, NodeId, Upstream, ask};

use crate::cluster::Spec;
use crate::conn::own_software;
use crate::stream::Stream;
use crate::timer;
use crate::topics::TopicId;
use crate::upstream::{self, CLIENT_ID, Connected, DialError, Question};

/// The newest Metadata that the gateway asks for itself.
const METADATA_VERSION_MAX: i16 = 12;

/// A connection of the gateway's own to a broker, kept between questions.
pub struct Probe {
    /// Where the broker was dialled.
    pub address: Upstream,
    /// What it speaks.
    pub offered: Offered,
    stream: Stream,
}

impl Probe {
    /// Dials the broker at this address.
    pub async fn dial(spec: &Spec, address: Upstream, within: Duration) -> Result<Self, DialError> {
        let connected = upstream::connect_within(spec, &address, &own_software(), within).await?;
        let Connected { stream, offered } = connected;
        Ok(Self { address, offered, stream })
    }

    /// Asks for the broker's versions as of now. Without an answer this connection is of no use.
    pub async fn ask_versions(mut self) -> Result<Self, DialError> {
        let mut question = Question::new(&self.stream, &self.address);
        self.offered = question.versions(&own_software()).await?;
        Ok(self)
    }

    /// The nodes as this broker knows them.
    pub async fn nodes(&self, within: Duration) -> Result<ask::Nodes, DialError> {
        let range = self.offered.ranges.get(Api::Metadata);
        let version = range.map_or(1, |range| range.max.min(METADATA_VERSION_MAX));
        let compose = |correlation| ask::metadata_request(version, correlation, CLIENT_ID);
        self.ask(within, compose, |frame| ask::read_nodes(version, frame)).await
    }

    /// The topics that have these ids. A broker that knows no ids has none.
    pub async fn topics_by_id(
        &self,
        ids: &[TopicId],
        within: Duration,
    ) -> Result<Vec<ask::Topic>, DialError> {
        if ids.is_empty() || !self.speaks(Api::Metadata, ask::TOPICS_VERSION) {
            return Ok(Vec::new());
        }
        let compose = |correlation| ask::topics_by_id_request(correlation, CLIENT_ID, ids);
        self.ask(within, compose, ask::read_topics).await
    }

    /// The topics that have these names, and those that do not exist with an error. A broker that is too old says nothing.
    pub async fn topics_by_name(
        &self,
        names: &[&str],
        within: Duration,
    ) -> Result<Vec<ask::Topic>, DialError> {
        if names.is_empty() || !self.speaks(Api::Metadata, ask::TOPICS_VERSION) {
            return Ok(Vec::new());
        }
        let compose = |correlation| ask::topics_by_name_request(correlation, CLIENT_ID, names);
        self.ask(within, compose, ask::read_topics).await
    }

    /// How many partitions a topic gets that asks for no number, if the broker, which is `node`, tells.
    pub async fn default_partitions(&self, node: NodeId, within: Duration) -> Result<Option<u32>, DialError> {
        if !self.speaks(Api::DescribeConfigs, ask::DEFAULTS_VERSION) {
            return Ok(None);
        }
        let compose = |correlation| ask::default_partitions_request(correlation, CLIENT_ID, node);
        self.ask(within, compose, ask::read_default_partitions).await
    }

    fn speaks(&self, api: Api, version: i16) -> bool {
        self.offered.ranges.allows(api, version)
    }

    /// Asks one question and reads its answer.
    async fn ask<T>(
        &self,
        within: Duration,
        compose: impl FnOnce(CorrelationId) -> Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, DialError> {
        let mut question = Question::new(&self.stream, &self.address);
        let asked = timer::timeout(within, question.ask(compose)).await;
        let frame = asked.map_err(|_| DialError::Timeout(self.address.clone()))??;
        read(&frame).map_err(|error| question.broken(error))
    }
}
