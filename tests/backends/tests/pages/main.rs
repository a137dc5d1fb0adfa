//! Compares the project's pages with the code: options, links, tests, types, the diagram of the crates.
//!
//! The documentation tests of `idem-examples` compile the Rust code in the pages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod claims;
mod growth;
mod links;
mod options;
mod picture;
mod support;
