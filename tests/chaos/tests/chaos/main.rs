//! Chaos: what idem-redis acknowledged is kept while its servers die, hang, move and are cut off.
//!
//! Every round starts real servers, runs callers against them, does something to the servers, and records every call
//! with its answer and its time. A pure checker then says what in that history contradicts the contract.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod ground;
mod judge;
mod long;
mod rng;
mod rounds;
mod table;
