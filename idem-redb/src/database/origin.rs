//! Where the database comes from, and who opens it anew.

use std::sync::Arc;

use idem_core::Result;
use redb::Database;

use crate::storage::open::Opened;
use crate::storage::revocable::RevocableStorage;

/// What only a database of the store's own has.
pub(crate) struct OwnDatabase {
    /// What the database stands on now.
    pub(crate) storage: RevocableStorage,
    /// Opens it anew.
    pub(crate) reopen: Box<dyn Fn() -> Result<Opened> + Send>,
}

/// Opens the application's database, at its request.
pub(crate) type DatabaseSupplier = Box<dyn Fn() -> Result<Arc<Database>> + Send>;

/// Whose the database is, and who opens it anew.
pub(crate) enum Origin {
    /// The store's: by itself.
    Own(OwnDatabase),
    /// The application's: by what it gave for that.
    Supplied(DatabaseSupplier),
    /// The application's: by the application.
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
