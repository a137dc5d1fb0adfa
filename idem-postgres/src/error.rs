//! What a failure of the server means for the calls that were sent.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

/// A statement that was not carried out, or of which it is unknown whether it was.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) recovery: Recovery,
    pub(crate) message: String,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Send the same calls again, on the same connection: nothing was done.
    Resend,
    /// Nothing was done, since one of them waited too long for a transaction of somebody else: send them again, where
    /// they hold up nobody.
    SetAside,
    /// Send them again, on another connection.
    Reconnect,
    /// Tell the callers: sending them again does not help.
    Refuse(ErrorKind),
}

impl Failure {
    pub(crate) fn reconnect(message: impl Into<String>) -> Self {
        Self { recovery: Recovery::Reconnect, message: message.into() }
    }

    /// The server gave no answer to a statement in time.
    pub(crate) fn unanswered(limit: Duration) -> Self {
        Self::reconnect(format!("the server did not answer within {limit:?}"))
    }

    /// The schema is not what this code created.
    pub(crate) fn incompatible(message: impl Into<String>) -> Self {
        Self { recovery: Recovery::Refuse(ErrorKind::Incompatible), message: message.into() }
    }

    pub(crate) fn error(&self, operation: Operation) -> Error {
        let kind = match self.recovery {
            Recovery::Resend | Recovery::SetAside | Recovery::Reconnect => ErrorKind::Timeout,
            Recovery::Refuse(kind) => kind,
        };
        Error::new(kind, operation, self.message.clone())
    }
}

/// What to do about an SQLSTATE. The classes are those of the manual's appendix A.
pub(crate) fn recovery(state: &str) -> Recovery {
    match state {
        // Serialization, deadlock, statement cancelled.
        "40001" | "40P01" | "57014" => Recovery::Resend,
        // Lock not available.
        "55P03" => Recovery::SetAside,
        // Read-only, because the server became a standby; a session in a transaction that somebody has left there after it
        // failed, or that was ended since its transaction took too long; and not accepting calls.
        "25006" | "25P02" | "25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P05" => Recovery::Reconnect,
        "53100" => Recovery::Refuse(ErrorKind::Full),
        // The schema is missing or older.
        "42P01" | "42883" | "3F000" => Recovery::Refuse(ErrorKind::Unavailable),
        // The password, the role and its rights, the database, the protocol.
        "28P01" | "28000" | "42501" | "3D000" | "0A000" => Recovery::Refuse(ErrorKind::InvalidConfig),
        state if state.starts_with("08") || state.starts_with("53") || state.starts_with("57") => {
            Recovery::Reconnect
        }
        // Of the data, of an index.
        "XX001" | "XX002" => Recovery::Refuse(ErrorKind::Corrupt),
        _ => Recovery::Refuse(ErrorKind::Unavailable),
    }
}

/// No answer came in the time of a call.
pub(crate) fn unanswered(operation: Operation, limit: Duration, why: &str) -> Error {
    Error::new(ErrorKind::Timeout, operation, format!("no answer within {limit:?}{why}"))
}

/// A configuration that cannot work.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// An error with its sources, since this library's own text leaves them out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
