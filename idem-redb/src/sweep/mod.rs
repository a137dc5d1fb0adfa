//! Removing expired records: in the background, and at a caller's request.

pub(crate) mod expire;
mod look_up;
pub(crate) mod sweeper;
