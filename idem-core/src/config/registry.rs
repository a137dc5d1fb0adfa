//! Opening a store by its configuration.

use std::sync::Arc;

use super::driver::Driver;
use super::mask::masked;
use super::options::{Options, invalid};
use super::store_config::StoreConfig;
use crate::error::{Error, Result};
use crate::metrics::Observed;
use crate::store::Store;

/// The backends that an application can open. The application chooses them: there is no global list and no enum.
///
/// ```no_run
/// # mod idem_redb { pub const DRIVER: idem_core::Driver = super::DRIVER; }
/// # mod idem_moka { pub const DRIVER: idem_core::Driver = super::DRIVER; }
/// # const DRIVER: idem_core::Driver = idem_core::Driver { schemes: &[], target: None, open: |_| unreachable!() };
/// # async fn example() -> idem_core::Result<()> {
/// use idem_core::Registry;
///
/// let registry = Registry::new().with(idem_redb::DRIVER).with(idem_moka::DRIVER);
/// let store = registry.open("redb:./payments.idem?check_integrity=true").await?;
/// # Ok(())
/// # }
/// # fn main() {}
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
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) for an unknown scheme or option or a bad value, naming what is known;
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
