//! All records of a store, the only way to change them, and the removal of expired ones.

mod expire;
mod scan;
pub(crate) mod store_records;
mod sweep;
