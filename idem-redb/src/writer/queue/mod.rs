//! What waits for the writer, and in which order it is taken.

pub(crate) mod lane;
pub(crate) mod message;
pub(crate) mod priority;
pub(crate) mod queued_sweep;
pub(crate) mod sweep_plan;
