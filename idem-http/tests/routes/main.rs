//! The route is part of the request, whatever the features and the router: these tests need no feature.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batch;
mod prefixes;
mod support;
