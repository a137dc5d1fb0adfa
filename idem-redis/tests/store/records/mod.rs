//! What is kept, and what was lost, damaged or forgotten.

mod bad_record;
mod completion;
mod eviction_allowed;
mod forgotten;
pub(crate) mod lost_data;
