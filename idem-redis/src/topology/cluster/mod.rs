//! What is known of a cluster: its slots, the views that its nodes have of it, and which servers hold the same data.

pub(crate) mod shards;
pub(crate) mod slots;
pub(crate) mod view;
