//! Looking up expired records in the last commit.

use crate::error::Failure;
use crate::handle::calls::Handle;
use crate::storage::tables::expired::{self, FoundExpired};
use idem_core::Result;
/// At most `limit` outcomes, and as many locks.
pub(super) fn look_up(store: &Handle, limit: usize) -> Result<FoundExpired, Failure> {
    store.state.slot.scan(|txn| expired::find_expired(txn, store.state.time.now(), (limit, limit)))
}
