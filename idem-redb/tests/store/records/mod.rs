//! Records that are kept, counted and swept, and space that is given back.

mod checkpoints;
mod counting;
mod lock_expiry;
mod share;
mod shrink;
mod sweep;
mod while_compacting;
