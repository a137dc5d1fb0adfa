//! How the work ends, and what is kept of it.

mod by_work;
mod cancel;
mod complete;
mod failure;
mod gone;
mod late;
mod result;
mod room;
mod typed;
