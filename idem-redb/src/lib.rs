//! Idempotency keys in one redb file: embedded, durable, the default store of idem.
//!
//! See [`RedbStore`], and [`RedbStore::complete_with`] for exactly once.

mod batch;
mod builder;
mod closure;
mod config;
mod counting;
mod create;
mod error;
mod expired;
mod file;
mod found;
mod full_disk;
mod held;
mod held_row;
mod identity;
mod inner;
mod lane;
mod lazy_table;
mod leftovers;
mod lent;
mod lock_expiry;
mod lock_record;
mod maintain;
mod mark;
mod migrate;
mod origin;
mod pace;
mod priority;
mod queue;
mod quick_repair;
mod reads;
mod recover;
mod rest;
mod room;
mod schema;
mod seen;
mod share;
mod shared;
mod shrink;
mod slot;
mod snapshot;
mod stats;
mod step;
mod store;
mod sweep;
mod sweep_plan;
mod sweep_turn;
mod tables;
mod thread;
mod transact;
mod watcher;
mod write_turn;
mod writer;
mod writes;

use std::sync::Arc;

use idem_core::config::{Opening, Options};
use idem_core::{Driver, Store};

/// What outcomes are made of.
pub use bytes;
/// What the application's own tables are made of.
pub use redb;

pub use builder::RedbBuilder;
pub use config::{RedbConfig, WhenQueueFull};
pub use idem_core::Transacted;
/// How [`RedbStore::complete_with`] ended.
pub use quick_repair::QuickRepair;
pub use stats::RedbStats;
pub use store::RedbStore;
pub use transact::RedbStoreExt;

/// Opens a [`RedbStore`] by configuration: `redb:./payments.idem`, or a table with `store = "redb"` and a `path`.
pub const DRIVER: Driver = Driver { schemes: &["redb"], target: Some("path"), open };

fn open(options: Options) -> Opening {
    Box::pin(async move {
        let store = RedbStore::open(options.read::<RedbConfig>()?).await?;
        Ok(Arc::new(store) as Arc<dyn Store>)
    })
}
