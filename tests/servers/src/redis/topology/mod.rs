//! What the nodes of a cluster say of one another, and how slots and roles are moved.

mod chains;
mod layout;
mod migration;
mod replication;
mod slots;
mod view;

pub use layout::Topology;
pub use migration::Migration;
pub(super) use replication::in_step;
pub use slots::{SLOTS, slot};
