//! Why a key was not completed in a transaction.

use std::fmt;

use idem_core::{Error, LostReason, Transacted};

/// Why [`complete_in`](crate::PostgresStore::complete_in) did not complete the key. The transaction must be rolled back.
///
/// Once the server has refused it, the transaction has failed: a `COMMIT` that is sent all the same rolls back. So the
/// writes of an attempt that lost its lease never come to stand beside those of another one.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotCompleted {
    /// The same lease completed the key before, by another transaction or by [`complete`](idem_core::Store::complete).
    /// See [`Transacted::AlreadyCompleted`].
    AlreadyCompleted,
    /// The lease is lost.
    Lost(LostReason),
    /// The call failed. The lease is still held, as far as is known.
    Failed(Error),
}

impl<E: From<Error>> From<NotCompleted> for Transacted<E> {
    /// How the transaction ended, once it is rolled back.
    fn from(not_completed: NotCompleted) -> Self {
        match not_completed {
            NotCompleted::AlreadyCompleted => Self::AlreadyCompleted,
            NotCompleted::Lost(reason) => Self::Lost(reason),
            NotCompleted::Failed(error) => Self::RolledBack(error.into()),
        }
    }
}

impl fmt::Display for NotCompleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyCompleted => f.write_str("the same attempt has completed the key before"),
            Self::Lost(LostReason::Superseded) => f.write_str("another attempt took over"),
            Self::Lost(LostReason::Completed) => f.write_str("the key is completed"),
            Self::Lost(LostReason::Released) => f.write_str("the key was released"),
            Self::Lost(LostReason::Gone) => f.write_str("the key's record is gone"),
            Self::Failed(error) => write!(f, "the key was not completed: {error}"),
        }
    }
}

impl std::error::Error for NotCompleted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The error itself stands in the text.
            Self::Failed(error) => error.source(),
            Self::AlreadyCompleted | Self::Lost(_) => None,
        }
    }
}
