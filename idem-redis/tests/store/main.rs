//! Tests beyond the conformance kit: servers that refuse, fail or hang, records that are damaged, replicas that do not
//! answer. They run against real servers; each test has its own.
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
