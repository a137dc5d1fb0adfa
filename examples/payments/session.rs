//! One change of the books, in a database or in memory.

use std::collections::BTreeMap;

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde_json::Value;

use crate::Result;

/// (account, number) -> (cents, reference)
pub(crate) const PAYMENTS: TableDefinition<'_, (u64, u64), (u64, &str)> =
    TableDefinition::new("demo.payments");
/// Account -> its document, as JSON.
pub(crate) const DOCUMENTS: TableDefinition<'_, u64, &str> = TableDefinition::new("demo.accounts");

/// How many payments are listed at a time.
pub(crate) const LISTED: usize = 100;

/// The most payments in memory: more than a demo books.
const MOST_IN_MEMORY: usize = 1_000_000;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Payment {
    pub(crate) id: u64,
    pub(crate) cents: u64,
    pub(crate) reference: String,
}

#[derive(Default)]
pub(crate) struct Memory {
    payments: BTreeMap<(u64, u64), Payment>,
    documents: BTreeMap<u64, Value>,
}

impl Memory {
    /// See [`Books::payments`](crate::books::Books::payments).
    pub(crate) fn payments(&self, account: u64, after: u64) -> Vec<Payment> {
        self.payments
            .range((account, after.saturating_add(1))..=(account, u64::MAX))
            .map(|(_, payment)| payment)
            .take(LISTED)
            .cloned()
            .collect()
    }

    fn of(&self, account: u64) -> impl DoubleEndedIterator<Item = &Payment> {
        self.payments.range((account, 0)..=(account, u64::MAX)).map(|(_, payment)| payment)
    }
}

pub(crate) enum Session<'a> {
    Database(&'a WriteTransaction),
    Memory(&'a mut Memory),
}

impl Session<'_> {
    /// Books a payment, and returns its number.
    pub(crate) fn book(&mut self, account: u64, cents: u64, reference: &str) -> Result<u64> {
        match self {
            Self::Database(txn) => {
                let mut table = txn.open_table(PAYMENTS)?;
                let last = table.range((account, 0)..=(account, u64::MAX))?.next_back().transpose()?;
                let id = last.map_or(0, |(key, _)| key.value().1) + 1;
                table.insert((account, id), (cents, reference))?;
                Ok(id)
            }
            Self::Memory(memory) => {
                if memory.payments.len() >= MOST_IN_MEMORY {
                    return Err("the demo's books are full".into());
                }
                let id = memory.of(account).next_back().map_or(0, |payment| payment.id) + 1;
                let payment = Payment { id, cents, reference: reference.to_owned() };
                memory.payments.insert((account, id), payment);
                Ok(id)
            }
        }
    }

    pub(crate) fn document(&self, account: u64) -> Result<Value> {
        let found = match self {
            Self::Database(txn) => {
                let table = txn.open_table(DOCUMENTS)?;
                let text = table.get(account)?;
                text.map(|text| serde_json::from_str(text.value())).transpose()?
            }
            Self::Memory(memory) => memory.documents.get(&account).cloned(),
        };
        Ok(found.unwrap_or_else(|| serde_json::json!({ "id": account, "name": "", "notes": [] })))
    }

    pub(crate) fn set_document(&mut self, account: u64, document: Value) -> Result<()> {
        match self {
            Self::Database(txn) => {
                txn.open_table(DOCUMENTS)?.insert(account, &*document.to_string())?;
            }
            Self::Memory(memory) => {
                memory.documents.insert(account, document);
            }
        }
        Ok(())
    }
}
