//! The store.

mod extension;
mod listing;
mod open;
mod operator_calls;
mod postgres_store;
mod sweep;
mod watcher;

pub use extension::PostgresStoreExt;
pub use postgres_store::PostgresStore;
