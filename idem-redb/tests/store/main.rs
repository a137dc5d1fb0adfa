//! The redb store against failing disks, damaged files and kills, and its promises beyond the contract.
//!
//! One binary, one small module a behaviour. `support` has the disk that fails on command, and the judge who
//! holds a store to what its callers were told.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod arguments;
mod bit_flips;
mod checkpoints;
mod counting;
mod creation;
mod disk_full;
mod disk_model;
mod file_identity;
mod full_company;
mod io_error;
mod kill;
mod leak;
mod lock_expiry;
mod paths;
mod power_cut;
mod priority;
mod queue;
mod quick_repair;
mod reopen;
mod reserve;
mod share;
mod shared_database;
mod shared_recovery;
mod shrink;
mod support;
mod sweep;
mod time;
mod tmpfs;
mod two_stores;
mod version_1;
mod while_compacting;
mod while_full;
