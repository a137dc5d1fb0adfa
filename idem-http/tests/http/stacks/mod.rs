//! The layer in whole stacks: with other frameworks, real Redis servers, and many clients.

mod allocations;
mod many;
mod redis;
mod s15_stacks;
mod s15_tonic;
mod s17_spans;
