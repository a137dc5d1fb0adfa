//! Catching the panics of redb.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Failure;

/// Drops what may be the last handle of a database or of a transaction: redb may panic while it ends them.
pub(crate) fn drop_guarded<T>(ended: T) {
    let _ended = guarded(|| {
        drop(ended);
        Ok(())
    });
}

/// Turns a panic into a failure: redb does not verify the pages that it reads, so a damaged page can fail an
/// assertion.
pub(crate) fn guarded<T>(act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Failure::Panicked))
}
