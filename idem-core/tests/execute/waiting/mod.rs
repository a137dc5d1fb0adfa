//! Before the work: the lock, the replay, and the caller that came first.

mod again;
mod begin;
mod replay;
mod wait;
mod waiters;
