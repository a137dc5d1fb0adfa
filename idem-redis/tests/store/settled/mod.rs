//! Waiting for a completion that another process makes.

mod replays_beside_waiters;
mod settled_in_time;
mod subscriptions_left;
mod waiting;
mod waiting_unpolled;
mod woken_by_others;
