//! Translating redb's errors into idem's, with their source kept.

use std::borrow::Cow;
use std::fmt;
use std::io;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

/// A failure of redb, not yet tied to an operation.
#[derive(Debug)]
pub(crate) enum Failure {
    /// redb failed. Whether its database can still be used, [`Failure::needs_reopen`] tells.
    Redb(redb::Error),
    /// redb failed to begin or to end a transaction, and begins no other until it is reopened.
    Latched(redb::Error),
    /// One record is damaged; the database itself is fine.
    Record(Error),
    /// redb panicked over damaged pages.
    Panicked,
    /// The database is away.
    Away(Away),
    /// The application's own transaction took longer than the call timeout.
    Busy,
}

/// Why the database is away, as its callers are answered.
#[derive(Debug, Clone)]
pub(crate) struct Away {
    kind: ErrorKind,
    why: Cow<'static, str>,
    /// Whether it is worth waiting for: as far as is known, the database is being put back.
    is_transient: bool,
}

impl Away {
    pub(crate) const fn new(kind: ErrorKind, why: &'static str) -> Self {
        Self { kind, why: Cow::Borrowed(why), is_transient: false }
    }

    /// Away for a moment: reads wait for its end.
    pub(crate) const fn transient(why: &'static str) -> Self {
        Self { kind: ErrorKind::Unavailable, why: Cow::Borrowed(why), is_transient: true }
    }

    /// Away for as long as the store lives.
    pub(crate) fn permanent(why: String) -> Self {
        Self { kind: ErrorKind::Closed, why: Cow::Owned(why), is_transient: false }
    }

    /// Away for longer, after a reopening failed with `error`: for the same reason, or for `error` where no waiting
    /// helps.
    pub(crate) fn prolonged(self, error: &Error) -> Self {
        match error.kind() {
            kind @ (ErrorKind::Corrupt | ErrorKind::Incompatible) => {
                let why = format!("the database cannot be opened again: {}", error.message());
                Self { kind, why: Cow::Owned(why), is_transient: false }
            }
            _ => Self { is_transient: false, ..self },
        }
    }

    pub(crate) fn error(&self, operation: Operation) -> Error {
        Error::new(self.kind, operation, self.why.clone())
    }
}

/// The error of a revoked storage. A read that meets it is to be tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revoked;

impl std::error::Error for Revoked {}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage was closed")
    }
}

impl Failure {
    /// The failure of beginning or ending a transaction, or of a compaction. Some concern that transaction alone;
    /// after the others, redb refuses to begin another.
    pub(crate) fn latched(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            error @ (redb::Error::TransactionPoisoned
            | redb::Error::TransactionInProgress
            | redb::Error::PersistentSavepointExists
            | redb::Error::EphemeralSavepointExists) => Self::Redb(error),
            error => Self::Latched(error),
        }
    }

    /// Whether redb refuses work until it is closed and reopened.
    pub(crate) fn needs_reopen(&self) -> bool {
        match self {
            Self::Record(_) | Self::Away(_) | Self::Busy => false,
            Self::Panicked | Self::Latched(_) => true,
            Self::Redb(error) => matches!(
                error,
                redb::Error::Io(_)
                    | redb::Error::Backend(_)
                    | redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            ),
        }
    }

    /// Whether the disk was full. The database has to be reopened, and its records are unchanged.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Redb(redb::Error::Io(error)) | Self::Latched(redb::Error::Io(error)) => is_full(error),
            _ => false,
        }
    }

    /// Whether a read should wait: the database is being reopened, or is about to be.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Away(away) => away.is_transient,
            Self::Redb(redb::Error::Io(error)) => {
                error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Revoked>)
            }
            Self::Redb(error) => matches!(error, redb::Error::PreviousIo | redb::Error::DatabaseClosed),
            _ => false,
        }
    }

    /// Whether only one call's pages may be damaged, so that the other calls of its batch can succeed.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Redb(redb::Error::Corrupted(_)))
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        match self {
            Self::Record(error) => error.during(operation),
            Self::Away(away) => away.error(operation),
            Self::Busy => busy(operation),
            Self::Panicked => Error::new(
                ErrorKind::Corrupt,
                operation,
                "the database is damaged: reading it failed an assertion",
            ),
            Self::Redb(error) | Self::Latched(error) => {
                let (kind, message) = explain(&error);
                Error::new(kind, operation, message).with_source(error)
            }
        }
    }

    /// The same failure, for each of the calls that share it.
    pub(crate) fn to_error(&self, operation: Operation) -> Error {
        match self {
            Self::Record(error) => Error::new(error.kind(), operation, error.message()),
            Self::Panicked => Self::Panicked.into_error(operation),
            Self::Away(away) => away.error(operation),
            Self::Busy => busy(operation),
            Self::Redb(error) | Self::Latched(error) => {
                let (kind, message) = explain(error);
                Error::new(kind, operation, format!("{message} ({error})"))
            }
        }
    }
}

pub(crate) fn unavailable(why: &str, operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation, why)
}

/// The error of a channel whose other end is gone.
pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store is closed; open it anew")
}

fn busy(operation: Operation) -> Error {
    let message = "the application's own write transaction on the database did not end in time";
    Error::new(ErrorKind::Timeout, operation, message)
}

fn explain(error: &redb::Error) -> (ErrorKind, &'static str) {
    match error {
        redb::Error::Io(source) => explain_io(source),
        redb::Error::Corrupted(_) | redb::Error::RepairAborted => (
            ErrorKind::Corrupt,
            "the database file is damaged; restore it, or open it with check_integrity and accept_repairs",
        ),
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => (
            ErrorKind::Unavailable,
            "the file is open in another process, or in this one: a file has one store",
        ),
        redb::Error::UpgradeRequired(_) => {
            (ErrorKind::Incompatible, "the file was written by a version of redb that this one does not read")
        }
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => {
            (ErrorKind::Incompatible, "the database's tables are not those of an idem store")
        }
        redb::Error::TransactionPoisoned => (
            ErrorKind::InvalidArgument,
            "the closure left its transaction unusable: an operation in it failed half-way, or a table was leaked",
        ),
        redb::Error::TableAlreadyOpen(..) => {
            (ErrorKind::InvalidArgument, "the closure leaked a table of the store's own (idem/...)")
        }
        redb::Error::WouldBlock => (
            ErrorKind::Unavailable,
            "a closure of complete_with leaked a table, the database has to be opened again",
        ),
        redb::Error::ValueTooLarge(_) => (ErrorKind::TooLarge, "the value is larger than redb keeps"),
        _ => (ErrorKind::Unavailable, "the database cannot be used now"),
    }
}

/// Whether the disk was full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn explain_io(source: &io::Error) -> (ErrorKind, &'static str) {
    if is_full(source) {
        return (ErrorKind::Full, "the disk is full; nothing already kept is lost");
    }
    match source.kind() {
        io::ErrorKind::InvalidData => (ErrorKind::Incompatible, "the file is no redb database"),
        io::ErrorKind::UnexpectedEof => (ErrorKind::Corrupt, "the file is shorter than it says it is"),
        _ => (ErrorKind::Unavailable, "the disk failed"),
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}

from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::DatabaseError,
    redb::TransactionError,
    redb::CommitError,
    redb::CompactionError,
    redb::SetDurabilityError
);
