//! Before the work: the lock, the replay, and the caller that came first.

mod acquire;
mod replay;
mod wait;
mod waiters;
