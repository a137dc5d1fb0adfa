//! Opening the store, which also decides where the books are.

use std::sync::Arc;

use idem_core::{Registry, Store};
use idem_postgres::PostgresStoreExt as _;
use idem_redb::RedbStore;
use redb::Database;
use sqlx::postgres::PgPoolOptions;

use crate::Result;
use crate::books::{Books, MemoryBooks, PostgresBooks, RedbBooks};

/// For `redb:FILE` and `postgres://...` the books are in the same database, so that a booking and its key are committed
/// together. With any other store they are in this process's memory: the demo has no database of its own.
pub(crate) async fn open(uri: &str) -> Result<(Arc<dyn Store>, Box<dyn Books>)> {
    let registry = Registry::new()
        .with(idem_redb::DRIVER)
        .with(idem_redis::DRIVER)
        .with(idem_moka::DRIVER)
        .with(idem_postgres::DRIVER);
    if let Some(path) = uri.strip_prefix("redb:") {
        // As in every store's URI, `redb://x` is the file x in this folder, and `redb:///x` the one in the root.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(['?', '%']) {
            return Err("here it is redb:FILE, without options: the file is shared with the books".into());
        }
        // Creates the file if it is missing, whole or not at all, and refuses one that is not a store. With redb alone, a
        // creation that is cut off would leave a file that cannot be opened, and any redb database would be accepted.
        RedbStore::open(path).await?.close().await?;
        let path = path.to_owned();
        // The store opens the database again when it has to: after a disk error, or when a full disk has room again.
        let open = move || Database::open(&path).map(Arc::new);
        let store = RedbStore::builder("").with_database_from(open).await?;
        return Ok((Arc::new(store.clone()), Box::new(RedbBooks::open(store).await?)));
    }
    let store = registry.open(uri).await?;
    let Some(postgres) = store.as_postgres() else { return Ok((store, Box::new(MemoryBooks::default()))) };
    if uri.contains(['?', '#']) {
        return Err(
            "here it is postgres://user@host:port/database, without options: the books share it".into()
        );
    }
    // Without `sslmode` sqlx does not verify the server's certificate, as the store does for a server elsewhere. So the demo
    // is not for a network that others are in.
    let pool = PgPoolOptions::new().max_connections(16).connect(uri).await?;
    let books = PostgresBooks::open(postgres.clone(), pool).await?;
    Ok((store, Box::new(books)))
}
