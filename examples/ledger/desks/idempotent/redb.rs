//! In a redb file: the store opens it, and books in its own transactions.

use std::path::Path;

use idem_core::{Lease, Outcome};
use idem_redb::RedbStore;

use super::{BooksAndStore, Idempotent, Unbooked, committed};
use crate::books::redb::book;
use crate::request::Request;
use crate::{Failure, Result};

#[derive(Clone)]
pub(crate) struct OneFile {
    store: RedbStore,
}

pub(crate) async fn open(file: &Path) -> Result<Idempotent<OneFile>> {
    Ok(Idempotent::new(OneFile { store: RedbStore::open(file).await? }))
}

impl BooksAndStore for OneFile {
    type Store = RedbStore;

    fn store(&self) -> &RedbStore {
        &self.store
    }

    async fn book(
        &self,
        lease: &Lease,
        request: Request,
        booking: u64,
        receipt: Outcome,
    ) -> Result<(), Unbooked> {
        let booked = self.store.complete_with(lease, move |txn| {
            book(txn, &request, booking)?;
            Ok::<_, Failure>(receipt)
        });
        committed(booked.await?)
    }

    async fn close(self) -> Result<()> {
        Ok(self.store.close().await?)
    }
}
