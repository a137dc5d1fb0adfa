//! Records: completed, lost, damaged or forgotten ones.

mod bad_record;
mod completion;
mod eviction_allowed;
mod forgotten;
pub(crate) mod lost_data;
