//! Where the layer stands among others: each claim of `docs/where-the-layer-stands.md`, on routers of axum.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authentication;
mod bodies;
mod compression;
mod cors;
mod headers;
mod limits;
mod multipart;
mod panics;
mod routes;
mod support;
mod task_locals;
mod timeouts;
mod tracing;
