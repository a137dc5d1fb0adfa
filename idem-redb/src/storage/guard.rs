//! Catching the panics of redb.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Failure;

/// Drops what may be the last of a database, or of a transaction, which then ends: redb may panic over that too.
pub(crate) fn drop_guarded<T>(ended: T) {
    let _ended = guarded(|| {
        drop(ended);
        Ok(())
    });
}

/// redb verifies no page when it reads it, so a damaged one can fail its assertions.
pub(crate) fn guarded<T>(act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Failure::Panicked))
}
