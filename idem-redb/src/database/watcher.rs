//! The thread that looks after a store's file: whether it still has its name, and how much room is left for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use idem_core::Result;

use crate::database::state::StoreState;
use crate::thread;

/// How often. Writers look for the name before each commit, and know by themselves what they have written.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks after the store's file until the store is gone or the file is. The first look at the room is over when this
/// returns.
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
            // One that is closed, or being opened anew, is not in use.
            if state.slot.is_ready() && !state.has_file() {
                return;
            }
            state.measure_disk_space();
        }
    })
}
