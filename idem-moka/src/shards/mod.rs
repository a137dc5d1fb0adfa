//! Shards: the parts that keys are divided into, each with a lock, its records and notes of their expiry.

mod notes;
pub(crate) mod shard;
pub(crate) mod table;
