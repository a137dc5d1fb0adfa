//! A decision's answer, as the caller of the store gets it.

use super::decide::Answer;
use super::lease_control::LeaseControl;
use crate::claim::Claim;
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::identity::{Fingerprint, Key};
use crate::lease::{Lease, LockAnswer, Sent};

/// For those who write a store: the answers as the types of the contract.
impl Answer {
    /// The answer to `lock`, sent at `sent`.
    ///
    /// # Errors
    /// When this answers another call, which is a mistake in the store.
    pub fn into_lock_answer(
        self,
        key: Key,
        fingerprint: Fingerprint,
        claim: &Claim,
        sent: &Sent,
    ) -> Result<LockAnswer> {
        match self {
            Self::Acquired(grant) => {
                Ok(LockAnswer::Acquired(Lease::granted(key, fingerprint, claim, grant, sent)))
            }
            Self::InProgress(remaining) => Ok(LockAnswer::InProgress { remaining }),
            Self::Completed(replay) => Ok(LockAnswer::Completed(replay)),
            Self::FingerprintMismatch => Ok(LockAnswer::FingerprintMismatch),
            Self::Effect(_) | Self::Removed(_) => Err(mismatched(Operation::Lock)),
        }
    }

    /// The answer to a holder's call.
    ///
    /// # Errors
    /// When this answers another call, which is a mistake in the store.
    pub fn into_effect(self) -> Result<Effect> {
        if let Self::Effect(effect) = self { Ok(effect) } else { Err(mismatched(Operation::Complete)) }
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
