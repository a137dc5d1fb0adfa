//! redb's errors as idem's, with their source kept.

use std::io;

use idem_core::{Error, ErrorKind, Operation};

/// A failure of redb, not yet tied to an operation.
#[derive(Debug)]
pub(crate) enum Failure {
    /// redb failed; whether its database can be used on is [`Failure::needs_reopen`]'s to say.
    Redb(redb::Error),
    /// One record is not what was written; the database itself is fine.
    Record(Error),
    /// redb panicked over what it read.
    Panicked,
    /// The database is not in its place now.
    Away(&'static str),
}

impl Failure {
    /// Whether redb refuses its work until it is closed and opened again.
    pub(crate) fn needs_reopen(&self) -> bool {
        match self {
            Self::Record(_) | Self::Away(_) => false,
            Self::Panicked => true,
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

    /// Whether it may be one call's page that is damaged, and the other calls of its batch may do without it.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Redb(redb::Error::Corrupted(_)))
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        match self {
            Self::Record(error) => error.during(operation),
            Self::Away(why) => away(why, operation),
            Self::Panicked => Error::new(
                ErrorKind::Corrupt,
                operation,
                "the database is damaged: reading it failed an assertion",
            ),
            Self::Redb(error) => {
                let (kind, message) = explain(&error);
                Error::new(kind, operation, message).with_source(error)
            }
        }
    }

    /// The same failure for each of several calls that it befell.
    pub(crate) fn to_error(&self, operation: Operation) -> Error {
        match self {
            Self::Record(error) => Error::new(error.kind(), operation, error.message()),
            Self::Panicked => Self::Panicked.into_error(operation),
            Self::Away(why) => away(why, operation),
            Self::Redb(error) => {
                let (kind, message) = explain(error);
                Error::new(kind, operation, format!("{message} ({error})"))
            }
        }
    }
}

pub(crate) fn away(why: &str, operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation, why)
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
        redb::Error::ValueTooLarge(_) => (ErrorKind::TooLarge, "the value is larger than redb keeps"),
        _ => (ErrorKind::Unavailable, "the database cannot be used now"),
    }
}

fn explain_io(source: &io::Error) -> (ErrorKind, &'static str) {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (ErrorKind::Full, "the disk is full; nothing already kept is lost")
        }
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
