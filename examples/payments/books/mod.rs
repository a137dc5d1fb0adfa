//! The books: in the store's own database, or in memory.

mod memory;
mod postgres;
mod redb;

use async_trait::async_trait;
use axum::http::StatusCode;
use idem_http::{Attempt, NotExecuted};
use json_patch::Patch;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::answer::{Answer, answer};
use crate::bounded_patch;

pub(crate) use memory::MemoryBooks;
pub(crate) use postgres::PostgresBooks;
pub(crate) use redb::RedbBooks;

/// How many payments are listed at a time.
const LISTED: usize = 100;

/// A change of one account.
pub(crate) enum Change {
    Payment { cents: u64, reference: String },
    Document(Patch),
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Payment {
    id: u64,
    cents: u64,
    reference: String,
}

#[async_trait]
pub(crate) trait Books: Send + Sync {
    /// Makes a change once, and answers the request. In a database the change and the key's completion are committed
    /// together, or not at all.
    async fn change(&self, attempt: Option<&Attempt>, account: u64, change: Change) -> Answer;

    /// The payments with a higher id than `after`, at most [`LISTED`].
    async fn payments(&self, account: u64, after: u64) -> Result<Vec<Payment>>;

    async fn document(&self, account: u64) -> Result<Value>;
}

fn booked(id: u64, cents: u64) -> Answer {
    answer(StatusCode::CREATED, &json!({ "payment": id, "cents": cents }))
}

fn empty_document(account: u64) -> Value {
    json!({ "id": account, "name": "", "notes": [] })
}

/// Applies a patch as a whole or not at all, and within bounds. The document is then to be written, unless it is none.
fn patched(mut document: Value, patch: &Patch) -> (Answer, Option<Value>) {
    match bounded_patch::apply(&mut document, patch) {
        Ok(()) => (answer(StatusCode::OK, &document), Some(document)),
        Err(why) => (answer(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": why })), None),
    }
}

/// Nothing was written, so a retry may run the work again.
fn rolled_back(error: &(impl std::fmt::Display + ?Sized)) -> Answer {
    let mut answer = not_booked(error);
    answer.extensions_mut().insert(NotExecuted);
    answer
}

fn not_booked(error: &(impl std::fmt::Display + ?Sized)) -> Answer {
    eprintln!("payments: {error}");
    answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "not booked" }))
}
