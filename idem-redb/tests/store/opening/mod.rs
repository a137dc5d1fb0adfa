//! What an opening accepts, refuses, repairs and migrates.

mod arguments;
mod creation;
mod file_identity;
mod paths;
mod quick_repair;
mod reopen;
mod time;
mod version_1;
