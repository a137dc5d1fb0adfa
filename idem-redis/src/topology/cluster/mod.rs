//! What is known of a cluster: its slots, its nodes' views of it, and which servers keep the same data.

pub(crate) mod shards;
pub(crate) mod slots;
pub(crate) mod view;
