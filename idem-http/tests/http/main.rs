//! The 17 statements about a server, one group of tests each, and what hostile and many clients do to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod body_timer;
mod detached;
mod forms;
mod grpc;
mod half_sent;
mod hostile;
mod limits_inside;
mod many;
mod pinned;
mod redis;
mod retention;
mod room_for_bodies;
mod s01_key_is_a_string;
mod s02_two_syntaxes;
mod s03_answers;
mod s04_problems;
mod s05_methods;
mod s06_replays;
mod s07_fingerprint;
mod s08_scope;
mod s09_limits;
mod s10_headers;
mod s11_verdicts;
mod s12_disconnects;
mod s13_store_down;
mod s14_lost_leases;
mod s15_stacks;
mod s15_tonic;
mod s16_attempt;
mod s17_spans;
mod shares;
mod support;
mod surroundings;
mod unrouted;
