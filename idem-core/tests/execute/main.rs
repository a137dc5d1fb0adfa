//! `execute` on a store that times out, hangs and loses answers, in paused time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod outside;
mod waiting;
mod work;
