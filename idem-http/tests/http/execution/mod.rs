//! Handlers under a lease: clients that leave, stores that fail, leases that are lost.

mod detached;
mod limits_inside;
mod s12_disconnects;
mod s13_store_down;
mod s14_lost_leases;
mod s16_attempt;
mod surroundings;
