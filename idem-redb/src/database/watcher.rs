//! The thread that watches a store's file: whether it still has its name, and how much room is left for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use idem_core::Result;

use crate::database::state::StoreState;
use crate::thread;

/// How often the watcher checks. The writer checks the name before each commit too, and counts what it writes itself.
const INTERVAL: Duration = Duration::from_millis(250);

/// Watches the store's file until the store or the file is gone. The room has been measured once when this returns.
pub(crate) fn start(state: &Arc<StoreState>) -> Result<()> {
    if state.identity.is_none() {
        return Ok(());
    }
    state.measure_disk_space();
    let state: Weak<StoreState> = Arc::downgrade(state);
    thread::spawn("idem-redb watcher", move || {
        loop {
            std::thread::sleep(INTERVAL);
            let Some(state) = state.upgrade() else { return };
            // A database that is closed, or being reopened, is not in use.
            if state.slot.is_ready() && !state.has_file() {
                return;
            }
            state.measure_disk_space();
        }
    })
}
