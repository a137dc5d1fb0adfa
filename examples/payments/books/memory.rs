//! Books in this process's memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use idem_http::Attempt;
use serde_json::Value;

use super::{Books, Change, LISTED, Payment, booked, empty_document, not_booked, patched};
use crate::Result;
use crate::answer::Answer;

/// The most payments in memory: more than a demo books.
const MOST_PAYMENTS: usize = 1_000_000;

#[derive(Default)]
pub(crate) struct MemoryBooks(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    payments: BTreeMap<(u64, u64), Payment>,
    documents: BTreeMap<u64, Value>,
}

#[async_trait]
impl Books for MemoryBooks {
    async fn change(&self, _attempt: Option<&Attempt>, account: u64, change: Change) -> Answer {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Payment { cents, reference } => tables.book(account, cents, reference),
            Change::Document(patch) => {
                let (answer, document) = patched(tables.document(account), &patch);
                tables.documents.extend(document.map(|document| (account, document)));
                answer
            }
        }
    }

    async fn payments(&self, account: u64, after: u64) -> Result<Vec<Payment>> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = tables.payments.range((account, after.saturating_add(1))..=(account, u64::MAX));
        Ok(listed.map(|(_, payment)| payment).take(LISTED).cloned().collect())
    }

    async fn document(&self, account: u64) -> Result<Value> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).document(account))
    }
}

impl Tables {
    fn book(&mut self, account: u64, cents: u64, reference: String) -> Answer {
        if self.payments.len() >= MOST_PAYMENTS {
            return not_booked("the demo's books are full");
        }
        let last = self.payments.range((account, 0)..=(account, u64::MAX)).next_back();
        let id = last.map_or(0, |(_, payment)| payment.id) + 1;
        self.payments.insert((account, id), Payment { id, cents, reference });
        booked(id, cents)
    }

    fn document(&self, account: u64) -> Value {
        self.documents.get(&account).cloned().unwrap_or_else(|| empty_document(account))
    }
}
