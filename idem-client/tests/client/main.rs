//! The client against servers on real sockets: statements 18 and 19 of docs/http-checklist.md, by number.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod end_to_end;
mod forgetting;
mod format;
mod kills;
mod redirects;
mod replays;
mod restart;
mod s18_keys;
mod s19_retries;
mod script;
