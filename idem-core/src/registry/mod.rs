//! Choosing a backend by configuration: a URI, or the same as a table of a configuration file.

mod config;
mod mask;
mod options;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Error, ErrorKind, Observed, Operation, Result, Store};

pub use config::StoreConfig;
pub(crate) use mask::masked;
pub use options::Options;

/// What a backend exports so that a [`Registry`] can open it.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// The URI schemes that it answers to.
    pub schemes: &'static [&'static str],
    /// The option that the part of a URI between scheme and `?` stands for: a path, or a list of servers.
    /// `None`: there is no such part.
    ///
    /// The option gets that part percent-decoded. A driver whose target has structure, such as a password before
    /// an `@`, takes it as it was written: [`Options::take_raw_target`].
    pub target: Option<&'static str>,
    /// Opens a store.
    pub open: fn(Options) -> Opening,
}

/// The future of a store being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;

/// The backends that an application can open, chosen by it and by nobody else: no global, no enum.
///
/// ```no_run
/// # use idem_core::{Driver, Registry, Result};
/// # async fn example(idem_redb_driver: Driver, idem_moka_driver: Driver) -> Result<()> {
/// let registry = Registry::new().with(idem_redb_driver).with(idem_moka_driver);
/// let store = registry.open("redb:./payments.idem?check_integrity=true").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    drivers: Vec<Driver>,
}

impl Registry {
    /// Knows no backend yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend. One added later wins where schemes are equal.
    #[must_use]
    pub fn with(mut self, driver: Driver) -> Self {
        self.drivers.push(driver);
        self
    }

    /// Opens the store that `config` names: a URI, or a [`StoreConfig`] read from a file. With the feature
    /// `metrics` it is [`Observed`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for an unknown scheme or option or a bad value, naming what is known;
    /// and those of the backend.
    ///
    /// # Cancel safety
    /// A dropped future may leave an opened store to be closed in the background.
    pub async fn open(&self, config: impl Into<StoreConfig>) -> Result<Arc<dyn Store>> {
        let (scheme, source) = config.into().split()?;
        let found = self.drivers.iter().rev().find_map(|driver| {
            let own = driver.schemes.iter().find(|own| own.eq_ignore_ascii_case(&scheme))?;
            Some((driver, *own))
        });
        let Some((driver, scheme)) = found else { return Err(self.unknown(&scheme)) };
        let options = Options::new(scheme, source, driver.target)?;
        let store = (driver.open)(options).await?;
        Ok(if cfg!(feature = "metrics") { Arc::new(Observed::new(store)) } else { store })
    }

    fn unknown(&self, scheme: &str) -> Error {
        let known: Vec<_> = self.drivers.iter().flat_map(|driver| driver.schemes).copied().collect();
        let known = match known.join(", ") {
            none if none.is_empty() => "no backend is registered".to_owned(),
            known => format!("known are: {known}"),
        };
        invalid(format!("unknown store {:?}; {known}", masked(scheme)))
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}
