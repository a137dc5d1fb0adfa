//! The books: in the store's own database, or in memory.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use idem_http::{Attempt, NotExecuted};
use idem_redb::{RedbStore, RedbStoreExt as _};
use redb::ReadableDatabase as _;

use crate::Result;
use crate::session::{DOCUMENTS, LISTED, Memory, PAYMENTS, Payment, Session};

#[derive(Clone)]
pub(crate) enum Books {
    /// The database is asked of the store each time: the store could not reopen a database that is held here.
    Database(RedbStore),
    Memory(Arc<Mutex<Memory>>),
}

/// An answer with its whole body, as a transaction makes it.
pub(crate) type Answer = Response<String>;

impl Books {
    pub(crate) async fn in_database_of(store: RedbStore) -> Result<Self> {
        let database = store.database().await?;
        let missing = in_background(move || {
            let txn = database.begin_read()?;
            Ok(txn.open_table(PAYMENTS).is_err() || txn.open_table(DOCUMENTS).is_err())
        });
        // A start writes nothing once the tables exist, since the disk may be full.
        if missing.await? {
            let database = store.database().await?;
            let make = in_background(move || {
                let txn = database.begin_write()?;
                txn.open_table(PAYMENTS)?;
                txn.open_table(DOCUMENTS)?;
                Ok(txn.commit()?)
            });
            make.await?;
        }
        Ok(Self::Database(store))
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Runs `work` once. In a database its writes and the key's completion are committed together, or not at all.
    pub(crate) async fn write(
        &self,
        attempt: Option<&Attempt>,
        work: impl FnOnce(&mut Session<'_>) -> Result<Answer> + Send + 'static,
    ) -> Answer {
        match (self, attempt) {
            (Self::Memory(memory), _) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                work(&mut Session::Memory(&mut memory)).unwrap_or_else(|error| failed(&*error))
            }
            (Self::Database(_), Some(attempt)) => transact(attempt, work).await,
            (Self::Database(store), None) => {
                let written = without_key(store, work, End::Commit).await;
                written.unwrap_or_else(|error| failed(&*error))
            }
        }
    }

    /// Runs `work`, which only reads. Anything that it writes is dropped.
    pub(crate) async fn read(
        &self,
        work: impl FnOnce(&mut Session<'_>) -> Result<Answer> + Send + 'static,
    ) -> Answer {
        match self {
            Self::Memory(_) => self.write(None, work).await,
            Self::Database(store) => {
                without_key(store, work, End::RollBack).await.unwrap_or_else(|error| failed(&*error))
            }
        }
    }

    /// The payments with a higher id than `after`, at most [`LISTED`].
    pub(crate) async fn payments(&self, account: u64, after: u64) -> Result<Vec<Payment>> {
        match self {
            Self::Memory(memory) => {
                Ok(memory.lock().unwrap_or_else(PoisonError::into_inner).payments(account, after))
            }
            Self::Database(store) => {
                let database = store.database().await?;
                in_background(move || {
                    let table = database.begin_read()?.open_table(PAYMENTS)?;
                    table
                        .range((account, after.saturating_add(1))..=(account, u64::MAX))?
                        .take(LISTED)
                        .map(|row| {
                            let (key, value) = row?;
                            let (cents, reference) = value.value();
                            Ok(Payment { id: key.value().1, cents, reference: reference.to_owned() })
                        })
                        .collect()
                })
                .await
            }
        }
    }
}

/// How a transaction ends.
#[derive(PartialEq)]
enum End {
    Commit,
    RollBack,
}

/// Runs `work` in a transaction of its own, without a key.
async fn without_key(
    store: &RedbStore,
    work: impl FnOnce(&mut Session<'_>) -> Result<Answer> + Send + 'static,
    end: End,
) -> Result<Answer> {
    let database = store.database().await?;
    in_background(move || {
        let txn = database.begin_write()?;
        let answer = work(&mut Session::Database(&txn))?;
        if end == End::Commit {
            txn.commit()?;
        }
        Ok(answer)
    })
    .await
}

/// Runs `work` on a blocking thread, because redb blocks.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Commits what `work` writes together with the completion of the attempt's key, which is the answer of `work`.
async fn transact(
    attempt: &Attempt,
    work: impl FnOnce(&mut Session<'_>) -> Result<Answer> + Send + 'static,
) -> Answer {
    let Some(redb) = attempt.store().as_redb() else { return failed(&"the store is not a redb store") };
    let writing = attempt.clone();
    let transacted = redb.complete_with(attempt.lease(), move |txn| {
        let answer = work(&mut Session::Database(txn))?;
        Result::Ok(writing.outcome(&answer)?)
    });
    attempt.conclude(transacted.await).unwrap_or_else(|error| {
        // Rolled back: nothing was written, so a retry may run the work again.
        let mut answer = failed(&*error);
        answer.extensions_mut().insert(NotExecuted);
        answer
    })
}

/// Another attempt took over. This one must not answer as if the work were done by it, so its client is told to retry:
/// the retry gets the answer of the other attempt, or runs the work if that attempt released the key.
pub(crate) fn lost() -> Answer {
    try_again("another attempt took over")
}

/// Releases the key, so that a retry may continue.
pub(crate) fn try_again(why: &str) -> Answer {
    let mut answer = answer(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({ "error": why }));
    answer.extensions_mut().insert(NotExecuted);
    answer
}

fn failed(error: &(impl std::fmt::Display + ?Sized)) -> Answer {
    eprintln!("payments: {error}");
    answer(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({ "error": "not booked" }))
}

pub(crate) fn answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(format!("{body}\n"));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    answer
}
