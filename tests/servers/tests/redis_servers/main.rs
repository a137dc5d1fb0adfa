//! The Redis servers that tests start: they start, they do what they are told, and nothing of them is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod ending;
mod kinds;
mod lone;
mod pair;
mod shared;
