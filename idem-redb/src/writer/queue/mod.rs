//! The writer's queue: its messages, and the order in which they are taken.

pub(crate) mod lane;
pub(crate) mod message;
pub(crate) mod priority;
pub(crate) mod queued_sweep;
pub(crate) mod sweep_plan;
