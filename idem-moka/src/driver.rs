//! Opening by configuration.

use std::sync::Arc;

use idem_core::config::{Opening, Options};
use idem_core::{Driver, Store};

use crate::config::MokaConfig;
use crate::store::MokaStore;

/// Opens a [`MokaStore`] by a URI such as `moka:?max_bytes=64MiB` or a table with `store = "moka"`, for
/// [`Registry::with`](idem_core::Registry::with). The options are the fields of [`MokaConfig`].
pub const DRIVER: Driver = Driver { schemes: &["moka"], target: None, open };

fn open(options: Options) -> Opening {
    Box::pin(async move {
        let config: MokaConfig = options.read()?;
        Ok(Arc::new(MokaStore::new(config)?) as Arc<dyn Store>)
    })
}
