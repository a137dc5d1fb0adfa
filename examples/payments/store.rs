//! Which store, and with it where the books are.

use std::sync::Arc;

use idem_core::{Registry, Store};
use idem_redb::RedbStore;
use redb::Database;

use crate::Result;
use crate::books::Books;

/// For `redb:FILE` the books are in the same database, so that a booking and its key are committed together. With
/// any other store they are in this process's memory: the demo has no database of its own.
pub(crate) async fn open(uri: &str) -> Result<(Arc<dyn Store>, Books)> {
    if let Some(path) = uri.strip_prefix("redb:") {
        if path.is_empty() || path.contains(['?', '%']) {
            return Err("here it is redb:FILE, without options: the file is shared with the books".into());
        }
        // idem refuses a foreign file, and never leaves one behind whose making was cut off; redb alone does both.
        RedbStore::open(path).await?.close().await?;
        let database = Arc::new(Database::open(path)?);
        let store = RedbStore::with_database(Arc::clone(&database)).await?;
        return Ok((Arc::new(store), Books::in_database(database)?));
    }
    let registry = Registry::new().with(idem_redb::DRIVER).with(idem_redis::DRIVER).with(idem_moka::DRIVER);
    Ok((registry.open(uri).await?, Books::in_memory()))
}
