//! How the work ends, and which result is kept.

mod by_work;
mod cancel;
mod complete;
mod failure;
mod future_size;
mod gone;
mod late;
mod result;
mod typed;
