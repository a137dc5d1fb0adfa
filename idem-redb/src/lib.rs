//! Idempotency keys in one redb file: embedded, durable, the default store of idem.
//!
//! See [`RedbStore`], and [`RedbStore::complete_with`] for exactly once.

mod builder;
mod complete_with;
mod config;
mod database;
mod driver;
mod error;
mod handle;
mod quick_repair;
mod quota;
mod stats;
mod storage;
mod store;
mod sweep;
mod thread;
mod writer;

/// Outcomes are made of its `Bytes`.
pub use bytes;
/// The application's own tables are written with it.
pub use redb;

pub use builder::RedbBuilder;
pub use complete_with::RedbStoreExt;
pub use config::{RedbConfig, WhenQueueFull};
pub use driver::DRIVER;
/// How [`RedbStore::complete_with`] ended.
pub use idem_core::Transacted;
pub use quick_repair::QuickRepair;
pub use stats::RedbStats;
pub use store::RedbStore;
