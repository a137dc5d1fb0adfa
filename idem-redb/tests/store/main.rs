//! Tests of the redb store with failing disks, damaged files and kills, and of its promises beyond the contract.
//!
//! One binary, with one small module for each behaviour, in folders by subject. `support` has the disk that fails on
//! command, and the judge that compares a store with the answers its callers got.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod faults;
mod full_disk;
mod opening;
mod records;
mod shared;
mod support;
