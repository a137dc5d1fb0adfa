//! The process of one server: its start, its port, its end.

mod child;
mod keeper;
mod log;
mod poll;
mod port;
mod program;
mod share;

pub(crate) use child::Process;
pub(crate) use log::log_tail;
pub(crate) use poll::poll;
pub(crate) use port::free as free_port;
pub(crate) use program::{in_build_directory, in_path};
pub(crate) use share::{Noted, share};
