//! The store.

mod alone;
mod postgres_store;
mod sweep;

pub use postgres_store::PostgresStore;
