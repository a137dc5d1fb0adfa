//! Waiting for a key that another process holds.

mod replays_beside_waiters;
mod settled_in_time;
mod spurious_wakeups;
mod subscriptions_left;
mod unpolled_call;
mod waiting;
