//! What callers, writer and sweeper have in common.

use idem_core::{StoreClock, Waiters};

use crate::config::RedbConfig;
use crate::pace::ReadPace;
use crate::slot::Slot;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RedbConfig,
    pub(crate) slot: Slot,
    pub(crate) clock: StoreClock,
    pub(crate) waiters: Waiters,
    pub(crate) pace: ReadPace,
}
