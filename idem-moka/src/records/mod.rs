//! All records of a store, the one way to change them, and removing what has expired.

mod expire;
pub(crate) mod store_records;
mod sweep;
