//! The process of one server: how it starts, its port, and how it ends.

mod child;
mod keeper;
mod launch;
mod port;

pub(super) use child::Process;
pub(super) use keeper::hand_over;
pub(super) use launch::{PORT_TAKEN, launch, log_tail};
pub(super) use port::free as free_port;
