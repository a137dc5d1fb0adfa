//! Looking up what has expired, in the database as it was committed last.

use crate::error::Failure;
use crate::handle::calls::Inner;
use crate::storage::tables::expired::{self, FoundExpired};
use idem_core::Result;
/// At most `limit` outcomes, and as many locks.
pub(super) fn look_up(store: &Inner, limit: usize) -> Result<FoundExpired, Failure> {
    store.shared.slot.scan(|txn| expired::expired(txn, store.shared.time.now(), (limit, limit)))
}
