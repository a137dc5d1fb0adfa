//! How an execution ended.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::metrics::{self, count_by};
use crate::record::UnavailableReason;

/// How [`StoreExt::execute`](crate::StoreExt::execute) ended.
#[derive(Debug)]
#[must_use = "only `Executed` and `Replayed` carry the key's one result"]
pub enum Execution<T, E> {
    /// The work ran here, and its result is the key's.
    Executed(T),
    /// The work ran before; this is its result.
    Replayed(T),
    /// Another caller is running it, and did not finish within the policy's wait.
    InProgress {
        /// What is left of its lease, a hint.
        remaining: Duration,
    },
    /// The key was used for a different request.
    FingerprintMismatch,
    /// The work ran here, but the lease was lost meanwhile: this result is not the key's. Another attempt may have run
    /// the work as well, and the store keeps that attempt's result.
    LeaseLost(T),
    /// The work ran to its end before, and its result could not be kept. It is not run again.
    Unavailable(UnavailableReason),
    /// The work ran here, and this error left it unknown whether the store keeps its result. Nothing was released: ask
    /// again with the same key.
    Unknown(T, Error),
    /// The work ran here and answered `Err`, and is not known to have completed its key. What became of the key
    /// is the policy's choice ([`OnError`](crate::OnError)).
    Failed(E),
}

impl<T, E> Execution<T, E> {
    /// The key's one result, whether it was made here or before.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Executed(value) | Self::Replayed(value) => Some(value),
            _ => None,
        }
    }

    /// The key's one result, or why there is none here, as an error.
    ///
    /// ```
    /// use idem_core::{Execution, NoResult};
    ///
    /// fn answer(execution: Execution<String, std::io::Error>) -> (u16, String) {
    ///     match execution.into_result() {
    ///         Ok(receipt) => (200, receipt),
    ///         Err(NoResult::FingerprintMismatch) => (422, "this key belongs to another request".to_owned()),
    ///         Err(none) if none.is_worth_a_retry() => (409, none.to_string()),
    ///         Err(none) => (500, none.to_string()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Every other end of the execution. The work's value is dropped where it is not known to be the key's result.
    pub fn into_result(self) -> Result<T, NoResult<E>> {
        Err(match self {
            Self::Executed(value) | Self::Replayed(value) => return Ok(value),
            Self::InProgress { remaining } => NoResult::InProgress { remaining },
            Self::FingerprintMismatch => NoResult::FingerprintMismatch,
            Self::LeaseLost(_) => NoResult::LeaseLost,
            Self::Unavailable(reason) => NoResult::Unavailable(reason),
            Self::Unknown(_, error) => NoResult::Unknown(error),
            Self::Failed(error) => NoResult::Work(error),
        })
    }
}

/// Why [`Execution::into_result`] has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoResult<E> {
    /// Another caller is running the work: ask again with the same key.
    InProgress {
        /// What is left of its lease, a hint.
        remaining: Duration,
    },
    /// The key was used for a different request.
    FingerprintMismatch,
    /// The work ran here, and its lease was lost: ask again with the same key for the key's result.
    LeaseLost,
    /// The work ran to its end before, and its result could not be kept. It is not run again.
    Unavailable(UnavailableReason),
    /// The work ran here, and whether its result is kept is unknown: ask again with the same key.
    Unknown(Error),
    /// The work's own error.
    Work(E),
}

impl<E> NoResult<E> {
    /// Whether a retry with the same key may get the result. Where [`remaining`](NoResult::InProgress) is known, retry
    /// after that time at the latest.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::InProgress { .. } | Self::LeaseLost | Self::Unknown(_))
    }
}

impl<E> fmt::Display for NoResult<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProgress { remaining } => {
                write!(f, "a request with this key is running, for {remaining:?} at the most; ask again")
            }
            Self::FingerprintMismatch => f.write_str("this key belongs to another request"),
            Self::LeaseLost => f.write_str("the lease was lost while the work ran; ask again for the result"),
            Self::Unavailable(reason) => write!(f, "the work ran before and is not run again: {reason}"),
            Self::Unknown(_) => {
                f.write_str("the work ran, and whether its result is kept is unknown; ask again")
            }
            Self::Work(_) => f.write_str("the work failed"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for NoResult<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(error) => Some(error),
            Self::Work(error) => Some(error),
            _ => None,
        }
    }
}

/// Counts how an `execute` ended, and answers the word for it.
pub(crate) fn ended<T, E>(answer: &Result<Execution<T, E>>) -> &'static str {
    let outcome = match answer {
        Ok(Execution::Executed(_)) => "executed",
        Ok(Execution::Replayed(_)) => "replayed",
        Ok(Execution::InProgress { .. }) => "in_progress",
        Ok(Execution::FingerprintMismatch) => "fingerprint_mismatch",
        Ok(Execution::LeaseLost(_)) => "fenced",
        Ok(Execution::Unavailable(_)) => "unavailable",
        Ok(Execution::Unknown(..)) => "unknown",
        Ok(Execution::Failed(_)) => "failed",
        Err(_) => "error",
    };
    count_by(metrics::EXECUTIONS, "outcome", outcome);
    outcome
}
