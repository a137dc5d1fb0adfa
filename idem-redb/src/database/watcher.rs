//! The thread that looks after a store's file: whether it still has its name, and how much room is left for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use idem_core::Result;

use crate::database::state::Shared;
use crate::thread;

/// How often. Writers look for the name before each commit, and know by themselves what they have written.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks after the store's file until the store is gone or the file is. The first look at the room is over when this
/// returns.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<()> {
    if shared.identity.is_none() {
        return Ok(());
    }
    shared.look_at_room();
    let shared: Weak<Shared> = Arc::downgrade(shared);
    thread::spawn("idem-redb watcher", move || {
        loop {
            std::thread::sleep(INTERVAL);
            let Some(shared) = shared.upgrade() else { return };
            // One that is closed, or being opened anew, is not in use.
            if shared.slot.is_ready() && !shared.has_file() {
                return;
            }
            shared.look_at_room();
        }
    })
}
