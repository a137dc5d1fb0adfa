//! The examples `payments` and `payments-client` as processes: what docs/guide/try-it.md shows, hostile clients,
//! shutdowns, crashes, a full disk, a cluster.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod crash;
mod full_disk;
mod hostile;
mod process;
mod shared;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
