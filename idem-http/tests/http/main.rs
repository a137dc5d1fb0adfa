//! The 17 statements of `docs/http-checklist.md` about a server, each with a group of tests (`s01` to `s17`), and what
//! hostile clients and many clients do to a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod execution;
mod grpc;
mod request;
mod response;
mod stacks;
mod support;
