//! What the conformance kit cannot ask: servers that refuse, fail or hang, records that are damaged, replicas that
//! do not answer. Against real servers, each test with its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod configuration;
mod connection;
mod cutting_proxy;
mod proxy;
mod records;
mod replicas;
mod settled;
mod support;
mod topology;
