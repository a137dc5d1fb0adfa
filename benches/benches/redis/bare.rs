//! Bare commands through a client library (fred), as an application without idem would send them.

use std::sync::Arc;

use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TcpConfig,
};
use fred::types::{Expiration, RespVersion, SetOptions};
use idem_benches::{Payload, Place, RETENTION, Raw, Result, Workload};
use idem_core::Key;
use idem_redis::{Address, Deployment, RedisConfig};
use tokio::task::JoinSet;

const CALLERS: usize = 256;

pub(crate) struct Bare {
    client: Client,
    life: Expiration,
}

impl Bare {
    pub(crate) async fn connect(config: &RedisConfig) -> Result<Self> {
        let client = connect(config).await?;
        Ok(Self { client, life: Expiration::PX(i64::try_from(RETENTION.as_millis())?) })
    }

    async fn set(&self, key: &Key, record: &Arc<[u8]>, options: Option<SetOptions>) -> Result<()> {
        let (key, record) = (name(key), bytes::Bytes::from_owner(Arc::clone(record)));
        let _: Option<String> = self.client.set(key, record, Some(self.life.clone()), options, false).await?;
        Ok(())
    }
}

/// A name as long as the store's keys.
pub(crate) fn name(key: &Key) -> String {
    use std::fmt::Write as _;
    let mut name = String::with_capacity(70);
    name.push_str("bare:");
    for byte in &key.storage_key()[16..] {
        // Writing into a `String` cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push('.');
    name
}

/// A client with its default settings, except that Nagle's algorithm is off.
async fn connect(config: &RedisConfig) -> Result<Client> {
    let hosts = config.servers.iter().filter_map(|server| match server {
        Address::Tcp { host, port } => Some(Server::new(host.as_str(), *port)),
        Address::Unix(_) => None,
    });
    let mut hosts: Vec<_> = hosts.collect();
    let server = match config.deployment {
        Deployment::Cluster => {
            ServerConfig::Clustered { hosts, policy: ClusterDiscoveryPolicy::ConfigEndpoint }
        }
        _ => ServerConfig::Centralized { server: hosts.pop().ok_or("no server")? },
    };
    let config = Config { server, version: RespVersion::RESP3, ..Config::default() };
    let connection = ConnectionConfig {
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        ..ConnectionConfig::default()
    };
    let client = Client::new(config, Some(PerformanceConfig::default()), Some(connection), None);
    client.init().await?;
    Ok(client)
}

/// Removes all keys, on every master.
pub(crate) async fn empty(config: &RedisConfig) -> Result<()> {
    let client = connect(config).await?;
    match config.deployment {
        Deployment::Cluster => client.flushall_cluster().await?,
        _ => client.flushall::<()>(false).await?,
    }
    client.quit().await?;
    Ok(())
}

impl Raw for Bare {
    async fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> Result<()> {
        let mut callers = JoinSet::new();
        for part in keys.chunks(keys.len().div_ceil(CALLERS).max(1)) {
            let (bare, part, record) = (
                Self { client: self.client.clone(), life: self.life.clone() },
                part.to_vec(),
                Arc::clone(record),
            );
            callers.spawn(async move {
                for key in &part {
                    bare.set(key, &record, None).await?;
                }
                Ok(())
            });
        }
        callers.join_all().await.into_iter().collect()
    }

    async fn lock(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.set(key, &payload.lock_record, Some(SetOptions::NX)).await
    }

    async fn cycle(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.set(key, &payload.lock_record, Some(SetOptions::NX)).await?;
        self.set(key, &payload.outcome_record, None).await
    }

    async fn get(&self, key: &Key) -> Result<Option<usize>> {
        let record: Option<bytes::Bytes> = self.client.get(name(key)).await?;
        // Copied, since the caller of the store owns its outcome, too.
        Ok(record.map(|record| std::hint::black_box(record.to_vec()).len()))
    }

    fn place(&self, _workload: Workload) -> Place {
        Place::Tasks
    }
}
