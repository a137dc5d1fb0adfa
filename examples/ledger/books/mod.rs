//! The application's own tables. They know nothing of idem, and hold whatever is booked, even the same payment twice.

pub(crate) mod postgres;
pub(crate) mod redb;

use std::ffi::OsString;

use crate::Result;
use crate::audit::Booked;

/// Where a run has its books, and the store beside them.
pub(crate) enum Books {
    Redb(redb::File),
    Postgres(postgres::Run),
}

impl Books {
    /// The arguments by which a worker finds them.
    pub(crate) fn for_worker(&self) -> Vec<OsString> {
        match self {
            Self::Redb(file) => vec!["--worker".into(), file.path().into()],
            Self::Postgres(run) => {
                vec!["--store".into(), run.uri().into(), "--worker".into(), run.store_schema().into()]
            }
        }
    }

    /// What is booked.
    pub(crate) async fn read(&self) -> Result<Booked> {
        match self {
            Self::Redb(file) => redb::read(file.path()),
            Self::Postgres(run) => postgres::read(run).await,
        }
    }

    /// Removes them, and all that the store has kept.
    pub(crate) async fn remove(self) -> Result<()> {
        match self {
            Self::Redb(file) => file.remove(),
            Self::Postgres(run) => run.remove().await,
        }
    }
}
