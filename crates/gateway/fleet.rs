//! Limits that replicas share, by way of Redis or Valkey.
//!
//! Every replica publishes on one channel what it has used since it did so last, and listens to what the others publish;
//! nothing is stored there. It hears itself too, which is how it knows that the way is open. What is made of what is heard
//! is `policy::quota::fleet`'s. All of it runs on the control thread: no request ever waits for it.

mod message;

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::limit::Fleet as Config;
use futures_util::StreamExt;
use policy::quota::fleet::{Fleet, Replica};
use policy::quota::{Nanos, Rules};
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError};
use tokio::time::MissedTickBehavior;

use crate::live::Gateway;
use crate::moment::Moment;
use crate::timer;
use message::Message;

/// A way that is silent for longer is lost, and nobody waits longer for an answer.
const SILENCE: Duration = Duration::from_secs(1);

/// Buckets that one message tells of.
const USES_MAX: usize = 1000;

/// Between two attempts to find the way again: at first, and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Why nothing is heard of the other replicas.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Refused(#[from] RedisError),
    #[error("no answer")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the connection was closed")]
    Closed,
    #[error("what was published did not come back")]
    Silent,
}

/// Shares limits for as long as the process lives, whenever the configuration says where.
pub async fn share(gateway: Arc<Gateway>) {
    let mut changes = gateway.changes();
    let Some(me) = own_number() else {
        tracing::error!("no random bytes: limits are not shared");
        return;
    };
    loop {
        let config = gateway.live().model.fleet.clone();
        if let Some(config) = config {
            Member::new(&config, me, &gateway).share().await;
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

fn own_number() -> Option<Replica> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// This replica among those of one `[fleet]`.
struct Member<'a> {
    config: &'a Config,
    me: Replica,
    gateway: &'a Gateway,
    view: Fleet,
    channel: String,
    silence: Duration,
    is_together: bool,
}

/// Both ways to the server.
struct Way {
    publish: MultiplexedConnection,
    heard: PubSubStream,
}

impl<'a> Member<'a> {
    fn new(config: &'a Config, me: Replica, gateway: &'a Gateway) -> Self {
        let sync = Nanos::try_from(config.sync.as_nanos()).unwrap_or(Nanos::MAX);
        // Channels know no databases: fleets in different ones must not meet all the same.
        let database = config.url.rsplit('/').next().unwrap_or_default();
        Self {
            config,
            me,
            gateway,
            view: Fleet::new(sync),
            channel: format!("{}:limits:{database}", config.prefix),
            silence: SILENCE.max(config.sync * 5),
            is_together: false,
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.gateway.live().rules)
    }

    fn now(&self) -> Nanos {
        self.gateway.clock.at(Moment::now())
    }

    fn is_over(&self) -> bool {
        self.gateway.live().model.fleet.as_ref() != Some(self.config)
    }

    /// Shares until a reload says that it is done elsewhere or not at all.
    async fn share(mut self) {
        let mut pause = AGAIN[0];
        self.view.alone(&self.rules());
        self.note(false);
        while !self.is_over() {
            let Err(lost) = self.share_once().await else { break };
            if self.is_together {
                pause = AGAIN[0];
            }
            if pause == AGAIN[0] {
                tracing::warn!(server = &*self.config.url, why = %lost, "limits are not shared; each replica keeps to its share");
            }
            self.view.alone(&self.rules());
            self.note(false);
            self.gateway.metrics.fleet.failed(&self.config.prefix);
            timer::sleep(pause).await;
            pause = (pause * 2).min(AGAIN[1]);
        }
        self.view.alone(&self.rules());
        self.gateway.metrics.fleet.forget(&self.config.prefix);
    }

    fn note(&mut self, is_together: bool) {
        self.is_together = is_together;
        let replicas = if is_together { self.view.replicas() } else { 0 };
        self.gateway.metrics.fleet.set(&self.config.prefix, is_together, replicas);
    }

    /// Finds the way and keeps to it until it is lost; without an error where a reload ends it.
    async fn share_once(&mut self) -> Result<(), Lost> {
        let mut way = self.connect().await?;
        let mut syncs = timer::interval(self.config.sync);
        syncs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_self = Instant::now();
        loop {
            tokio::select! {
                message = way.heard.next() => {
                    let message = message.ok_or(Lost::Closed)?;
                    match Message::parse(message.get_payload_bytes()) {
                        Ok(message) if message.from == self.me => {
                            heard_self = Instant::now();
                            if !self.is_together {
                                self.view.together(&self.rules());
                                tracing::info!(server = &*self.config.url, "limits are shared");
                            }
                            self.note(true);
                        }
                        Ok(message) => {
                            self.view.hear(&self.rules(), message.from, &message.uses(), self.now());
                        }
                        Err(error) => {
                            tracing::debug!(%error, channel = self.channel, "a message that no replica sends");
                            self.gateway.metrics.fleet.unread(&self.config.prefix);
                        }
                    }
                }
                _ = syncs.tick() => {
                    if self.is_over() {
                        return Ok(());
                    }
                    if heard_self.elapsed() > self.silence {
                        return Err(Lost::Silent);
                    }
                    self.tell(&mut way.publish).await?;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Way, Lost> {
        let info = (&*self.config.url).into_connection_info()?;
        let mut login = info.redis_settings().clone();
        if let Some(username) = &self.config.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.config.password {
            login = login.set_password(password.expose());
        }
        let client = Client::open(info.set_redis_settings(login))?;
        let mut heard = timer::timeout(self.silence, client.get_async_pubsub()).await??;
        timer::timeout(self.silence, heard.subscribe(&self.channel)).await??;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.silence))
            .set_response_timeout(Some(self.silence));
        let publish = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Way { publish, heard: heard.into_on_message() })
    }

    /// Tells what was used since the last time; if that is nothing, that this replica is there.
    async fn tell(&mut self, publish: &mut MultiplexedConnection) -> Result<(), Lost> {
        // What was used alone is told to nobody.
        let uses = if self.is_together { self.view.tell(&self.rules(), self.now()) } else { Vec::new() };
        let none: &[_] = &[];
        let parts = uses.chunks(USES_MAX).chain(uses.is_empty().then_some(none));
        for uses in parts {
            let text = Message::new(self.me, uses).text();
            let () = redis::cmd("PUBLISH").arg(&self.channel).arg(text).query_async(publish).await?;
        }
        Ok(())
    }
}
