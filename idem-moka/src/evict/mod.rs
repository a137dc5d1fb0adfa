//! The completed records of a store that evicts: in moka, with an account and an expiry index of our own beside it.

pub(crate) mod completed_record;
pub(crate) mod evictable_records;
mod expiry;
pub(crate) mod part;
