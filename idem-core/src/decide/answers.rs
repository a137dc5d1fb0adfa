//! What callers get of a decision.

use super::Answer;
use crate::{Claim, Error, ErrorKind, Fenced, Fingerprint, Key, Lease, LockOutcome, Operation, Result, Sent};

/// For those who write a store: answers as the contract gives them.
impl Answer {
    /// The answer to `lock`, sent at `sent`.
    ///
    /// # Errors
    /// When this answers another call, which is a mistake in the store.
    pub fn into_lock_outcome(
        self,
        key: Key,
        fingerprint: Fingerprint,
        claim: &Claim,
        sent: &Sent,
    ) -> Result<LockOutcome> {
        match self {
            Self::Acquired(grant) => {
                Ok(LockOutcome::Acquired(Lease::granted(key, fingerprint, claim, grant, sent)))
            }
            Self::InProgress(remaining) => Ok(LockOutcome::InProgress { remaining }),
            Self::Completed(completion) => Ok(LockOutcome::Completed(completion)),
            Self::FingerprintMismatch => Ok(LockOutcome::FingerprintMismatch),
            Self::Fenced(_) | Self::Removed(_) => Err(mismatched(Operation::Lock)),
        }
    }

    /// The answer to a holder's call.
    ///
    /// # Errors
    /// When this answers another call, which is a mistake in the store.
    pub fn into_fenced(self) -> Result<Fenced> {
        if let Self::Fenced(fenced) = self { Ok(fenced) } else { Err(mismatched(Operation::Complete)) }
    }

    /// The answer to `remove`.
    ///
    /// # Errors
    /// When this answers another call, which is a mistake in the store.
    pub fn into_removed(self) -> Result<bool> {
        if let Self::Removed(removed) = self { Ok(removed) } else { Err(mismatched(Operation::Remove)) }
    }
}

fn mismatched(operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the store mixed up the answers of two calls")
}
