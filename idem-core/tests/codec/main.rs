//! The bytes of a record: pinned, read back, and safe to read whatever they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocation;
mod damage;
mod golden;
mod layout;
mod round_trip;
mod support;
mod wincode_bytes;
