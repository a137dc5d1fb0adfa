//! Opening by configuration.

use std::sync::Arc;

use idem_core::config::{Opening, Options};
use idem_core::{Driver, Store};

use crate::config::RedbConfig;
use crate::store::RedbStore;

/// Opens a [`RedbStore`] by configuration: `redb:./payments.idem`, or a table with `store = "redb"` and a `path`.
pub const DRIVER: Driver = Driver { schemes: &["redb"], target: Some("path"), open };

fn open(options: Options) -> Opening {
    Box::pin(async move {
        let store = RedbStore::open(options.read::<RedbConfig>()?).await?;
        Ok(Arc::new(store) as Arc<dyn Store>)
    })
}
