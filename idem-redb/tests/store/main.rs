//! The redb store against failing disks, damaged files and kills, and its promises beyond the contract.
//!
//! One binary, one small module a behaviour, in folders by what they are about. `support` has the disk that fails on
//! command, and the judge who holds a store to what its callers were told.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod faults;
mod full_disk;
mod opening;
mod records;
mod shared;
mod support;
