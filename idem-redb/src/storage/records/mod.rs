//! The tables' layout, and the bytes of their entries.

pub(crate) mod high_water_mark;
pub(crate) mod lock_expiry;
pub(crate) mod lock_record;
pub(crate) mod schema;
pub(crate) mod scope_usage;
pub(crate) mod usage_row;
