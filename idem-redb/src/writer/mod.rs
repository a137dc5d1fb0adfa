//! The one thread that writes: its queue, its commits, and its recovery.

mod clock;
pub(crate) mod closed;
pub(crate) mod commit;
pub(crate) mod full_disk;
mod idle;
pub(crate) mod maintain;
pub(crate) mod queue;
pub(crate) mod recover;
mod run;
pub(crate) mod sweep_progress;
pub(crate) mod worker;
pub(crate) mod write_turn;
