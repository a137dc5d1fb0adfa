//! A store of idempotency keys in PostgreSQL (15 or later), for many processes.
#![forbid(unsafe_code)]

mod batch;
mod config;
mod connection;
mod driver;
mod error;
mod schema;
mod store;
mod transaction;

pub use config::address::Address;
pub use config::postgres_config::PostgresConfig;
pub use config::ssl_mode::SslMode;
pub use driver::DRIVER;
pub use store::{PostgresStore, PostgresStoreExt};
pub use transaction::{Commit, CompletionSql, NotCompleted, Provisional, Transaction};
