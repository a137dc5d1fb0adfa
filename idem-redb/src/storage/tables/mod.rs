//! Reading and changing the tables within a transaction.

mod change;
pub(crate) mod expired;
pub(crate) mod lazy_table;
pub(crate) mod recount;
pub(crate) mod scan;
mod sizes;
pub(crate) mod snapshot;
mod sweeping;
pub(crate) mod version;
pub(crate) mod write;
