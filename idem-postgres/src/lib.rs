//! A store of idempotency keys in PostgreSQL (15 or later), for many processes.
//!
//! [`PostgresStore`] is opened by its [configuration](PostgresConfig), or by a URI with [`DRIVER`].
//! [`complete_and_commit`](PostgresStore::complete_and_commit) completes a key in a transaction of the application, which is
//! the one case in which *exactly once* is exact; [`Transaction`] names the libraries.
//!
//! | feature | what |
//! |---|---|
//! | `tls`, on by default | TLS by rustls; see [`SslMode`] |
//! | `sqlx` | transactions of sqlx 0.9, and a store on its `PgPool` |
//! | `deadpool-postgres` | transactions of deadpool-postgres 0.14, and a store on its `Pool` |
//!
//! ```no_run
//! use idem_core::Registry;
//!
//! # async fn open() -> idem_core::Result<()> {
//! let registry = Registry::new().with(idem_postgres::DRIVER);
//! let store = registry.open("postgres://app:secret@db.internal/app").await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod batch;
mod config;
mod connection;
mod driver;
mod durability;
mod error;
mod schema;
mod sql;
mod store;
mod transaction;

pub use config::address::Address;
pub use config::postgres_config::PostgresConfig;
pub use config::ssl_mode::SslMode;
#[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
pub use connection::pool::Pool;
pub use driver::DRIVER;
pub use store::{PostgresStore, PostgresStoreExt};
pub use transaction::{Commit, CompletionSql, NotCompleted, Provisional, Transaction};
