//! Compares the project's pages with the code: options, links, tests, types, the picture of crates.
//!
//! The Rust code in them is compiled elsewhere, by the documentation tests of `idem-examples`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod claims;
mod growth;
mod links;
mod options;
mod picture;
mod support;
