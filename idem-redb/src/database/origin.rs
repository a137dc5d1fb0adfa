//! Where the database comes from, and who reopens it.

use std::sync::Arc;

use idem_core::Result;
use redb::Database;

use crate::storage::open::Opened;
use crate::storage::revocable::RevocableStorage;

/// What only a database that the store itself opened has.
pub(crate) struct OwnDatabase {
    /// The storage that the database uses now.
    pub(crate) storage: RevocableStorage,
    /// Reopens the database.
    pub(crate) reopen: Box<dyn Fn() -> Result<Opened> + Send>,
}

/// Opens the application's database; the application provides it.
pub(crate) type DatabaseSupplier = Box<dyn Fn() -> Result<Arc<Database>> + Send>;

/// Who owns the database, and who reopens it.
pub(crate) enum Origin {
    /// The store owns and reopens it.
    Own(OwnDatabase),
    /// The application owns it; the store reopens it by the application's supplier.
    Supplied(DatabaseSupplier),
    /// The application owns it, and replaces it after a failure.
    Shared,
}

impl Origin {
    pub(crate) fn parts(self) -> (Option<OwnDatabase>, Option<DatabaseSupplier>) {
        match self {
            Self::Own(own) => (Some(own), None),
            Self::Supplied(supplier) => (None, Some(supplier)),
            Self::Shared => (None, None),
        }
    }
}
