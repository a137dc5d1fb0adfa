//! Where the database comes from, and who opens it anew.

use std::sync::Arc;

use idem_core::Result;
use redb::Database;

use crate::storage::open::Opened;
use crate::storage::revocable::Lent;

/// What only a database of the store's own has.
pub(crate) struct Own {
    /// What the database stands on now.
    pub(crate) storage: Lent,
    /// Opens it anew.
    pub(crate) reopen: Box<dyn Fn() -> Result<Opened> + Send>,
}

/// Opens the application's database, at its request.
pub(crate) type Supply = Box<dyn Fn() -> Result<Arc<Database>> + Send>;

/// Whose the database is, and who opens it anew.
pub(crate) enum Origin {
    /// The store's: by itself.
    Own(Own),
    /// The application's: by what it gave for that.
    Supplied(Supply),
    /// The application's: by the application.
    Lent,
}

impl Origin {
    pub(crate) fn parts(self) -> (Option<Own>, Option<Supply>) {
        match self {
            Self::Own(own) => (Some(own), None),
            Self::Supplied(supply) => (None, Some(supply)),
            Self::Lent => (None, None),
        }
    }
}
