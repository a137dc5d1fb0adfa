//! The store.

mod extension;
mod listing;
mod open;
mod postgres_store;
mod sweep;
mod unbatched;
mod watcher;

pub use extension::PostgresStoreExt;
pub use postgres_store::PostgresStore;
