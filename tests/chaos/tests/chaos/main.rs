//! Chaos tests: idem-redis and idem-postgres keep what they acknowledged while their servers die, hang, are full and are
//! cut off.
//!
//! Every round starts real servers, runs callers against them, injects a fault, and records every call with its answer
//! and its time. A pure checker then reports what in that history contradicts the contract.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod environment;
mod judge;
mod long;
mod rng;
mod rounds;
mod table;
