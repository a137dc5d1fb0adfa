//! Books in the database of a redb store.

use std::sync::Arc;

use async_trait::async_trait;
use idem_http::Attempt;
use idem_redb::RedbStore;
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition, WriteTransaction};
use serde_json::Value;

use super::{Books, Change, LISTED, Payment, booked, empty_document, not_booked, patched, rolled_back};
use crate::Result;
use crate::answer::Answer;

/// (account, number) -> (cents, reference)
const PAYMENTS: TableDefinition<'_, (u64, u64), (u64, &str)> = TableDefinition::new("demo.payments");
/// Account -> its document, as JSON.
const DOCUMENTS: TableDefinition<'_, u64, &str> = TableDefinition::new("demo.accounts");

/// The database is asked of the store each time: the store could not reopen a database that is held here.
pub(crate) struct RedbBooks(RedbStore);

impl RedbBooks {
    pub(crate) async fn open(store: RedbStore) -> Result<Self> {
        let books = Self(store);
        let missing = books.in_background(|database| {
            let txn = database.begin_read()?;
            Ok(txn.open_table(PAYMENTS).is_err() || txn.open_table(DOCUMENTS).is_err())
        });
        // A start writes nothing once the tables exist, since the disk may be full.
        if missing.await? {
            let make = books.in_background(|database| {
                let txn = database.begin_write()?;
                txn.open_table(PAYMENTS)?;
                txn.open_table(DOCUMENTS)?;
                Ok(txn.commit()?)
            });
            make.await?;
        }
        Ok(books)
    }

    /// Runs `work` on a blocking thread, because redb blocks.
    async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Database>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.0.database().await?;
        tokio::task::spawn_blocking(move || work(database)).await?
    }
}

#[async_trait]
impl Books for RedbBooks {
    async fn change(&self, attempt: Option<&Attempt>, account: u64, change: Change) -> Answer {
        let Some(attempt) = attempt else {
            let without_key = self.in_background(move |database| {
                let txn = database.begin_write()?;
                let answer = write(&txn, account, change)?;
                txn.commit()?;
                Ok(answer)
            });
            return without_key.await.unwrap_or_else(|error| not_booked(&*error));
        };
        let writing = attempt.clone();
        let transacted = self.0.complete_with(attempt.lease(), move |txn| {
            let answer = write(txn, account, change)?;
            Result::Ok(writing.outcome(&answer)?)
        });
        attempt.conclude(transacted.await).unwrap_or_else(|error| rolled_back(&*error))
    }

    async fn payments(&self, account: u64, after: u64) -> Result<Vec<Payment>> {
        let list = move |database: Arc<Database>| {
            let table = database.begin_read()?.open_table(PAYMENTS)?;
            let listed = table.range((account, after.saturating_add(1))..=(account, u64::MAX))?;
            let payment = |row: std::result::Result<_, redb::StorageError>| {
                let (key, value): (redb::AccessGuard<'_, (u64, u64)>, redb::AccessGuard<'_, (u64, &str)>) =
                    row?;
                let (cents, reference) = value.value();
                Ok(Payment { id: key.value().1, cents, reference: reference.to_owned() })
            };
            listed.take(LISTED).map(payment).collect()
        };
        self.in_background(list).await
    }

    async fn document(&self, account: u64) -> Result<Value> {
        let read =
            move |database: Arc<Database>| document(&database.begin_read()?.open_table(DOCUMENTS)?, account);
        self.in_background(read).await
    }
}

fn write(txn: &WriteTransaction, account: u64, change: Change) -> Result<Answer> {
    match change {
        Change::Payment { cents, reference } => {
            let mut table = txn.open_table(PAYMENTS)?;
            let last = table.range((account, 0)..=(account, u64::MAX))?.next_back().transpose()?;
            let id = last.map_or(0, |(key, _)| key.value().1) + 1;
            table.insert((account, id), (cents, &*reference))?;
            Ok(booked(id, cents))
        }
        Change::Document(patch) => {
            let mut table = txn.open_table(DOCUMENTS)?;
            let (answer, document) = patched(document(&table, account)?, &patch);
            if let Some(document) = document {
                table.insert(account, &*document.to_string())?;
            }
            Ok(answer)
        }
    }
}

fn document(table: &impl ReadableTable<u64, &'static str>, account: u64) -> Result<Value> {
    match table.get(account)? {
        Some(text) => Ok(serde_json::from_str(text.value())?),
        None => Ok(empty_document(account)),
    }
}
