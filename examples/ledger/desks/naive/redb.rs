//! In a redb file.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableTableMetadata};

use crate::Result;
use crate::answer::Reply;
use crate::books::redb::{ENTRIES, book};
use crate::request::Request;
use crate::serve::Desk;

#[derive(Clone)]
pub(crate) struct Naive {
    database: Arc<Database>,
}

impl Naive {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        Ok(Self { database: Arc::new(Database::create(file)?) })
    }

    fn book(&self, request: &Request) -> Result<u64> {
        let txn = self.database.begin_write()?;
        let booking = txn.open_table(ENTRIES)?.len()?;
        book(&txn, request, booking)?;
        txn.commit()?;
        Ok(booking)
    }
}

impl Desk for Naive {
    async fn pay(&self, request: &Request) -> Result<Reply> {
        let (desk, request) = (self.clone(), request.clone());
        // A commit waits for the disk, which must not happen on an async thread.
        let booking = tokio::task::spawn_blocking(move || desk.book(&request)).await??;
        Ok(Reply::Booked(booking))
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}
