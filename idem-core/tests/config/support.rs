//! Drivers whose stores only know how they were opened.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::config::{Opening, Options, units};
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::{
    Capabilities, Claim, Driver, Effect, Error, ErrorKind, Expired, Fingerprint, Key, Lease, LockAnswer,
    Outcome, Registry, Result, Store, StoreConfig,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileConfig {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) check: bool,
    #[serde(default, deserialize_with = "units::bytes")]
    pub(crate) cache: u64,
    #[serde(default, deserialize_with = "units::duration")]
    pub(crate) pause: Duration,
    #[serde(default)]
    pub(crate) password: Option<String>,
}

impl FileConfig {
    pub(crate) fn at(path: &str) -> Self {
        Self { path: path.to_owned(), check: false, cache: 0, pause: Duration::ZERO, password: None }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryConfig {
    #[serde(default, deserialize_with = "units::bytes")]
    pub(crate) max: u64,
}

pub(crate) const FILE: Driver =
    Driver { schemes: &["file", "vault"], target: Some("path"), open: open::<FileConfig> };
pub(crate) const MEMORY: Driver = Driver { schemes: &["memory"], target: None, open: open::<MemoryConfig> };

pub(crate) fn registry() -> Registry {
    Registry::new().with(FILE).with(MEMORY)
}

fn open<C: DeserializeOwned + std::fmt::Debug + Send + Sync + 'static>(options: Options) -> Opening {
    Box::pin(async {
        let scheme = options.scheme().to_owned();
        let config: C = options.read()?;
        Ok(Arc::new(Opened { scheme, config }) as Arc<dyn Store>)
    })
}

/// Opens `config` and returns the scheme that the driver saw, with its configuration.
pub(crate) async fn opened<C: Clone + 'static>(config: impl Into<StoreConfig>) -> Result<(String, C)> {
    let store = registry().open(config).await?;
    let opened: &Opened<C> = store.as_any().downcast_ref().unwrap();
    Ok((opened.scheme.clone(), opened.config.clone()))
}

pub(crate) async fn file(config: impl Into<StoreConfig>) -> FileConfig {
    opened(config).await.unwrap().1
}

/// The error of opening `config`.
pub(crate) async fn mistake(config: impl Into<StoreConfig>) -> String {
    let error = registry().open(config).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidConfig, Operation::Configure));
    error.to_string()
}

pub(crate) fn table(toml: &str) -> StoreConfig {
    toml::from_str(toml).unwrap()
}

#[derive(Debug)]
struct Opened<C> {
    scheme: String,
    config: C,
}

fn refused<T>(operation: Operation) -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, operation, "only here to be opened"))
}

#[async_trait::async_trait]
impl<C: std::fmt::Debug + Send + Sync + 'static> Store for Opened<C> {
    async fn lock(&self, _: &Key, _: &Fingerprint, _: &Claim) -> Result<LockAnswer> {
        refused(Operation::Lock)
    }
    async fn renew(&self, _: &Lease, _: Duration) -> Result<Effect> {
        refused(Operation::Renew)
    }
    async fn checkpoint(&self, _: &Lease, _: u64, _: Bytes, _: Duration) -> Result<Effect> {
        refused(Operation::Checkpoint)
    }
    async fn complete(&self, _: &Lease, _: Outcome, _: Duration) -> Result<Effect> {
        refused(Operation::Complete)
    }
    async fn release(&self, _: &Lease) -> Result<Effect> {
        refused(Operation::Release)
    }
    async fn get(&self, _: &Key) -> Result<Option<Record>> {
        refused(Operation::Get)
    }
    async fn remove(&self, _: &Key, _: bool) -> Result<bool> {
        refused(Operation::Remove)
    }
    async fn expire(&self, _: usize) -> Result<Expired> {
        refused(Operation::Expire)
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A driver that takes the raw target out of its options, and keeps it with the configuration that is left.
pub(crate) const RAW: Driver = Driver { schemes: &["raw", "raw-tls"], target: Some("path"), open: open_raw };

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct RawConfig {
    pub(crate) path: Option<String>,
    pub(crate) acks: u8,
    pub(crate) password: Option<String>,
}

fn open_raw(mut options: Options) -> Opening {
    Box::pin(async move {
        let seen = options.raw_target().map(str::to_owned);
        assert_eq!(options.take_raw_target(), seen);
        assert_eq!(options.raw_target(), None);
        let config = (seen, options.read::<RawConfig>()?);
        Ok(Arc::new(Opened { scheme: "raw".to_owned(), config }) as Arc<dyn Store>)
    })
}

/// Opens `config` with [`RAW`]; returns the raw target, and the configuration without it.
pub(crate) async fn raw(config: impl Into<StoreConfig>) -> Result<(Option<String>, RawConfig)> {
    let store = Registry::new().with(RAW).open(config).await?;
    let opened: &Opened<(Option<String>, RawConfig)> = store.as_any().downcast_ref().unwrap();
    Ok(opened.config.clone())
}
