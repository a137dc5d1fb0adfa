//! What a failure of the store means for a request.

use idem_core::{Error, ErrorKind};

use crate::options::WhenStoreFails;
use crate::response::problem::{Kind, Problem};
use crate::response::replies::unreadable;
use crate::shared::Shared;

impl Shared {
    /// Whether a request may run without a lock after this failure. Not after damage, which does not pass by itself. Not
    /// while the store is full either: a full store still answers, and whoever filled it must not switch off everybody's
    /// protection.
    pub(crate) fn passes_through(&self, error: &Error) -> bool {
        self.options.store_fails == WhenStoreFails::PassThrough && error.kind().is_transient()
    }

    pub(crate) fn store_failed(&self, error: &Error) -> Problem {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible) {
            return unreadable();
        }
        if error.kind() == ErrorKind::Full {
            let detail = "there is no room for a new idempotency key at the moment; nothing was done";
            return Problem::new(Kind::StoreFull, detail).retry_after(self.options.replies.retry_store);
        }
        let detail = "idempotency keys cannot be checked at the moment; nothing was done";
        Problem::new(Kind::StoreUnavailable, detail).retry_after(self.options.replies.retry_store)
    }
}

/// An error as `tracing` takes it, with its sources.
pub(crate) fn cause(error: &Error) -> &(dyn std::error::Error + Send + Sync + 'static) {
    error
}
