//! The store.

mod extension;
mod open;
mod postgres_store;
mod remover;
mod sweep;
mod watcher;

pub use extension::PostgresStoreExt;
pub use postgres_store::PostgresStore;
