//! The file of a store and the tables in it: creating, opening, migrating and shrinking them.

pub(crate) mod create;
pub(crate) mod guard;
pub(crate) mod identity;
pub(crate) mod leftovers;
pub(crate) mod migrate;
pub(crate) mod open;
pub(crate) mod records;
pub(crate) mod repair;
pub(crate) mod revocable;
pub(crate) mod setup;
pub(crate) mod shrink;
pub(crate) mod tables;
pub(crate) mod transaction;
