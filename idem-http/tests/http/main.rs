//! The 17 statements about a server, one group of tests each, and what hostile and many clients do to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod execution;
mod grpc;
mod request;
mod response;
mod stacks;
mod support;
