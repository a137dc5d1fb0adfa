//! What callers, writer and sweeper have in common.

use idem_core::Waiters;

use crate::config::RedbConfig;
use crate::pace::ReadPace;
use crate::slot::Slot;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RedbConfig,
    pub(crate) slot: Slot,
    pub(crate) time: Time,
    pub(crate) waiters: Waiters,
    pub(crate) pace: ReadPace,
}
