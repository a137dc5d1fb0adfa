//! The state that callers, writer and sweeper share.

use std::sync::Arc;

use idem_core::backend::{StoreClock, Waiters};

use crate::config::RedbConfig;
use crate::database::read_latency::ReadLatency;
use crate::database::slot::Slot;
use crate::quota::disk_space::DiskSpace;
use crate::storage::identity::FileIdentity;

#[derive(Debug)]
pub(crate) struct StoreState {
    pub(crate) config: RedbConfig,
    pub(crate) slot: Slot,
    pub(crate) time: StoreClock,
    pub(crate) waiters: Waiters,
    pub(crate) read_latency: ReadLatency,
    /// Present for a file that the store opened by its name.
    pub(crate) identity: Option<FileIdentity>,
    /// How much room is left for that file.
    pub(crate) disk_space: Option<Arc<DiskSpace>>,
}

impl StoreState {
    /// Measures how much room is left, where that is known.
    pub(crate) fn measure_disk_space(&self) {
        if let Some(disk_space) = &self.disk_space {
            disk_space.measure();
        }
    }

    /// Whether the store's file still has its name. Once it has lost it, everything is refused.
    pub(crate) fn has_file(&self) -> bool {
        match &self.identity {
            Some(identity) if !identity.is_named() => {
                if self.slot.mark_lost(identity.lost()) {
                    tracing::error!("the store's file was removed or replaced, the store refuses everything");
                }
                false
            }
            _ => !self.slot.is_lost(),
        }
    }
}
