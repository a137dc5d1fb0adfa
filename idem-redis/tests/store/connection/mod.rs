//! Connections: what is in flight on them, hostile answers, runtimes that rest or end.

mod busy_or_idle;
mod full_queue;
mod hostile_answers;
mod pipelining;
mod pushed_with_attributes;
mod runtime_at_rest;
mod runtimes;
mod too_many_clients;
