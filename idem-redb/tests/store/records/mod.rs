//! What is kept, counted, swept and given back.

mod checkpoints;
mod counting;
mod lock_expiry;
mod share;
mod shrink;
mod sweep;
mod while_compacting;
