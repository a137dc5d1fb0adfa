//! Calls in the writer's queue: their order, and their bounds.

mod priority;
mod queue;
