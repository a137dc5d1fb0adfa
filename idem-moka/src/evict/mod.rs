//! The completed records of a store that evicts: in moka, with separate counts and a separate expiry index.

pub(crate) mod completed_record;
pub(crate) mod evictable_records;
mod expiry;
pub(crate) mod part;
