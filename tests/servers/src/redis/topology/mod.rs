//! What the nodes of a cluster report about each other, and how slots and roles are moved.

mod chains;
mod layout;
mod migration;
mod replication;
mod slots;
mod view;

pub use layout::Topology;
pub use migration::Migration;
pub(super) use replication::in_sync;
pub use slots::{SLOTS, slot};
