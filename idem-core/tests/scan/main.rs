//! What builds on a scan, on pages that a test makes: cursors and statistics.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cursor;
mod stats;
