//! Real servers for tests and benchmarks, each with a free port on 127.0.0.1 and a temporary folder of its own.

pub mod certificates;
pub mod postgres;
mod process;
pub mod redis;
