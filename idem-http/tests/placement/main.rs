//! Where the layer stands among others: each claim of `docs/where-the-layer-stands.md`, on routers of axum.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authentication;
mod content;
mod cors;
mod headers;
mod limits;
mod panics;
mod routes;
mod support;
mod task_locals;
mod timeouts;
mod tracing;
