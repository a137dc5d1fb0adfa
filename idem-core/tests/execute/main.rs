//! `execute` over a store that times out, falls silent and loses answers, in paused time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod again;
mod begin;
mod by_work;
mod cancel;
mod complete;
mod failure;
mod gone;
mod heartbeat;
mod late;
#[cfg(feature = "metrics")]
mod metrics;
mod pointers;
mod replay;
mod result;
mod room;
mod spans;
mod typed;
mod wait;
mod waiters;
