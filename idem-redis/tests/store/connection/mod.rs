//! Connections: commands in flight, hostile answers, runtimes that are not driven or that end.

mod busy_or_idle;
mod full_queue;
mod hostile_answers;
mod pipelining;
mod pushed_with_attributes;
mod runtimes;
mod too_many_clients;
mod undriven_runtime;
