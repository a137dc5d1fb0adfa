//! How much of the disk one scope may fill: its usage, and the space that is left.

pub(crate) mod counting;
pub(crate) mod counts;
pub(crate) mod disk_space;
pub(crate) mod disk_usage;
pub(crate) mod known_usage;
pub(crate) mod scope_quota;
