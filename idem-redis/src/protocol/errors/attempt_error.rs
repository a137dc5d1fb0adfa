//! Why one attempt of a call failed, and what that means for the call.

use std::sync::Arc;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use crate::config::address::Address;
use crate::protocol::errors::cause::Cause;

/// Why one attempt of a call failed.
#[derive(Debug, Clone)]
pub(crate) enum AttemptError {
    /// Another server has the slot. Nothing was done.
    Moved { to: Option<Address> },
    /// Another server is importing the slot, and this server does not have the key. Nothing was done.
    Ask { to: Address },
    /// The server does not know the script. Nothing was done.
    NoScript,
    /// The server's memory is full. Nothing was done.
    Full(Cause),
    /// The server takes no writes: its disk fails (`MISCONF`), or it has too few replicas (`NOREPLICAS`). Nothing was done.
    NoWrites(Cause),
    /// Nothing was done. A later attempt may succeed.
    Later(Cause),
    /// The command may have been carried out, or may still be.
    Unknown(Cause),
    /// As [`Unknown`](Self::Unknown), because the time of the call itself is over.
    OutOfTime,
    /// Nothing was done, and no retry will help until an operator intervenes.
    Refused(ErrorKind, Cause),
    /// As [`Refused`](Self::Refused), but the command may have been carried out, in whole or in part.
    Unclear(ErrorKind, Cause),
}

impl AttemptError {
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self::Refused(kind, Cause::new(message))
    }

    /// This error as the answer to a `WAIT`. The write before it was answered already, so no error here can mean that the
    /// write was not done. Where a retry may find out what became of the write, the error becomes
    /// [`Unknown`](Self::Unknown), else a timeout for the caller.
    pub(crate) fn of_wait(self) -> Self {
        match self {
            Self::Refused(_, cause) | Self::Unclear(_, cause) | Self::Full(cause) | Self::NoWrites(cause) => {
                Self::Refused(ErrorKind::Timeout, cause)
            }
            Self::Later(cause) => Self::Unknown(cause),
            Self::Moved { .. } | Self::Ask { .. } | Self::NoScript => {
                Self::Unknown(Cause::new("the server did not wait for its replicas"))
            }
            Self::Unknown(_) | Self::OutOfTime => self,
        }
    }

    /// This error as the answer to a query, which has no effect that matters.
    pub(crate) fn of_query(self) -> Self {
        if let Self::Unclear(kind, cause) = self { Self::Refused(kind, cause) } else { self }
    }

    /// The error of a call that ends with this attempt. `unsure`: whether an earlier attempt may have been carried out.
    pub(crate) fn into_error(self, operation: Operation, unsure: bool) -> Error {
        let (kind, cause) = match self {
            Self::Full(cause) => (ErrorKind::Full, cause),
            Self::Refused(kind, cause) => (kind, cause),
            Self::Unclear(_, cause) | Self::Unknown(cause) => (ErrorKind::Timeout, cause),
            Self::OutOfTime => (ErrorKind::Timeout, Cause::new("no answer in time")),
            Self::Later(cause) | Self::NoWrites(cause) => (ErrorKind::Unavailable, cause),
            Self::Moved { to: Some(to) } | Self::Ask { to } => {
                (ErrorKind::Unavailable, Cause::new(format!("the key's slot is moving to {to}")))
            }
            Self::Moved { to: None } => (ErrorKind::Unavailable, Cause::new("the key's slot is moving")),
            Self::NoScript => (ErrorKind::Unavailable, Cause::new("the server forgets its scripts")),
        };
        let kind = if unsure { ErrorKind::Timeout } else { kind };
        cause.into_error(kind, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_effect_outlives_a_later_refusal() {
        let error = AttemptError::Later(Cause::new("down")).into_error(Operation::Lock, true);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let error = AttemptError::Later(Cause::new("down")).into_error(Operation::Lock, false);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
