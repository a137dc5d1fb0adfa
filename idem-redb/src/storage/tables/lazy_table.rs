//! A table of a write transaction that is opened on first use.

use redb::{Key, Table, TableDefinition, Value, WriteTransaction};

use crate::error::Failure;

/// Opening a table, and writing its root at the end, costs a commit that does not need it several microseconds.
pub(crate) struct LazyTable<'txn, K: Key + 'static, V: Value + 'static> {
    txn: &'txn WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    table: Option<Table<'txn, K, V>>,
}

impl<'txn, K: Key + 'static, V: Value + 'static> LazyTable<'txn, K, V> {
    pub(crate) fn new(txn: &'txn WriteTransaction, definition: TableDefinition<'static, K, V>) -> Self {
        Self { txn, definition, table: None }
    }

    /// The table, opened now if it was not before.
    pub(crate) fn open(&mut self) -> Result<&mut Table<'txn, K, V>, Failure> {
        let table = match self.table.take() {
            Some(table) => table,
            None => self.txn.open_table(self.definition)?,
        };
        Ok(self.table.insert(table))
    }
}
