//! The bytes of a record: pinned by golden files, read back as written, and safe to decode whatever they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocation;
mod damage;
mod golden;
mod layout;
mod round_trip;
mod summaries;
mod support;
mod wincode_bytes;
