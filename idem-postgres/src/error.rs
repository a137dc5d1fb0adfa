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
    /// Nothing was done: send the same calls again.
    Resend,
    /// Nothing was done, since one of them waited too long for a transaction of somebody else: send them again, where
    /// they hold up nobody.
    SetAside,
    /// They may have been carried out: send them again, on another connection.
    Reconnect,
    /// Tell the callers: sending them again does not help.
    Refuse(ErrorKind),
}

impl Recovery {
    /// The kind of an error that tells of it, where sending again does not help any more, or is not tried.
    pub(crate) fn kind(self, unless_refused: ErrorKind) -> ErrorKind {
        match self {
            Self::Refuse(kind) => kind,
            Self::Resend | Self::SetAside | Self::Reconnect => unless_refused,
        }
    }
}

impl Failure {
    pub(crate) fn reconnect(message: impl Into<String>) -> Self {
        Self { recovery: Recovery::Reconnect, message: message.into() }
    }

    /// The server gave no answer to a statement in time.
    pub(crate) fn unanswered(limit: Duration) -> Self {
        Self::reconnect(format!("the server did not answer within {limit:?}"))
    }

    /// There was no connection by which anything could have been sent.
    pub(crate) fn unsent(self) -> Self {
        match self.recovery {
            Recovery::Reconnect => Self { recovery: Recovery::Resend, ..self },
            _ => self,
        }
    }

    pub(crate) fn invalid_config(message: impl Into<String>) -> Self {
        Self { recovery: Recovery::Refuse(ErrorKind::InvalidConfig), message: message.into() }
    }

    /// The schema is not what this code created.
    pub(crate) fn incompatible(message: impl Into<String>) -> Self {
        Self { recovery: Recovery::Refuse(ErrorKind::Incompatible), message: message.into() }
    }

    pub(crate) fn error(&self, operation: Operation) -> Error {
        Error::new(self.recovery.kind(ErrorKind::Timeout), operation, self.message.clone())
    }
}

/// What to do about an SQLSTATE. The classes are those of the manual's appendix A.
pub(crate) fn recovery(state: &str) -> Recovery {
    match state {
        // Serialization, deadlock, statement cancelled.
        "40001" | "40P01" | "57014" => Recovery::Resend,
        // Lock not available.
        "55P03" => Recovery::SetAside,
        // The server has become a standby (25006). Or the session is in a failed transaction that somebody has left there
        // (25P02), or was ended because its transaction was idle or took too long.
        "25006" | "25P02" | "25P03" | "25P04" => Recovery::Reconnect,
        "53100" => Recovery::Refuse(ErrorKind::Full),
        // The schema is missing or older.
        "42P01" | "42883" | "3F000" => Recovery::Refuse(ErrorKind::Unavailable),
        // The password, the role and its rights, the database, the protocol.
        "28P01" | "28000" | "42501" | "3D000" | "0A000" => Recovery::Refuse(ErrorKind::InvalidConfig),
        // The connection; no more memory or connections; the server shuts down or starts, or has ended the session. 57014 and
        // 53100 are above.
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

/// Nobody sends it any more.
pub(crate) fn runtime_ended(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation, "the runtime that the store was opened on has ended")
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
